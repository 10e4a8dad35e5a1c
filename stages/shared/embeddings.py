"""The embedding store: one Zarr group per cell, one array per layer.

Opens with `xarray.open_zarr(path, consolidated=False)`:

    <layer>            (step, sample, feature_<layer>) float32 or float16; a second pooling is `<layer>@<pooling>`
    pixels             (sample, feature_pixels): the raw-pixel baseline, depth -1, the same at every step
    logits             (step, sample, class) float32: the network's own head
    step, sample_id, split, label, class_name    coordinates

Samples of one split are contiguous. Arrays are filled with NaN until written, and `complete` is the last attribute to
be set, so that neither a lost shard nor an interrupted run passes for data.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from stages.shared.console import UserError, nearest

FORMAT = "whichlayer.embeddings/1"
SAMPLES_PER_CHUNK = 256
SAMPLES_PER_SHARD = 4096
BASELINE = "pixels"
LOGITS = "logits"

Floats = NDArray[np.float32]


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
    """

    name: str
    module: str
    depth: int
    pooling: str
    width: int
    parameters: int


class EmbeddingWriter:
    """Writes one cell's embeddings, step by step and in sample order, a whole shard at a time.

    Use as a context manager: leaving it without an error checks that every row of every array was written, then
    marks the store complete.
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
            samples: columns sample_id, split, label; the rows of one split contiguous.
            steps: the checkpoints' steps, ascending.
            layers: every layer in order of depth; the one named `pixels` has no step axis.
            classes: names of the head's classes.
            dtype: `float32` or `float16`.
            attributes: dataset, model, seed, library versions: JSON values.
        """
        self.steps, self.layers = list(steps), list(layers)
        self.count = len(samples)
        self.group = zarr.create_group(path)
        self._arrays = {
            layer.name: self._create(layer.name, layer.width, dtype, f"feature_{layer.name}") for layer in layers
        }
        if self.steps and classes:
            self._arrays[LOGITS] = self._create(LOGITS, len(classes), "float32", "class")
        self._buffers: dict[str, list[Floats]] = {name: [] for name in self._arrays}
        self._written = {(name, step): 0 for name in self._arrays for step in self._steps_of(name)}
        self._coordinates(samples, classes)
        self.group.attrs.update(
            format=FORMAT,
            **attributes,
            layers=[asdict(layer) for layer in layers],
            coordinates="sample_id split label class_name",
        )

    def write(self, name: str, step: int, batch: Floats) -> None:
        """Append a batch of rows of one array.

        Args:
            name: a layer's name, `pixels`, or `logits`.
            step: the checkpoint's step; ignored for `pixels`.
            batch: (B, width), the next B samples in order.
        """
        self._buffers[name].append(np.asarray(batch))
        if sum(map(len, self._buffers[name])) >= SAMPLES_PER_SHARD:
            self._flush(name, step, whole_shards_only=True)
        buffered = sum(map(len, self._buffers[name]))
        if self._written[name, self._key(name, step)] + buffered == self.count:
            self._flush(name, step, whole_shards_only=False)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Check that everything was written and mark the store complete, unless an error is passing through."""
        if kind is not None:
            return
        for (name, step), rows in self._written.items():
            if rows != self.count:
                raise ValueError(f"array {name!r} at step {step}: {rows} of {self.count} rows were written")
        self.group.attrs["complete"] = True

    def _create(self, name: str, width: int, dtype: str, feature: str) -> zarr.Array:
        stepped = name != BASELINE
        shards = min(SAMPLES_PER_SHARD, -(-self.count // SAMPLES_PER_CHUNK) * SAMPLES_PER_CHUNK)
        axis = (1,) if stepped else ()
        return self.group.create_array(
            name,
            shape=((len(self.steps),) if stepped else ()) + (self.count, width),
            dtype=dtype,
            fill_value=np.nan,
            chunks=(*axis, SAMPLES_PER_CHUNK, width),
            shards=(*axis, shards, width),
            compressors=[zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec()],
            dimension_names=(("step",) if stepped else ()) + ("sample", feature),
        )

    def _coordinates(self, samples: pd.DataFrame, classes: Sequence[str]) -> None:
        steps = self.group.create_array("step", shape=(len(self.steps),), dtype="int64", dimension_names=("step",))
        steps[:] = np.array(self.steps, dtype=np.int64)
        columns = {name: ("sample", samples[name].tolist()) for name in ("sample_id", "split", "label")}
        columns["class_name"] = ("class", list(classes))
        for name, (dimension, values) in columns.items():
            array = self.group.create_array(name, shape=(len(values),), dtype=str, dimension_names=(dimension,))
            array[:] = np.array(values, dtype=object)

    def _key(self, name: str, step: int) -> int:
        return -1 if name == BASELINE else step

    def _steps_of(self, name: str) -> list[int]:
        return [-1] if name == BASELINE else self.steps

    def _flush(self, name: str, step: int, *, whole_shards_only: bool) -> None:
        rows = np.concatenate(self._buffers[name])
        keep = len(rows) % SAMPLES_PER_SHARD if whole_shards_only else 0
        ready = len(rows) - keep
        key = self._key(name, step)
        start = self._written[name, key]
        if ready:
            index = () if name == BASELINE else (self.steps.index(step),)
            self._arrays[name][(*index, slice(start, start + ready))] = rows[:ready]
        self._written[name, key] = start + ready
        self._buffers[name] = [rows[ready:]] if keep else []


@dataclass(frozen=True)
class Embeddings:
    """One cell's embeddings, read a layer of a split at a time.

    Attributes:
        dataset, model, seed: the cell.
        steps: the checkpoints' steps, ascending.
        layers: in order of depth, the raw-pixel baseline (depth -1) first if present.
        samples: sample_id, split, label, in row order.
        classes: names of the head's classes.
    """

    dataset: str
    model: str
    seed: int
    steps: tuple[int, ...]
    layers: tuple[Layer, ...]
    samples: pd.DataFrame
    classes: tuple[str, ...]
    _group: zarr.Group

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were embedded, in row order."""
        return tuple(self.samples["split"].unique())

    def labels(self, split: str) -> NDArray[np.str_]:
        """Class names of one split's samples, (N,)."""
        return self.samples["label"].to_numpy(dtype=str)[self._rows(split)]

    def features(self, layer: Layer, step: int, split: str) -> Floats:
        """One layer's embedding of one split at one step, (N, width) float32.

        Raises:
            UserError: it holds NaN or infinity; names the layer, step and how many images.
        """
        return self._read(layer.name, step, split)

    def logits(self, step: int, split: str) -> Floats:
        """The head's logits for one split at one step, (N, classes) float32.

        Raises:
            UserError: they hold NaN or infinity.
        """
        return self._read(LOGITS, step, split)

    def _read(self, name: str, step: int, split: str) -> Floats:
        rows = self._rows(split)
        index = () if name == BASELINE else (self.steps.index(step),)
        values = np.asarray(self._group[name][(*index, rows)], dtype=np.float32)
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        if bad:
            raise UserError(
                f"embeddings of {self.dataset}, {self.model}, seed {self.seed}: layer {name!r} at "
                f"step {step} must be finite, found NaN or infinity in {bad} of {len(values)} {split} images; "
                "if training diverged, lower finetune.learning_rate; "
                "if embed.dtype is float16 the values may exceed its range: use float32"
            )
        return values

    def _rows(self, split: str) -> slice:
        rows = np.flatnonzero(self.samples["split"] == split)
        if len(rows) == 0:
            raise UserError(f"split {split!r} was not embedded: {nearest(split, self.splits)}")
        return slice(int(rows[0]), int(rows[-1]) + 1)


def open_embeddings(path: Path) -> Embeddings:
    """Open one cell's embeddings.

    Raises:
        UserError: they are missing, unfinished, or of another version.
    """
    try:
        group = zarr.open_group(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: no embeddings there; run the embed stage (`dvc repro`)") from None
    attrs = group.attrs.asdict()
    if attrs.get("format") != FORMAT or not attrs.get("complete"):
        raise UserError(
            f"{path}: must be a finished store of format {FORMAT}, found {attrs.get('format')!r}, "
            f"complete: {json.dumps(attrs.get('complete', False))}; run the embed stage again (`dvc repro --force`)"
        )
    samples = pd.DataFrame({name: group[name][:].tolist() for name in ("sample_id", "split", "label")})
    return Embeddings(
        dataset=attrs["dataset"],
        model=attrs["model"],
        seed=attrs["seed"],
        steps=tuple(int(s) for s in group["step"][:]),
        layers=tuple(Layer(**layer) for layer in attrs["layers"]),
        samples=samples,
        classes=tuple(group["class_name"][:].tolist()),
        _group=group,
    )
