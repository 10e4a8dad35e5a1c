"""Where a network comes from: a finished cell of the workflow, or the folder of a cut."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from stages.commands.cut.cell import CellPaths, Source, open_source
from stages.commands.cut.export import load_program
from stages.commands.cut.folder import AGAIN, PREPROCESS, Cut, read_cut
from stages.commands.features.extractor import EmbedPixels, Extractor, Float32
from stages.embed.embedder import Embedder
from stages.embed.params import EmbedParams
from stages.prepare.decode import Fit
from stages.shared.console import UserError
from stages.shared.devices import choose_device
from stages.shared.image_store import Pixels
from stages.shared.params import Cell, read_section

FORMAT = "whichlayer.features/1"
ROTATED = "with embed.augment the stored embeddings are of rotated images; new images are not rotated"


def open_extractor(params: Path, origin: str, folder: Path | None, *, layer: str, step: int | None) -> Extractor:
    """Find the network that `--from` names.

    Args:
        params: the params file.
        origin: `--from` as it was given.
        folder: the same as a path, if there is such a folder.
        layer: of a cell, `recommended`, `best`, `last` or a name; of a cut, its own, or empty.
        step: of a cell's checkpoint; None: the last.

    Raises:
        UserError: there is no such cell, layer, step or cut.
    """
    if folder is not None and (folder / PREPROCESS).is_file():
        batch_size = read_section(params, "embed", EmbedParams).batch_size
        return from_cut(read_cut(folder), batch_size, layer=layer, step=step)
    cell = parse_cell(origin)
    source = open_source(params, cell, CellPaths.of(cell), step=step, layer=layer or "recommended")
    _check_images(source)
    return from_cell(source, source.embed.batch_size)


def parse_cell(origin: str) -> Cell:
    """Read a cell off `<dataset>/<model>/<fold>/<seed>`, which may stand at the end of a longer path.

    Raises:
        UserError: it does not end so.
    """
    parts = origin.rstrip("/").split("/")[-4:]
    if len(parts) < 4 or not parts[3].isdecimal():
        raise UserError(
            f"--from must be a cell, dataset/model/fold/seed, for example handwriting/efficientnet_lite0/0/0, or the "
            f"folder of a cut, which holds {PREPROCESS}; found {origin!r}"
        )
    dataset, model, fold, seed = parts
    return dataset, model, fold, int(seed)


def _check_images(source: Source) -> None:
    """Check that new images are decoded as those of the dataset were, as far as the dataset says how.

    Raises:
        UserError: the entry in params.yaml was edited since.
    """
    packed, entry = source.images, source.dataset
    if (packed.size, packed.fill) != (entry.image_size, entry.fill):
        raise UserError(
            f"datasets.{source.store.dataset}: prepared images have image_size {packed.size} and fill {packed.fill}, "
            f"params.yaml has {entry.image_size} and {entry.fill}; run `dvc repro`, or undo the change"
        )


def from_cell(source: Source, batch_size: int) -> Extractor:
    """Take a layer of one checkpoint, as the embed stage does."""
    store, layer = source.store, source.layer
    cell = dict(zip(("dataset", "model", "fold", "seed"), store.cell, strict=True))
    accelerator = choose_device()

    @contextmanager
    def running() -> Iterator[EmbedPixels]:
        source.network.move(accelerator.device)
        embedder = Embedder(source.network, [source.tapped], False, None, accelerator)
        with embedder.running() as embed:
            yield lambda pixels: _finite(embed(np.arange(len(pixels)), pixels)[layer.name], layer.name)

    about = cell | {"step": source.step, "layer": layer.name, "pooling": layer.pooling}
    device = {"device": accelerator.device.type, "precision": accelerator.mixed_precision}
    return Extractor(
        about=about,
        identity=_identity(source.checkpoint, source.dataset, batch_size, about | device),
        width=layer.width,
        image_size=source.dataset.image_size,
        fit=source.dataset.fit,
        fill=source.dataset.fill,
        batch_size=batch_size,
        running=running,
        note=ROTATED if source.embed.augment else "",
    )


def from_cut(cut: Cut, batch_size: int, *, layer: str, step: int | None) -> Extractor:
    """Take a cut network, on the CPU.

    Raises:
        UserError: another layer or step is asked for than the one it is cut at.
    """
    for option, wanted, own in (("--layer", layer or None, cut.layer), ("--step", step, cut.step)):
        if wanted not in (None, own):
            raise UserError(f"{option}: {cut.path} is cut at {own}, not at {wanted}; leave it out, or name the cell")
    names = ("dataset", "model", "fold", "seed", "step", "layer", "pooling")
    about = {name: getattr(cut, name) for name in names}

    @contextmanager
    def running() -> Iterator[EmbedPixels]:
        program = _load(cut.program)

        def embed(pixels: Pixels) -> Float32:
            with torch.inference_mode():
                values = program(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())
            return _finite(values.numpy(), cut.layer)

        yield embed

    return Extractor(
        about=about,
        identity=_identity(cut.program, cut, batch_size, about),
        width=cut.width,
        image_size=cut.image_size,
        fit=cast(Fit, cut.fit),
        fill=cut.fill,
        batch_size=batch_size,
        running=running,
    )


def _load(path: Path) -> torch.nn.Module:
    try:
        return load_program(path)
    except Exception as error:  # torch raises anything on a file that is not its own
        raise UserError(
            f"{path}: must be a program that torch {torch.__version__} loads, found {type(error).__name__}; {AGAIN}"
        ) from error


def _identity(weights: Path, decoding: Any, batch_size: int, about: dict[str, Any]) -> dict[str, Any]:
    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    decoded = {name: getattr(decoding, name) for name in ("image_size", "fit", "fill")}
    return {"format": FORMAT, "weights": sha256, "batch_size": batch_size, "torch": torch.__version__} | decoded | about


def _finite(values: Float32, layer: str) -> Float32:
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"layer {layer!r} must be finite, found NaN or infinity in {bad} of {len(values)} images of a batch; on a "
            "GPU, set ACCELERATE_MIXED_PRECISION=no"
        )
    return values
