"""The folder of a cut, written whole or not at all: files, verified, then the card."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from stages.commands.cut import facts
from stages.commands.cut.cell import CellPaths, Source
from stages.commands.cut.export import export_layer, load_program, save_program
from stages.commands.cut.folder import CARD, ONNX, PREPROCESS, PROGRAM, README, WEIGHTS, Cut, write_json
from stages.commands.cut.onnx_file import OnnxNetwork, save_onnx
from stages.commands.cut.readme import readme
from stages.commands.cut.verify import Float32, Reference, check_agreement, take_reference
from stages.shared.images.image_store import Pixels
from stages.shared.runtime.errors import UserError


def check_out(out: Path) -> None:
    """Check that nothing is where a cut is to be written.

    Raises:
        UserError: something is.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"--out: {out} must not exist, or be an empty folder; remove it, or name another")


def write_cut(
    out: Path, source: Source, paths: CellPaths, *, onnx: bool, tolerance: float, licence: str | None, command: str
) -> Mapping[str, Any]:
    """Write a cut: export, compare with the stored embeddings, describe; nothing is left behind if one of them fails.

    Args:
        out: the folder.
        source: what is cut.
        paths: of its cell.
        onnx: whether to write model.onnx.
        tolerance: how far a file may be from the reference, relative to the length of an embedding.
        licence: of the pre-trained weights, where the user says it.
        command: that does it again, for the card.

    Returns:
        The content of card.json.

    Raises:
        UserError: the layer cannot be exported, or a file does not agree.
    """
    reference = take_reference(source)
    with _whole(out) as folder:
        program = export_layer(source.network, source.tapped, source.images.size)
        save_program(program, folder / PROGRAM)
        (folder / WEIGHTS).write_bytes(save({name: value.clone() for name, value in program.state_dict.items()}))
        if onnx:
            save_onnx(program, folder / ONNX)
        loaded = load_program(folder / PROGRAM)
        distance = _compare(folder, loaded, reference, tolerance)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        cut = describe(folder, source)
        content = cut.card() | {
            "layer": facts.layer_facts(source),
            "network": facts.network_facts(source, licence),
            "data": facts.data_facts(source, paths.prepared, source.store.fold),
            "scores": facts.score_facts(source, paths),
            "size": facts.size_facts(program.state_dict, source),
            "files": files,
            "agreement": _agreement(reference, tolerance, distance),
            "versions": facts.version_facts(source, files),
            "command": command,
        }
        write_json(folder / PREPROCESS, cut.preprocess())
        write_json(folder / CARD, content)
        (folder / README).write_text(readme(cut, content))
    return content


def describe(folder: Path, source: Source) -> Cut:
    """Say what a cut's folder holds."""
    store, layer, dataset = source.store, source.layer, source.dataset
    return Cut(
        path=folder,
        dataset=store.dataset,
        model=store.model,
        fold=store.fold,
        seed=store.seed,
        step=source.step,
        layer=layer.name,
        depth=layer.depth,
        pooling=layer.pooling,
        width=layer.width,
        image_size=source.images.size,
        fit=dataset.fit,
        fill=source.images.fill,
    )


def _compare(folder: Path, loaded: nn.Module, reference: Reference, tolerance: float) -> dict[str, float]:
    """Compare every file that can be run with the reference: the largest distance by file."""

    def run(pixels: Pixels) -> Float32:
        with torch.inference_mode():
            return np.asarray(loaded(torch.from_numpy(pixels)))

    runs = {PROGRAM: run} | ({ONNX: OnnxNetwork(folder / ONNX)} if (folder / ONNX).exists() else {})
    return {name: check_agreement(each, reference, tolerance, name) for name, each in runs.items()}


def _agreement(reference: Reference, tolerance: float, distance: Mapping[str, float]) -> dict[str, Any]:
    return {
        "source": reference.source,
        "split": reference.split,
        "images": len(reference.pixels),
        "tolerance": tolerance,
        "distance": {name: float(f"{value:.2g}") for name, value in distance.items()},
    }


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write into, which becomes `out` if nothing fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(scratch) / out.name
        folder.mkdir()
        yield folder
        folder.rename(out)
