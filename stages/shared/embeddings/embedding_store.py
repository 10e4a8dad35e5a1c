"""The embedding store: one Zarr group per cell, one array per layer; how it is written and read.

Opens with `xarray.open_zarr(path, consolidated=False)`:

    <layer>            (step, sample, feature_<layer>) float32 or float16; a second pooling is `<layer>@<pooling>`
    pixels             (sample, feature_pixels): the raw-pixel baseline, depth -1, the same at every step
    logits             (step, sample, class) float32: the network's own head; not of a frozen network, which has none
    step, sample_id, split, label, group, class_name    coordinates; `group` is empty where images are not grouped
    set, seen_as       further ones, where classes are scored in sets (`stages.shared.images.image_store`)

    last_step/         another such store, only of the last step (absent if it would be empty): the splits `train`
                       (some seen training images)
    digests/           an empty group; its attributes are the digests of all files (`stages.shared.core.digests`), of
                       last_step/ only those of its own digests

Samples of one split are contiguous. Arrays are filled with NaN until written; `complete` is the last attribute to be
set, and the digests are written after that, the outer store's after the inner one's.
"""

import math
from collections.abc import Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from stages.shared.core.digests import CELL, ArtifactId, Digests, read_digests, record_files, repair_hint
from stages.shared.core.params import Cell
from stages.shared.core.shard_reader import ShardReader
from stages.shared.embeddings.split_names import SEEN, TRAIN
from stages.shared.runtime.errors import UserError, check_known

FORMAT = "whichlayer.embeddings/4"
DIGESTS_GROUP = "digests"
"""The group whose attributes are the digests: zarr warns of a plain file among arrays."""

BASELINE = "pixels"
LOGITS = "logits"
LAST_STEP = "last_step"
SAMPLE_COLUMNS = ("sample_id", "split", "label", "group")
SET_COLUMNS = ("set", "seen_as")

COORDINATES = (*SAMPLE_COLUMNS, *SET_COLUMNS, "step", "class_name")

ONE_THREAD = {"threading.max_workers": 1, "async.concurrency": 1}
"""How stores are read: as fast as with zarr's own pool, whose threads each keep memory for a shard."""

SAMPLES_PER_CHUNK = 256
SAMPLES_PER_SHARD = 4096

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


class Source(Protocol):
    """Where a cell's arrays are."""

    @property
    def of(self) -> ArtifactId:
        """Dataset, model, fold and seed, for messages."""

    def read(self, name: str, index: tuple[int, ...], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read rows (B, width) of one array, at an index of the axes before."""


@dataclass(frozen=True)
class InMemory:
    """Arrays (N, width) of one step, by name."""

    of: ArtifactId
    arrays: Mapping[str, Float32]

    def read(self, name: str, index: tuple[int, ...], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Take rows of one array."""
        return self.arrays[name][rows]


@dataclass(frozen=True)
class Stored:
    """Arrays of a store; files are compared with their digests when they are read."""

    arrays: Mapping[str, zarr.Array]
    digests: Digests

    @property
    def of(self) -> ArtifactId:
        """What the store belongs to."""
        return self.digests.record.of

    def read(self, name: str, index: tuple[int, ...], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read rows of one array."""
        return ShardReader(self.digests, name, self.arrays[name], index).read(rows)


@dataclass(frozen=True)
class Embeddings:
    """One cell's embeddings, read a layer of a split at a time.

    Attributes:
        dataset, model, fold, seed: the cell.
        steps: the checkpoints' steps, ascending.
        layers: in order of depth, the raw-pixel baseline (depth -1) first if present.
        samples: `SAMPLE_COLUMNS`, and `SET_COLUMNS` where classes are scored in sets, in row order.
        classes: names of the head's classes.
        source: where the arrays are.
        last_step: what was embedded only at the last step; None if nothing was.
        frozen: whether the network was not fine-tuned, so that it has only step 0 and no head.
        made_with: versions of the libraries with which each stage made them, by stage.
    """

    dataset: str
    model: str
    fold: str
    seed: int
    steps: tuple[int, ...]
    layers: tuple[Layer, ...]
    samples: pd.DataFrame
    classes: tuple[str, ...]
    source: Source
    last_step: "Embeddings | None" = None
    frozen: bool = False
    made_with: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def cell(self) -> Cell:
        """Dataset, model, fold and seed."""
        return self.dataset, self.model, self.fold, self.seed

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were embedded, in row order."""
        return tuple(split for split in self.samples["split"].unique() if split)

    @property
    def sets(self) -> "list[Embeddings]":
        """The cell once for each set of its classes, as if that were a fold; itself alone where it has none.

        Unseen are the images of the set; those of other classes are of the last step alone, in the splits train and
        test. Other rows have an empty split.
        """
        if "set" not in self.samples:
            return [self]
        return [self._of_set(name) for name in sorted({*self.samples["set"]} - {""}, key=int)]

    def _of_set(self, name: str) -> "Embeddings":
        inside = self.samples["set"] == name
        unseen, others = self.samples["split"].where(inside, ""), self.samples["seen_as"].mask(inside, "")
        seen = replace(self, fold=name, samples=self.samples.assign(split=others))
        last_step = seen if {TRAIN, SEEN} <= set(seen.splits) else None
        return replace(self, fold=name, samples=self.samples.assign(split=unseen), last_step=last_step)

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
        index = () if name == BASELINE else (self.steps.index(step),)
        of = self.source.of
        cell = ", ".join([str(of["dataset"]), str(of["model"]), f"fold {of['fold']}", f"seed {of['seed']}"])
        where = f"embeddings of {cell}: layer {name!r} at step {step}"
        values = np.asarray(self.source.read(name, index, self._rows(split)), dtype=np.float32)
        if bad := int((~np.isfinite(values)).any(axis=1).sum()):
            raise UserError(
                f"{where} must be finite, found NaN or infinity in {bad} of {len(values)} {split} images; "
                "if training diverged, lower finetune.learning_rate; if embed.dtype is float16 the values may exceed "
                f"its range: use float32; if files of the store were lost, {repair_hint('embed', of)}"
            )
        return values

    def _rows(self, split: str) -> NDArray[np.int64]:
        check_known(split, self.splits, f"split {split!r} was not embedded")
        return np.flatnonzero(self.samples["split"] == split)


def layer_attributes(layer: Layer) -> dict[str, Any]:
    """Return what an array says of its layer, to whoever opens the store without this project."""
    name = "raw pixels" if layer.name == BASELINE else f"embedding at {layer.module}"
    return {"long_name": name, "depth": layer.depth, "pooling": layer.pooling}


def sample_columns(present: Container[str]) -> list[str]:
    """List a store's columns of samples: those that all have, and of the others those that are present."""
    return [*SAMPLE_COLUMNS, *(name for name in SET_COLUMNS if name in present)]


def open_embeddings(path: Path) -> Embeddings:
    """Open one cell's embeddings, with those of only its last step.

    Raises:
        UserError: they are missing, unfinished, of another version, or not as they were written.
    """
    zarr.config.set(ONE_THREAD)
    inner = path / LAST_STEP
    last_step = _open(inner) if inner.exists() else None  # first: opening the outer one, zarr looks into it
    return replace(_open(path), last_step=last_step)


def _open(path: Path) -> Embeddings:
    """Open a store whose files are there with their sizes, those with the contents that describe the others."""
    if not path.is_dir():
        raise UserError(f"{path}: no embeddings there; run the embed stage (`dvc repro`)")
    file = path / DIGESTS_GROUP / "zarr.json"
    digests = read_digests(file, format=FORMAT, of={}, stage="embed", zarr=True)
    names = {name: name.partition("/")[0] for name in digests.record.files}
    digests.check_sizes(*sorted(set(names.values()) - {LAST_STEP}))
    described = [name for name, top in names.items() if top in COORDINATES or "/c/" not in name]
    digests.check("zarr.json", f"{LAST_STEP}/{DIGESTS_GROUP}", *described)
    group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    attrs, arrays = group.attrs.asdict(), dict(group.arrays())
    return Embeddings(
        **{name: attrs[name] for name in CELL},
        steps=tuple(int(s) for s in arrays["step"][:]),
        layers=tuple(Layer(**layer) for layer in attrs["layers"]),
        samples=pd.DataFrame({name: arrays[name][:].tolist() for name in sample_columns(arrays)}),
        classes=tuple(arrays["class_name"][:].tolist()),
        source=Stored(arrays, digests),
        frozen=bool(attrs.get("frozen", False)),
        made_with=attrs.get("made_with", {}),
    )


def write_store_digests(path: Path, of: ArtifactId, *, format: str = FORMAT) -> None:
    """Write the digests of a store's files, and of the store inside it those of its digests, which it has already."""
    files = [file for file in path.iterdir() if file.name not in (LAST_STEP, DIGESTS_GROUP)]
    record = record_files(path, [*files, path / LAST_STEP / DIGESTS_GROUP], format=format, of=of)
    zarr.create_group(path / DIGESTS_GROUP, attributes=record.model_dump(mode="json"), overwrite=True)


class EmbeddingWriter(AbstractContextManager["EmbeddingWriter"]):
    """Writes one cell's embeddings, step by step and in sample order, a whole shard at a time.

    Use as a context manager: leaving it without an error checks that every row of every array was written, then
    marks the store complete and writes its digests.
    """

    def __init__(
        self,
        path: Path,
        *,
        samples: pd.DataFrame,
        steps: Sequence[int],
        layers: Sequence[Layer],
        classes: Sequence[str],
        dtype: str,
        attributes: Mapping[str, Any],
    ) -> None:
        """Create the store.

        Args:
            path: the group's folder, which must not exist.
            samples: columns `SAMPLE_COLUMNS`, and `SET_COLUMNS` if any; the rows of one split contiguous.
            steps: the checkpoints' steps, ascending.
            layers: every layer in order of depth; the one named `pixels` has no step axis.
            classes: names of the head's classes.
            dtype: `float32` or `float16`.
            attributes: dataset, model, fold, seed, frozen, made_with: JSON values.
        """
        self.path, self.steps, self.layers = path, list(steps), list(layers)
        self.of = {name: attributes[name] for name in CELL}
        self.count = len(samples)
        self.group = zarr.create_group(path)
        self._arrays = {
            layer.name: self._create(layer.name, layer.width, dtype, f"feature_{layer.name}", layer_attributes(layer))
            for layer in layers
        }
        if classes:
            about = {"long_name": "logits of the network's own head"}
            self._arrays[LOGITS] = self._create(LOGITS, len(classes), "float32", "class", about)
        self._buffers: dict[str, list[Float32]] = {name: [] for name in self._arrays}
        keys = [(name, step) for name in self._arrays for step in (self.steps[:1] if name == BASELINE else self.steps)]
        self._written = dict.fromkeys(keys, 0)
        self._coordinates(samples, classes)
        self.group.attrs.update(
            format=FORMAT,
            **attributes,
            layers=[asdict(layer) for layer in layers],
            coordinates=" ".join((*sample_columns(samples), "class_name")),
        )

    def write(self, name: str, step: int, batch: Float32) -> None:
        """Append a batch of rows of one array.

        Args:
            name: a layer's name, `pixels`, or `logits`.
            step: the checkpoint's step; ignored for `pixels`.
            batch: (B, width), the next B samples in order.
        """
        buffer, key = self._buffers[name], self.steps[0] if name == BASELINE else step
        buffer.append(np.asarray(batch))
        start, count = self._written[name, key], sum(map(len, buffer))
        keep = 0 if start + count == self.count else count % SAMPLES_PER_SHARD
        if ready := count - keep:
            rows = np.concatenate(buffer)
            index = () if name == BASELINE else (self.steps.index(step),)
            self._arrays[name][(*index, slice(start, start + ready))] = rows[:ready]
            self._written[name, key] = start + ready
            self._buffers[name] = [rows[ready:]] if keep else []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Check that everything was written and mark the store complete, unless an error is passing through."""
        if kind is not None:
            return
        for (name, step), rows in self._written.items():
            if rows != self.count:
                raise ValueError(f"array {name!r} at step {step}: {rows} of {self.count} rows were written")
        self.group.attrs["complete"] = True
        write_store_digests(self.path, self.of)

    def _create(self, name: str, width: int, dtype: str, feature: str, attributes: dict[str, Any]) -> zarr.Array:
        shards = min(SAMPLES_PER_SHARD, math.ceil(self.count / SAMPLES_PER_CHUNK) * SAMPLES_PER_CHUNK)
        steps = () if name == BASELINE else (len(self.steps),)
        axis = (1,) * len(steps)
        return self.group.create_array(
            name,
            shape=(*steps, self.count, width),
            dtype=dtype,
            fill_value=np.nan,
            chunks=(*axis, SAMPLES_PER_CHUNK, width),
            shards=(*axis, shards, width),
            compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
            dimension_names=(*("step",) * len(steps), "sample", feature),
            attributes=attributes,
        )

    def _coordinates(self, samples: pd.DataFrame, classes: Sequence[str]) -> None:
        self.group.create_array("step", data=np.array(self.steps, dtype=np.int64), dimension_names=("step",))
        columns = {name: ("sample", samples[name].tolist()) for name in sample_columns(samples)}
        columns["class_name"] = ("class", list(classes))
        for name, (dimension, values) in columns.items():
            array = self.group.create_array(name, shape=(len(values),), dtype=str, dimension_names=(dimension,))
            array[:] = np.array(values, dtype=object)
