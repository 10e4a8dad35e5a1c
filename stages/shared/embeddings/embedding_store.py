"""The embedding store: one Zarr group per cell, one array per layer.

Opens with `xarray.open_zarr(path, consolidated=False)`:

    <layer>            (step, sample, feature_<layer>) float32 or float16; a second pooling is `<layer>@<pooling>`
    pixels             (sample, feature_pixels): the raw-pixel baseline, depth -1, the same at every step
    logits             (step, sample, class) float32: the network's own head; not of a frozen network, which has none
    step, sample_id, split, label, group, class_name    coordinates; `group` is empty where images are not grouped

    last_step/         another such store, only of the last step (absent if it would be empty): the splits `train`
                       (some seen training images) and `<kind>_<severity>` (some seen test images, corrupted)
    digests/           an empty group; its attributes are the digests of all files (`stages.shared.files.digests`), of
                       last_step/ only those of its own digests

Samples of one split are contiguous. Arrays are filled with NaN until written; `complete` is the last attribute to be
set, and the digests are written after that, the outer store's after the inner one's.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from stages.shared.files.digests import Digests, cell_id, read_digests, repair_hint, rerun_hint
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.settings.params import Cell

FORMAT = "whichlayer.embeddings/4"
EARLIER_FORMATS = {
    "whichlayer.embeddings/1": "the operations up to each layer",
    "whichlayer.embeddings/2": "the operations up to each layer",
    "whichlayer.embeddings/3": "digests",
}
"""What each lacks."""

DIGESTS_GROUP = "digests"
"""The group whose attributes are the digests: zarr warns of a plain file among arrays."""

RERUN = rerun_hint("embed")

BASELINE = "pixels"
LOGITS = "logits"
LAST_STEP = "last_step"
SAMPLE_COLUMNS = ("sample_id", "split", "label", "group")

COORDINATES = (*SAMPLE_COLUMNS, "step", "class_name")

ONE_THREAD = {"threading.max_workers": 1, "async.concurrency": 1}
"""How stores are read: as fast as with zarr's own pool, whose threads each keep memory for a shard."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One embedding of a network.

    Attributes:
        name: the array's name: the module's path, with `@<pooling>` for a further pooling of the same module.
        module: the module's path.
        depth: 0 at the input side, counting tapped modules; -1 for the raw-pixel baseline.
        pooling: what turned the module's output into a vector: `mean`, `class_token`, `token0`, `max`, or `none`
            (it already was one).
        width: number of features.
        parameters: number of the network's parameters that computing this layer uses.
        operations: multiply-adds of one image up to this layer, in convolutions, linear layers and attention.
    """

    name: str
    module: str
    depth: int
    pooling: str
    width: int
    parameters: int
    operations: int

    @property
    def keys(self) -> tuple[str, int, str]:
        """What names it in tables: layer, depth and pooling."""
        return self.module or self.name, self.depth, self.pooling


@dataclass(frozen=True)
class Embeddings:
    """One cell's embeddings, read a layer of a split at a time.

    Attributes:
        dataset, model, fold, seed: the cell.
        steps: the checkpoints' steps, ascending.
        layers: in order of depth, the raw-pixel baseline (depth -1) first if present.
        samples: sample_id, split, label, group, in row order.
        classes: names of the head's classes.
        last_step: what was embedded only at the last step; None if nothing was.
        frozen: whether the network was not fine-tuned, so that it has only step 0 and no head.
    """

    dataset: str
    model: str
    fold: str
    seed: int
    steps: tuple[int, ...]
    layers: tuple[Layer, ...]
    samples: pd.DataFrame
    classes: tuple[str, ...]
    _group: zarr.Group
    _digests: Digests
    last_step: "Embeddings | None" = None
    frozen: bool = False

    @property
    def cell(self) -> Cell:
        """Dataset, model, fold and seed."""
        return self.dataset, self.model, self.fold, self.seed

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were embedded, in row order."""
        return tuple(self.samples["split"].unique())

    def labels(self, split: str) -> NDArray[np.str_]:
        """Return the class names of one split's samples, (N,)."""
        return self.samples["label"].to_numpy(dtype=str)[self._rows(split)]

    def features(self, layer: Layer, step: int, split: str) -> Float32:
        """Return one layer's embedding of one split at one step, (N, width) float32.

        Raises:
            UserError: it holds NaN or infinity, or is damaged; names the layer, step and how many images.
        """
        return self._read(layer.name, step, split)

    def logits(self, step: int, split: str) -> Float32:
        """Return the head's logits for one split at one step, (N, classes) float32.

        Raises:
            UserError: they hold NaN or infinity, or are damaged.
        """
        return self._read(LOGITS, step, split)

    def _read(self, name: str, step: int, split: str) -> Float32:
        rows = self._rows(split)
        index = () if name == BASELINE else (self.steps.index(step),)
        cell = f"{self.dataset}, {self.model}, fold {self.fold}, seed {self.seed}"
        where = f"embeddings of {cell}: layer {name!r} at step {step}"
        self._check_shards(name, index, rows)
        try:
            values = np.asarray(self._group[name][(*index, rows)], dtype=np.float32)
        except (KeyError, OSError, RuntimeError, ValueError) as error:  # zarr's own, and its codecs'
            raise UserError(
                f"{where} must be readable, found it damaged ({error}); {repair_hint('embed', cell_id(self.cell))}"
            ) from None
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        if bad:
            raise UserError(
                f"{where} must be finite, found NaN or infinity in {bad} of {len(values)} {split} images; "
                "if training diverged, lower finetune.learning_rate; if embed.dtype is float16 the values may exceed "
                f"its range: use float32; if files of the store were lost, {repair_hint('embed', cell_id(self.cell))}"
            )
        return values

    def _check_shards(self, name: str, index: tuple[int, ...], rows: slice) -> None:
        """Check the files that hold some rows of an array."""
        length = self._group[name].shards[len(index)]
        shards = range(rows.start // length, (rows.stop - 1) // length + 1)
        self._digests.check(*("/".join(map(str, (name, "c", *index, shard, 0))) for shard in shards))

    def _rows(self, split: str) -> slice:
        rows = np.flatnonzero(self.samples["split"] == split)
        if len(rows) == 0:
            raise UserError(f"split {split!r} was not embedded: {did_you_mean(split, self.splits)}")
        return slice(int(rows[0]), int(rows[-1]) + 1)


def open_embeddings(path: Path) -> Embeddings:
    """Open one cell's embeddings, with those of only its last step.

    Raises:
        UserError: they are missing, unfinished, of another version, or not what their attributes say.
    """
    zarr.config.set(ONE_THREAD)
    _check_there(path)
    inner = path / LAST_STEP
    last_step = _open(inner) if inner.exists() else None  # first: opening the outer one, zarr looks into it
    store = _open(path)
    if last_step is None:
        return store
    if (last_step.cell, last_step.layers, last_step.steps) != (store.cell, store.layers, store.steps[-1:]):
        raise UserError(
            f"{inner}: must hold the layers of {path} at step {store.steps[-1]}, found another cell, other layers or "
            f"the steps {', '.join(map(str, last_step.steps))}; {rerun_hint('embed', cell_id(store.cell))}"
        )
    return replace(store, last_step=last_step)


def _check_there(path: Path) -> None:
    if not path.is_dir():
        raise UserError(f"{path}: no embeddings there; run the embed stage (`dvc repro`)")
    check_finished(path)


def _open(path: Path) -> Embeddings:
    _check_there(path)
    digests = check_described(path, COORDINATES, LAST_STEP)
    group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    attrs = group.attrs.asdict()
    samples = pd.DataFrame({name: group[name][:].tolist() for name in SAMPLE_COLUMNS})
    store = Embeddings(
        dataset=attrs["dataset"],
        model=attrs["model"],
        fold=attrs["fold"],
        seed=attrs["seed"],
        steps=tuple(int(s) for s in group["step"][:]),
        layers=tuple(Layer(**layer) for layer in attrs["layers"]),
        samples=samples,
        classes=tuple(group["class_name"][:].tolist()),
        _group=group,
        _digests=digests,
        frozen=bool(attrs.get("frozen", False)),
    )
    _check_arrays(path, store, {name: array.shape for name, array in group.arrays()})
    return store


def _check_arrays(path: Path, store: Embeddings, shapes_on_disk: dict[str, tuple[int, ...]]) -> None:
    """Check that a store's arrays are those that its attributes and coordinates name, no more and no fewer.

    Raises:
        UserError: naming the first that is not.
    """
    S, N = len(store.steps), len(store.samples)
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(SAMPLE_COLUMNS, (N,))
    expected |= {"step": (S,), "class_name": (len(store.classes),)}
    expected |= {layer.name: (*(() if layer.name == BASELINE else (S,)), N, layer.width) for layer in store.layers}
    expected |= {LOGITS: (S, N, len(store.classes))} if S and store.classes else {}
    wrong = [name for name in {**expected, **shapes_on_disk} if shapes_on_disk.get(name) != expected.get(name)]
    if wrong:
        first, states = wrong[0], (expected, shapes_on_disk)
        must, found = (f"shape {shapes[first]}" if first in shapes else "none" for shapes in states)
        raise UserError(
            f"{path}: array {first!r} must be as the store's attributes say, {must}, found {found}; "
            f"{rerun_hint('embed', cell_id(store.cell))}"
        )


def check_finished(path: Path) -> None:
    """Check that a store is not of an earlier format or unfinished, as far as it can be read.

    Raises:
        UserError: saying which of the two does not hold.
    """
    try:
        attrs = json.loads((path / "zarr.json").read_bytes())["attributes"]
        format_, complete = str(attrs.get("format")), attrs.get("complete", False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    if format_ in EARLIER_FORMATS:
        raise UserError(
            f"{path}: must be of format {FORMAT}, found {format_}, which an earlier version of whichlayer wrote and "
            f"which lacks {EARLIER_FORMATS[format_]}; {RERUN}"
        )
    if format_ == FORMAT and not complete:
        raise UserError(
            f"{path}: must be a finished store of format {FORMAT}, found it unfinished, complete: "
            f"{json.dumps(complete)}; {RERUN}"
        )


def check_described(path: Path, coordinates: Collection[str], inner: str) -> Digests:
    """Check that all files of a store are there with their sizes, and what is in those that describe the others.

    Args:
        path: the store.
        coordinates: names of its small arrays, which are read at once.
        inner: name of the store inside it, which has digests of its own.

    Raises:
        UserError: naming the first file that is not as it was written.
    """
    file = path / DIGESTS_GROUP / "zarr.json"
    digests = read_digests(file, format=FORMAT, of={}, stage="embed", folder=path, key="attributes")
    tops = {name.partition("/")[0] for name in digests.record.files} - {inner}
    digests.check_sizes(*sorted(tops))
    described = [name for name in digests.record.files if name.partition("/")[0] in coordinates or "/c/" not in name]
    return digests.check("zarr.json", f"{inner}/{DIGESTS_GROUP}", *described)
