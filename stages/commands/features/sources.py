"""Where a network comes from: a finished cell of the workflow, or the folder of a cut."""

import hashlib
from collections.abc import Iterator, Sequence
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
from stages.shared.images.image_store import Pixels
from stages.shared.networks.devices import choose_device
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell, read_section

FORMAT = "whichlayer.features/1"
ROTATED = "with embed.augment the stored embeddings are of rotated images; new images are not rotated"


def open_extractor(
    params: Path, origin: str, folder: Path | None, *, layers: Sequence[str], step: int | None
) -> Extractor:
    """Find the network that `--from` names.

    Args:
        params: the params file.
        origin: `--from` as it was given.
        folder: the same as a path, if there is such a folder.
        layers: of a cell, `recommended`, `best`, `last` or a name each, by default the first; of a cut, its own or
            none. Of several, vectors are scaled to length 1 and joined.
        step: of a cell's checkpoint; None: the last.

    Raises:
        UserError: there is no such cell, layer, step or cut.
    """
    if folder is not None and (folder / PREPROCESS).is_file():
        batch_size = read_section(params, "embed", EmbedParams).batch_size
        return from_cut(read_cut(folder), batch_size, layers=layers, step=step)
    cell = parse_cell(origin)
    sources = _open_layers(params, cell, layers or ["recommended"], step)
    _check_images(sources[0])
    return from_cell(sources, sources[0].embed.batch_size)


def _open_layers(params: Path, cell: Cell, layers: Sequence[str], step: int | None) -> list[Source]:
    """Open each layer at one checkpoint, the first one's.

    Raises:
        UserError: two of them are the same.
    """
    first = open_source(params, cell, CellPaths.of(cell), step=step, layer=layers[0])
    others = [open_source(params, cell, CellPaths.of(cell), step=first.step, layer=name) for name in layers[1:]]
    names = [source.layer.name for source in (first, *others)]
    if len(set(names)) < len(names):
        raise UserError(f"--layer: several layers must differ, found {', '.join(names)}; name each once")
    return [first, *others]


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


def from_cell(sources: Sequence[Source], batch_size: int) -> Extractor:
    """Take a layer of one checkpoint, as the embed stage does; several are scaled to length 1 and joined.

    Args:
        sources: a layer each, of one checkpoint.
        batch_size: of the forward pass.
    """
    source, layers = sources[0], [each.layer for each in sources]
    cell = dict(zip(("dataset", "model", "fold", "seed"), source.store.cell, strict=True))
    accelerator = choose_device()

    @contextmanager
    def running() -> Iterator[EmbedPixels]:
        source.network.move(accelerator.device)
        embedder = Embedder(source.network, [each.tapped for each in sources], False, None, accelerator)
        with embedder.running() as embed:

            def embed_pixels(pixels: Pixels) -> Float32:
                embedded = embed(np.arange(len(pixels)), pixels)
                parts = [_finite(embedded[layer.name], layer.name) for layer in layers]
                return parts[0] if len(parts) == 1 else np.concatenate([_scaled(part) for part in parts], axis=1)

            yield embed_pixels

    joined = {"layer": "+".join(la.name for la in layers), "pooling": "+".join(la.pooling for la in layers)}
    about = cell | {"step": source.step} | joined
    device = {"device": accelerator.device.type, "precision": accelerator.mixed_precision}
    return Extractor(
        about=about,
        identity=_identity(source.checkpoint, source.dataset, batch_size, about | device),
        width=sum(layer.width for layer in layers),
        image_size=source.dataset.image_size,
        fit=source.dataset.fit,
        fill=source.dataset.fill,
        batch_size=batch_size,
        running=running,
        note=ROTATED if source.embed.augment else "",
    )


def _scaled(values: Float32) -> Float32:
    """Scale every row, (B, D), to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0))


def from_cut(cut: Cut, batch_size: int, *, layers: Sequence[str], step: int | None) -> Extractor:
    """Take a cut network, on the CPU.

    Raises:
        UserError: another layer or step is asked for than the one it is cut at.
    """
    for option, wanted, own in (("--layer", "+".join(layers) or None, cut.layer), ("--step", step, cut.step)):
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
