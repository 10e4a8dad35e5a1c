"""The folder that a cut is: what its files are called, and what they say of how to feed the network.

    model.pt2             the network up to the layer, with pooling: loads with torch alone
    model.onnx            the same for onnxruntime; not with `--no-onnx`
    weights.safetensors   the tensors that model.pt2 holds, by the names that the network's library gives them
    preprocess.json       how an image file becomes the input; all that follows is in the graph
    card.json, README.md  the model card: what it is, for programs and for people

The input `pixels` is (B, 3, S, S) uint8, RGB; the output `embedding` (B, width) float32.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.shared.runtime.errors import UserError

FORMAT = "whichlayer.cut/1"
PROGRAM, ONNX, WEIGHTS = "model.pt2", "model.onnx", "weights.safetensors"
PREPROCESS, CARD, README = "preprocess.json", "card.json", "README.md"
INPUT, OUTPUT = "pixels", "embedding"

AGAIN = "cut again (`whichlayer cut`)"


@dataclass(frozen=True)
class Cut:
    """A cut that was written.

    Attributes:
        path: its folder.
        dataset, model, fold, seed, step: the checkpoint that it is part of.
        layer: the layer's name in the embedding store.
        depth, pooling, width: as the embedding store has them.
        image_size: height and width S of the input in pixels.
        fit: how an image becomes square (`DatasetParams.fit`).
        fill: grey level 0 to 255 behind transparent pixels and of padding.
    """

    path: Path
    dataset: str
    model: str
    fold: str
    seed: int
    step: int
    layer: str
    depth: int
    pooling: str
    width: int
    image_size: int
    fit: str
    fill: int

    @property
    def program(self) -> Path:
        """The network's file."""
        return self.path / PROGRAM

    def preprocess(self) -> dict[str, Any]:
        """Describe input, decoding and output, as preprocess.json does."""
        return {
            "format": FORMAT,
            "decode": {
                "mode": "RGB",
                "orientation": "as EXIF says",
                "image_size": self.image_size,
                "fit": self.fit,
                "fill": self.fill,
                "resample": "bilinear",
            },
            "input": {"name": INPUT, "dtype": "uint8", "shape": ["batch", 3, self.image_size, self.image_size]},
            "output": {"name": OUTPUT, "dtype": "float32", "shape": ["batch", self.width]},
        }

    def card(self) -> dict[str, Any]:
        """Say which checkpoint and layer it is, as card.json does."""
        cell = {name: getattr(self, name) for name in ("dataset", "model", "fold", "seed", "step")}
        layer = {"name": self.layer, "depth": self.depth, "pooling": self.pooling, "width": self.width}
        return {"format": FORMAT, "cell": cell, "layer": layer}


def read_cut(path: Path) -> Cut:
    """Read what a cut's folder says of itself; the network's file is not opened.

    Raises:
        UserError: it is no such folder, of another version, or lacks a file or a key.
    """
    preprocess, card = (_read_json(path / name) for name in (PREPROCESS, CARD))
    if not (path / PROGRAM).is_file():
        raise UserError(f"{path}: must hold {PROGRAM}, found no such file; {AGAIN}")
    try:
        decode, layer = preprocess["decode"], card["layer"]
        kept = {name: layer[name] for name in ("depth", "pooling", "width")}
        fed = {name: decode[name] for name in ("image_size", "fit", "fill")}
        return Cut(path, **card["cell"], layer=layer["name"], **kept, **fed)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: {PREPROCESS} or {CARD} lacks something ({error}); {AGAIN}") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file for people to read too."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; a cut has one: {AGAIN}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: must be a JSON file, found it damaged ({error}); {AGAIN}") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}: must be of format {FORMAT}, found {found!r}; {AGAIN}")
    return dict(content)
