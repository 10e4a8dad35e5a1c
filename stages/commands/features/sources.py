"""What turns images into features: layers of a finished cell's network, or the network of a cut."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages.commands.cut.cell import CellPaths, Source, Wanted, open_source, recommended_cell
from stages.commands.cut.export import load_program
from stages.commands.cut.folder import AGAIN, PREPROCESS, Cut, read_cut
from stages.commands.dvc_project.workspace import stage_path
from stages.embed.params import EmbedParams
from stages.shared.files.digests import cell_id, file_sha256
from stages.shared.images.image_store import Pixels
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell, read_section

FORMAT = "whichlayer.features/1"
ROTATED = "with embed.augment the stored embeddings are of rotated images; new images are not rotated"

Float32 = NDArray[np.float32]
EmbedPixels = Callable[[Pixels], Float32]
"""(B, S, S, 3) uint8, RGB -> (B, D) float32."""


@dataclass(frozen=True)
class Extractor:
    """A network and what it takes.

    Attributes:
        about: what the features are of: dataset, model, fold, seed, step, layer, pooling, scale. Kept in the output.
        weights: the network's file.
        width: number of features, D.
        decode: `size`, `fit` and `fill`: how images are decoded, as the prepare stage does.
        batch_size: images per forward pass.
        running: makes it ready to run, as a context manager that gives the function that embeds a batch.
        device: what runs it.
        note: what a user should know; may be empty.
    """

    about: Mapping[str, Any]
    weights: Path
    width: int
    decode: Mapping[str, Any]
    batch_size: int
    running: Callable[[], AbstractContextManager[EmbedPixels]]
    device: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the features beside the images: JSON values, a hash of the weights among them."""
        about = {"format": FORMAT, "weights": file_sha256(self.weights), "torch": torch.__version__}
        return about | {"batch_size": self.batch_size, **self.decode, **self.about, **self.device}


def open_extractor(params: Path, origin: Path | None, wanted: Wanted) -> Extractor:
    """Find the network that `--from` names.

    Args:
        params: the params file.
        origin: the folder of a cut, or a path that ends in a cell's name; None: that of the best network for the use.
        wanted: which layers of a cell, at which checkpoint, how scaled; of a cut, its own or nothing.

    Raises:
        UserError: there is no such cell, layer, step or cut.
    """
    if origin and (origin / PREPROCESS).is_file():
        return from_cut(read_cut(origin), read_section(params, "embed", EmbedParams).batch_size, wanted)
    cell = parse_cell(str(origin or recommended_cell(stage_path("aggregate", "--out"), wanted.use)))
    return from_cell(open_source(params, cell, CellPaths.of(cell), wanted))


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


def from_cell(source: Source) -> Extractor:
    """Take layers of one checkpoint, as the embed stage does, scaled and joined.

    Raises:
        UserError: images would be decoded in another way than those of the dataset were.
    """
    names = [pooled.layer.name for pooled in source.layers]
    packed, entry = source.cell.images, source.dataset
    if (packed.size, packed.fill) != (entry.image_size, entry.fill):
        raise UserError(
            f"datasets.{source.store.dataset}: prepared images have image_size {packed.size} and fill {packed.fill}, "
            f"params.yaml has {entry.image_size} and {entry.fill}; run `dvc repro`, or undo the change"
        )
    embedder = replace(source.cell.embedder, layers=source.layers, logits=False, rotation=None)
    accelerator = embedder.accelerator

    @contextmanager
    def running() -> Iterator[EmbedPixels]:
        embedder.network.move(accelerator.device)
        with embedder.running() as embed:

            def embed_pixels(pixels: Pixels) -> Float32:
                embedded = embed(np.arange(len(pixels)), pixels)
                return source.scaler.join([_finite(embedded[name], name) for name in names])

            yield embed_pixels

    about, layer = cell_id(source.store.cell) | {"step": source.step}, source.layer
    return Extractor(
        about=about | {"layer": layer.name, "pooling": layer.pooling, "scale": source.scaler.scaling},
        weights=source.checkpoint,
        width=layer.width,
        decode={"size": entry.image_size, "fit": entry.fit, "fill": entry.fill},
        batch_size=source.cell.params.batch_size,
        running=running,
        device={"device": accelerator.device.type, "precision": accelerator.mixed_precision},
        note=ROTATED if source.cell.params.augment else "",
    )


def from_cut(cut: Cut, batch_size: int, wanted: Wanted) -> Extractor:
    """Take a cut network, on the CPU.

    Raises:
        UserError: another layer, step or scale is asked for than the one it is cut at.
    """
    layer = cut.about["layer"]
    asked = {"layer": "+".join(wanted.layers) or None, "step": wanted.step, "scale": wanted.scale}
    for name, value in asked.items():
        if value not in (None, cut.about[name]):
            raise UserError(
                f"--{name}: {cut.program.parent} is cut at {cut.about[name]}, not at {value}; leave it out, or name "
                "the cell"
            )

    @contextmanager
    def running() -> Iterator[EmbedPixels]:
        try:
            program = load_program(cut.program)
        except Exception as error:  # torch raises anything on a file that is not its own
            raise UserError(
                f"{cut.program}: must be a program that torch {torch.__version__} loads, found "
                f"{type(error).__name__}; {AGAIN}"
            ) from error

        def embed(pixels: Pixels) -> Float32:
            with torch.inference_mode():
                return _finite(program(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()).numpy(), layer)

        yield embed

    return Extractor(cut.about, cut.program, cut.width, cut.decode, batch_size, running)


def _finite(values: Float32, layer: str) -> Float32:
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"layer {layer!r} must be finite, found NaN or infinity in {bad} of {len(values)} images of a batch; on a "
            "GPU, set ACCELERATE_MIXED_PRECISION=no"
        )
    return values
