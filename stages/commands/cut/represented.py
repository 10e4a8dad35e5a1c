"""What a representation does with the rows of its layers, in a program as in the library; and that of a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...aggregate.facts import Facts, RepresentationRecord
from ...core.representations.representation import Representation
from ...core.scores.embedded_split import EQUALS_MEAN
from ...shared.embeddings.embeddings import Embeddings
from ...shared.embeddings.split_names import UNSEEN
from ...shared.runtime.errors import UserError

Float32 = NDArray[np.float32]

Steps = tuple[tuple[bool, bool], ...]
"""Of each step, whether it has a mean and a matrix."""


def represent(parts: Sequence[Tensor], steps: Steps, *tensors: Tensor) -> Tensor:
    """Do what `Representation.transform` does, in double precision: (B, D) of every layer -> (B, n_features_out_)."""
    values = iter(tensors)

    def turned(rows: Tensor, has_mean: bool, has_matrix: bool) -> Tensor:
        equal = torch.zeros_like(rows[:, :1], dtype=torch.bool)
        if has_mean:
            mean = next(values)
            rows = rows - mean
            equal = torch.linalg.vector_norm(rows, dim=1, keepdim=True) <= EQUALS_MEAN * torch.linalg.vector_norm(mean)
        rows = rows @ next(values) if has_matrix else rows
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        keep = (length > 0) & ~equal
        return torch.where(keep, rows / torch.where(keep, length, 1.0), 0.0)

    rows = torch.cat([turned(part.double(), *step) for part, step in zip(parts, steps, strict=False)], dim=1)
    rows = rows / len(parts) ** 0.5
    for step in steps[len(parts) :]:
        rows = turned(rows, *step)
    return rows.float()


@dataclass(frozen=True)
class Represented:
    """Rows of several layers become one vector, as `Scaler` joins them.

    Attributes:
        representation: fitted.
        scores: MAP@R on classes that took no part, of what is chosen, of the best single layer and of the last one.
    """

    representation: Representation
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def scaling(self) -> str:
        """Its recipe."""
        return str(self.representation.recipe)

    @property
    def about(self) -> dict[str, Any]:
        """What a card says of it, as JSON values."""
        of = self.representation
        made = {"layers": [*of.layers], "recipe": of.recipe, "dimensions": of.dimensions}
        return made | {"reference_classes": of.reference_classes_, "scores": dict(self.scores)}

    @property
    def program(self) -> tuple[Any, Any]:
        """The function of vectors, its second argument, and after it come those in `fitted`, for a program."""
        return represent, tuple((s.mean is not None, s.matrix is not None) for s in self.representation.steps.values())

    @property
    def fitted(self) -> dict[str, Tensor]:
        """Means and matrices, by the names that they have in a program."""
        named = self.representation.arrays.items()
        return {name.replace(".", "_"): torch.from_numpy(np.array(values, order="C")) for name, values in named}

    def join(self, parts: Sequence[Float32]) -> Float32:
        """Turn the vectors of every layer, (B, D) each, into one of each image."""
        of = self.representation
        return np.asarray(of.transform(dict(zip(of.layers, parts, strict=True))))


def record_of(facts: Facts, cell: tuple[str, str] | None = None) -> RepresentationRecord:
    """Return the representation that a study recommends: of a frozen network of a dataset, or of the best one.

    That of a fine-tuned network is none of one cell: it was fitted in each fold anew.

    Raises:
        UserError: there is none, or it is open which dataset is meant.
    """
    frozen = [each for each in facts.representations if each.step is None]
    found = [each for each in frozen if cell in (None, (each.dataset, each.model))]
    if not found:
        of = "" if cell is None else f" of {', '.join(cell)}"
        raise UserError(
            f"--layer representation: the results must have a representation{of}, found none; list `representations` "
            "in measure.analyses, for a frozen network and classes in two sets or more (`unseen_classes: all`), and "
            "run `dvc repro`"
        )
    if len(datasets := {each.dataset for each in found}) > 1:
        raise UserError(
            f"--from: must be a cell (dataset/model/fold/seed), since the results have {len(datasets)} datasets"
        )
    return max(found, key=lambda each: each.value)


def fit_recommended(store: Embeddings, record: RepresentationRecord, dimensions: int | None) -> Represented:
    """Fit what a study recommends to the stored embeddings of all classes of all sets.

    Args:
        store: of its frozen network.
        record: what is recommended.
        dimensions: that are left; None: all.

    Raises:
        UserError: a layer is not in the store, or there are more dimensions than features or images.
    """
    layers, step = {layer.name: layer for layer in store.layers}, store.steps[-1]
    if lacking := [name for name in record.layers if name not in layers]:
        raise UserError(f"layer {lacking[0]!r}, which the results name, is not in the embedding store; run `dvc repro`")
    parts = [(own, UNSEEN if UNSEEN in own.splits else own.splits[0]) for own in store.sets]
    arrays = {
        name: np.concatenate([own.features(layers[name], step, split) for own, split in parts])
        for name in record.layers
    }
    made = Representation(tuple(record.layers), record.recipe, dimensions)
    made.fit(arrays, np.concatenate([own.labels(split) for own, split in parts]))
    scores = {"representation": record.value, "best single layer": record.layer_value, "last layer": record.last_value}
    return Represented(made, scores)
