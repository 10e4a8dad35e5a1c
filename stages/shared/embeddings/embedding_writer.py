"""Writing an embedding store (`stages.shared.embeddings.embedding_store` has its layout), a whole shard at a time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import zarr

from stages.shared.embeddings.embedding_store import (
    BASELINE,
    DIGESTS_GROUP,
    FORMAT,
    LAST_STEP,
    LOGITS,
    SAMPLE_COLUMNS,
    Float32,
    Layer,
)
from stages.shared.files.digests import ArtifactId, record_files

SAMPLES_PER_CHUNK = 256
SAMPLES_PER_SHARD = 4096


def write_store_digests(path: Path, of: ArtifactId, *, format: str = FORMAT) -> None:
    """Write the digests of a store's files, and of the store inside it those of its digests, which it has already."""
    files = [file for file in path.iterdir() if file.name not in (LAST_STEP, DIGESTS_GROUP)]
    record = record_files(path, [*files, path / LAST_STEP / DIGESTS_GROUP], format=format, of=of)
    zarr.create_group(path / DIGESTS_GROUP, attributes=record.model_dump(mode="json"), overwrite=True)


class EmbeddingWriter:
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
        written: Mapping[int, int] | None = None,
    ) -> None:
        """Create the store, around the shards that are there already of a store that was not finished.

        Args:
            path: the group's folder, which must not exist, or hold those shards and nothing else.
            samples: columns `SAMPLE_COLUMNS`; the rows of one split contiguous.
            steps: the checkpoints' steps, ascending.
            layers: every layer in order of depth; the one named `pixels` has no step axis.
            classes: names of the head's classes.
            dtype: `float32` or `float16`.
            attributes: dataset, model, fold, seed, library versions: JSON values.
            written: how many rows of each step its shards hold; none if not given.
        """
        self.path, self.steps, self.layers = path, list(steps), list(layers)
        self.of = {name: attributes[name] for name in ("dataset", "model", "fold", "seed")}
        self.count = len(samples)
        self.group = zarr.create_group(path)
        self._arrays = {
            layer.name: self._create(layer.name, layer.width, dtype, f"feature_{layer.name}") for layer in layers
        }
        if classes:
            self._arrays[LOGITS] = self._create(LOGITS, len(classes), "float32", "class")
        self._buffers: dict[str, list[Float32]] = {name: [] for name in self._arrays}
        there = {-1: (written or {}).get(self.steps[0], 0), **(written or {})}
        keys = [(name, key) for name in self._arrays for key in ([-1] if name == BASELINE else self.steps)]
        self._written = {(name, key): there.get(key, 0) for name, key in keys}
        self._coordinates(samples, classes)
        self.group.attrs.update(
            format=FORMAT,
            **attributes,
            layers=[asdict(layer) for layer in layers],
            coordinates=" ".join((*SAMPLE_COLUMNS, "class_name")),
        )

    @property
    def written(self) -> dict[int, int]:
        """How many rows of every array are on disk, by step; only right between whole batches."""
        return {
            step: min(self._written[name, self._key(name, step)] for name in self._arrays if name != BASELINE)
            for step in self.steps
        }

    @property
    def shards(self) -> list[Path]:
        """Files of the rows that are on disk; only right between whole batches."""
        folders = [self.path / name / "c" for name in self._arrays]
        return sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())

    def write(self, name: str, step: int, batch: Float32) -> None:
        """Append a batch of rows of one array.

        Args:
            name: a layer's name, `pixels`, or `logits`.
            step: the checkpoint's step; ignored for `pixels`.
            batch: (B, width), the next B samples in order.
        """
        buffer, key = self._buffers[name], self._key(name, step)
        buffer.append(np.asarray(batch))
        start, count = self._written[name, key], sum(map(len, buffer))
        keep = 0 if start + count == self.count else count % SAMPLES_PER_SHARD
        if ready := count - keep:
            rows = np.concatenate(buffer)
            index = () if name == BASELINE else (self.steps.index(step),)
            self._arrays[name][(*index, slice(start, start + ready))] = rows[:ready]
            self._written[name, key] = start + ready
            self._buffers[name] = [rows[ready:]] if keep else []

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
        write_store_digests(self.path, self.of)

    def _create(self, name: str, width: int, dtype: str, feature: str) -> zarr.Array:
        stepped = name != BASELINE
        shards = min(SAMPLES_PER_SHARD, math.ceil(self.count / SAMPLES_PER_CHUNK) * SAMPLES_PER_CHUNK)
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
        columns = {name: ("sample", samples[name].tolist()) for name in SAMPLE_COLUMNS}
        columns["class_name"] = ("class", list(classes))
        for name, (dimension, values) in columns.items():
            array = self.group.create_array(name, shape=(len(values),), dtype=str, dimension_names=(dimension,))
            array[:] = np.array(values, dtype=object)

    def _key(self, name: str, step: int) -> int:
        return -1 if name == BASELINE else step
