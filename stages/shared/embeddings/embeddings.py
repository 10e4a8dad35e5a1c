"""One cell's embeddings as the scores read them, wherever the arrays are: in a store, or in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..runtime.errors import UserError, check_known
from ..workflow.digests import ArtifactId, repair_hint
from ..workflow.params import Cell
from .split_names import BASELINE as BASELINE
from .split_names import SEEN, TRAIN

LOGITS = "logits"
SAMPLE_COLUMNS = ("sample_id", "split", "label", "group")
SET_COLUMNS = ("set", "seen_as")

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One embedding of a network.

    Attributes:
        name: the array's name: the module's path, with `@<pooling>` for a further pooling of the same module.
        module: the module's path.
        depth: 0 at the input side, counting tapped modules; -1 for the raw-pixel baseline.
        pooling: what turned the module's output into a vector: `mean`, `class_token`, `token0`, `max`, `gem`,
            `cls_mean`, or `none` (it already was one).
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
