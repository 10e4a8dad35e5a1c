"""The folder of a cut: written whole or not at all, after its files were compared with the stored embeddings.

    model.pt2             the network up to the layer, with pooling: loads with torch alone
    model.onnx            the same for onnxruntime; not with `--no-onnx`
    weights.safetensors   the tensors that model.pt2 is made of, by the names that the network's library gives them
    preprocess.json       how an image file becomes the input; all that follows is in the graph
    card.json, README.md  the model card: what it is, for programs and for people; with the hashes of the other files,
                          since torch loads a damaged model.pt2 without a word

The input `pixels` is (B, 3, S, S) uint8, RGB; the output `embedding` (B, width) float32.
"""

import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.export import ExportedProgram

from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.images.image_store import Pixels
from ...shared.runtime.errors import UserError
from ...shared.workflow.digests import cell_id, file_sha256, rerun_hint
from ...shared.workflow.versions import differing, library_versions
from ..grid import cell_name
from ..project import new_output
from . import export
from .card import HEAD, REPRESENTATION_HEAD, facts_of, readme
from .source import Float32, Source

FORMAT = "whichlayer.cut/2"
PROGRAM, ONNX, WEIGHTS = "model.pt2", "model.onnx", "weights.safetensors"
PREPROCESS, CARD, README = "preprocess.json", "card.json", "README.md"

ABOUT = {"layer": "name", "pooling": "pooling", "scale": "scale"}
DECODE = {"size": "image_size", "fit": "fit", "fill": "fill", "bits": "bits"}
"""What a cut is of, and how it decodes: names here, and in its files."""

AGAIN = "remake the cut (`whichlayer cut`)"

TOLERANCES = {"float32": 2e-3, "float16": 3e-3}
"""Largest distance by default, by the type that the store keeps; see `check_agreement`. Computing in another order, as
onnxruntime does, moved a fine-tuned EfficientNet-Lite0 by 4e-4; float16 rounds by 5e-4."""

BATCHES = (1, 2, 7)
"""Sizes of the batches with which every file is tried, beside all images at once."""

MAX_IMAGES, LIBRARY_IMAGES = 64, 32
"""With which a file is tried, and the network as another version of its library builds it."""

Run = Callable[[Pixels], Float32]


@dataclass(frozen=True)
class Reference:
    """What the cut must give.

    Attributes:
        split: whose images.
        source: where the embeddings come from, for the card.
        pixels: (B, 3, S, S) uint8.
        embeddings: (B, width).
    """

    split: str
    source: str
    pixels: Pixels
    embeddings: Float32

    def distance(self, found: Float32) -> float:
        """Return the largest distance from an image's embedding, over the root mean square of embeddings' lengths.

        Args:
            found: (B', width), of the first B' images.
        """
        length = np.sqrt(np.square(self.embeddings, dtype=np.float64).sum(axis=1).mean())
        distances = np.linalg.norm((found - self.embeddings[: len(found)]).astype(np.float64), axis=1)
        return float(distances.max() / max(length, np.finfo(np.float64).tiny))


def take_reference(source: Source, count: int = MAX_IMAGES) -> Reference:
    """Take images of the unseen split (of the test split where there is none), evenly spaced, and their embeddings.

    They are the stored ones; where `embed.augment` had images rotated before they were embedded, which a cut does not
    do, those that the network gives now.

    Raises:
        UserError: the dataset's images are gone.
    """
    if not source.has_images:
        raise UserError(
            f"{source.paths.prepared}: must have the dataset's packed images, with which a cut is tried; found none; "
            f"run `dvc repro prepare@{source.store.dataset}`"
        )
    split = UNSEEN if UNSEEN in source.store.splits else SEEN
    images, samples = source.cell.images, source.store.samples
    ids = samples.loc[samples["split"] == split, "sample_id"].to_numpy(dtype=str)
    places = np.unique(np.linspace(0, len(ids) - 1, count).round().astype(int))
    rows = images.manifest.reset_index().set_index("sample_id").loc[ids[places], "index"]
    pixels = images.read(rows.to_numpy()).transpose(0, 3, 1, 2).copy()
    if source.cell.params.augment:
        return Reference(split, "the network", pixels, embed_now(source, pixels))
    stored = [source.store.features(pooled.layer, source.step, split)[places] for pooled in source.layers]
    return Reference(split, "the embedding store", pixels, source.scaler.join(stored))


def embed_now(source: Source, pixels: Pixels) -> Float32:
    """Embed images by the network as it is built now, on the CPU: (B, 3, S, S) -> (B, width)."""
    with torch.inference_mode():
        network = export.UpToLayer(source.cell.embedder.network, source.layers).eval()
        return source.scaler.join([part.numpy() for part in network(torch.from_numpy(pixels))])


def check_versions(source: Source, run: Run) -> None:
    """Say on stderr that the cell was made with different versions of libraries, if it was.

    If the network's own library is another, `run` must give the stored embeddings, which takes the dataset's images.

    Args:
        source: layers of the cell.
        run: embeds new images: (B, 3, S, S) uint8 -> (B, width).

    Raises:
        UserError: it gives others, so that the library has changed the network.
    """
    cell, changed = source.store.cell, note_versions(source)
    if source.network_params.library in changed and source.has_images:
        reference = take_reference(source, LIBRARY_IMAGES)
        distance, most = reference.distance(run(reference.pixels)), default_tolerance(source) / 2
        if not distance <= most:
            raise UserError(
                f"{cell_name(cell)}: its network must give the stored embeddings to within {most:g} of their length, "
                f"found {distance:.3g} on {len(reference.pixels)} images: its library makes another "
                f"network; install the previous version, or {rerun_hint('finetune', cell_id(cell))}, then "
                "`dvc repro`"
            )


def note_versions(source: Source) -> Collection[str]:
    """Say on stderr with which other versions of libraries than today's a cell was made; return these libraries."""
    now = library_versions("torch", source.network_params.library, builds=False) | {"pillow": version("pillow")}
    made_with = source.store.made_with
    changed = differing([*((stage, made_with.get(stage, {})) for stage in ("prepare", "embed")), ("now", now)])
    if changed:
        said = ", ".join(f"{name} {', now '.join(versions)}" for name, versions in changed.items())
        name = cell_name(source.store.cell)
        unchecked = (
            "" if source.has_images else "; its images are gone, so that nothing could be re-embedded to compare"
        )
        print(f"note: {name} was made with different library versions: {said}{unchecked}", file=sys.stderr)
    return changed


def default_tolerance(source: Source) -> float:
    """Return how far a file may be from the reference: that of `TOLERANCES`."""
    return TOLERANCES["float32" if source.cell.params.augment else source.cell.params.dtype]


def check_agreement(run: Run, reference: Reference, tolerance: float, file: str) -> float:
    """Run a file on all images at once and in batches of each of `BATCHES`, and compare.

    Args:
        run: (B, 3, S, S) uint8 -> (B, width).
        reference: what it must give.
        tolerance: the largest distance of an image's embedding from the reference's, relative to the length of the
            layer's embeddings (its root mean square).
        file: its name.

    Returns:
        The largest such distance.

    Raises:
        UserError: it is larger, or the shapes differ.
    """
    distances = []
    for size in (len(reference.pixels), *BATCHES):
        pixels = reference.pixels if size > max(BATCHES) else reference.pixels[: max(BATCHES)]
        embeddings = np.concatenate([run(pixels[i : i + size]) for i in range(0, len(pixels), size)])
        shape = (len(pixels), reference.embeddings.shape[1])
        if embeddings.shape != shape:
            raise UserError(f"embeddings must have the shape {shape}, found {embeddings.shape}; nothing was written")
        distances.append(reference.distance(embeddings))
    distance = float(np.max(distances))  # NaN if one is
    if not distance <= tolerance:
        raise UserError(
            f"{file} must give the embeddings of {reference.source} to within {tolerance:g} of their length, found "
            f"{distance:.3g} on {len(reference.pixels)} images in the split {reference.split!r}, so "
            "nothing was written. If library versions differ now, or embed ran in mixed precision (as on a GPU), "
            "rerun it with WHICHLAYER_PRECISION=no; or allow more with --tolerance"
        )
    return distance


def write_cut(out: Path, source: Source, *, onnx: bool, tolerance: float | None, licence: str | None) -> dict[str, Any]:
    """Write a cut: export, compare with the stored embeddings, describe; nothing is left behind if one of them fails.

    Args:
        out: the folder.
        source: what is cut.
        onnx: whether to write model.onnx.
        tolerance: how far a file may be from the reference, relative to the length of an embedding; None: that of
            `TOLERANCES`.
        licence: of the pre-trained weights, where the user says it.

    Returns:
        The content of card.json.

    Raises:
        UserError: the layer cannot be exported, or a file does not agree.
    """
    another_library = source.network_params.library in note_versions(source)
    images, reference = source.cell.images, take_reference(source)
    most = tolerance or default_tolerance(source) / (2 if another_library else 1)
    tolerances = dict.fromkeys((PROGRAM, ONNX), most)
    program, tensors = export.export_layer(source.cell.embedder.network, source.layers, images.size, source.scaler)
    facts = {"cell": cell_id(source.store.cell) | {"step": source.step}} | facts_of(source, tensors, licence)
    decode = {"image_size": images.size, "fit": source.dataset.fit, "fill": images.fill}
    decode["bits"] = source.dataset.decode["bits"]
    head = REPRESENTATION_HEAD if "representation" in facts else HEAD
    return write_folder(out, program, tensors, facts, decode, reference, tolerances, onnx=onnx, head=head)


def write_folder(
    out: Path,
    program: ExportedProgram,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    decode: Mapping[str, Any],
    reference: Reference,
    tolerances: Mapping[str, float],
    *,
    onnx: bool,
    head: Path = HEAD,
) -> dict[str, Any]:
    """Write the files of a cut, compare each with what it must give, and describe them; all of it or nothing.

    Args:
        out: the folder.
        program: the network, from pixels to embeddings.
        tensors: that it is made of, by the library's names.
        facts: what the card says of it: `cell`, `layer`, `network`, `size` and more, as JSON values.
        decode: how an image file becomes the input: `image_size` in pixels, `fit`, `fill` and `bits`.
        reference: what the files must give.
        tolerances: how far each may be from it, relative to the length of an embedding.
        onnx: whether to write model.onnx.
        head: the template of the card.

    Returns:
        The content of card.json.

    Raises:
        UserError: a file does not agree.
    """
    with new_output(out) as folder:
        folder.mkdir()
        distance = write_programs(folder, program, tensors, reference, tolerances, onnx=onnx)
        files = {p.name: {"bytes": p.stat().st_size, "sha256": file_sha256(p)} for p in sorted(folder.iterdir())}
        agreement = {"source": reference.source, "split": reference.split, "images": len(reference.pixels)}
        agreement |= {"tolerance": {name: tolerances[name] for name in distance}}
        agreement |= {"distance": {name: float(f"{d:.2g}") for name, d in distance.items()}}
        packages = ("torch", facts["network"]["library"], *(export.PACKAGES if onnx else ()))
        card = {"format": FORMAT, **facts, "files": files, "agreement": agreement}
        card["versions"] = library_versions(*packages)
        preprocess = describe_input(decode, facts["layer"])
        write_json(folder / PREPROCESS, preprocess)
        write_json(folder / CARD, card)
        (folder / README).write_text(readme(card, preprocess["decode"], head), encoding="utf-8")
    return card


def write_programs(
    folder: Path,
    program: ExportedProgram,
    tensors: Mapping[str, Tensor],
    reference: Reference,
    tolerances: Mapping[str, float],
    *,
    onnx: bool,
) -> dict[str, float]:
    """Write the files that hold the network, and compare each with what it must give.

    Returns:
        Name of a file -> its largest distance from the reference.

    Raises:
        UserError: one does not agree.
    """
    export.save_program(program, folder / PROGRAM)
    (folder / WEIGHTS).write_bytes(save({name: value.clone() for name, value in tensors.items()}))
    distance = {PROGRAM: check_agreement(export.load_run(folder / PROGRAM), reference, tolerances[PROGRAM], PROGRAM)}
    if onnx:
        export.save_onnx(folder / PROGRAM, folder / ONNX)
        distance[ONNX] = check_agreement(export.load_onnx(folder / ONNX), reference, tolerances[ONNX], ONNX)
    return distance


def describe_input(decode: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of preprocess.json: how an image becomes the program's input, and what comes out.

    Args:
        decode: `image_size` in pixels, `fit`, `fill` and `bits`.
        layer: of the card.
    """
    S, out = decode["image_size"], {"name": export.OUTPUT, "dtype": "float32", "shape": ["batch", layer["width"]]}
    return {
        "format": FORMAT,
        "decode": {"mode": "RGB", "orientation": "as EXIF says", **decode, "resample": "bilinear"},
        "input": {"name": export.INPUT, "dtype": "uint8", "shape": ["batch", 3, S, S]},
        "output": out | {"scale": layer["scale"]},
    }


def read_cut(path: Path) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """Read what a cut's folder says of itself; of the network's file the hash is compared.

    Returns:
        What it is of: dataset, model, fold, seed, step, layer, pooling and scale; the width of its embeddings; and how
        an image becomes the input: `size` in pixels, `fit`, `fill` and `bits` (`DatasetParams.decode`).

    Raises:
        UserError: it is no such folder, of another version, lacks a file or a key, or the network is not as it was
            written.
    """
    try:
        preprocess, card = (json.loads((path / name).read_bytes()) for name in (PREPROCESS, CARD))
        for content in (preprocess, card):
            if content["format"] != FORMAT:
                raise UserError(f"{path}: must have the format {FORMAT}, found {content['format']!r}; {AGAIN}")
        if file_sha256(path / PROGRAM) != card["files"][PROGRAM]["sha256"]:
            raise UserError(f"{path / PROGRAM}: must be as it was written ({CARD}), found different content; {AGAIN}")
        layer, decode = card["layer"], preprocess["decode"]
        about = card["cell"] | {name: layer[part] for name, part in ABOUT.items()}
        return about, layer["width"], {name: decode[part] for name, part in DECODE.items()}
    except UserError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: must hold a whole cut, found {type(error).__name__}: {error}; {AGAIN}") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file for people to read too."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
