"""The embedding store: one Zarr group per cell, one array per layer; how it is written and read.

Opens with `xarray.open_zarr(path, consolidated=False)`:

    <layer>            (step, sample, feature_<layer>) float32 or float16; a second pooling is `<layer>@<pooling>`
    pixels             (sample, feature_pixels): the raw-pixel baseline, depth -1, the same at every step
    logits             (step, sample, class) float32: the network's own head; not of a frozen network, which has none
    step, sample_id, split, label, group, class_name    coordinates; `group` is empty where images are not grouped
    set, seen_as       further ones, where classes are scored in sets (`stages.shared.images.image_store`)

    last_step/         another such store, only of the last step (absent if it would be empty): the splits `train`
                       (some seen training images)
    digests/           an empty group; its attributes are the digests of all files
                       (`stages.shared.workflow.digests`), of last_step/ only those of its own digests

Samples of one split are contiguous. Arrays are filled with NaN until written; `complete` is the last attribute to be
set, and the digests are written after that, the outer store's after the inner one's.
"""

import math
from collections.abc import Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from ..runtime.errors import UserError
from ..workflow.digests import CELL, ArtifactId, Digests, read_digests, record_files
from ..workflow.shard_reader import ShardReader
from .embeddings import (
    BASELINE,
    LOGITS,
    SAMPLE_COLUMNS,
    SET_COLUMNS,
    Embeddings,
    Float32,
    Layer,
)

FORMAT = "whichlayer.embeddings/4"
DIGESTS_GROUP = "digests"
"""The group whose attributes are the digests: zarr warns of a plain file among arrays."""

LAST_STEP = "last_step"
COORDINATES = (*SAMPLE_COLUMNS, *SET_COLUMNS, "step", "class_name")

ONE_THREAD = {"threading.max_workers": 1, "async.concurrency": 1}
"""How stores are read: as fast as with zarr's own pool, whose threads each keep memory for a shard."""

SAMPLES_PER_CHUNK = 256
SAMPLES_PER_SHARD = 4096


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


def sample_columns(present: Container[str]) -> list[str]:
    """List a store's columns of samples: those that all have, and of the others those that are present."""
    return [*SAMPLE_COLUMNS, *(name for name in SET_COLUMNS if name in present)]


def layer_attributes(layer: Layer) -> dict[str, Any]:
    """Return what an array says of its layer, to whoever opens the store without this project."""
    name = "raw pixels" if layer.name == BASELINE else f"embedding at {layer.module}"
    return {"long_name": name, "depth": layer.depth, "pooling": layer.pooling}


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
