"""Joins of layers and recipes for their rows, each set of classes judged with what is fitted to the other sets."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.representations.choice import Choice, choose_representation
from ...core.scores.arrays import Float64
from ...core.scores.refits import class_groups, left_out_part
from ...shared.embeddings.split_names import UNSEEN
from ...shared.tables.metric_table import ALL_BUT_ONE_CLASS, ANALYSIS_TABLES, CHOOSING, JUDGED, LAYERS_SEPARATOR
from ..cell import Cell, own_groups
from .result import AnalysisResult

LEFT_OUT = "representations left out: they need classes in two sets or more, and are fitted to those of other sets"


def representations(cells: Sequence[Cell]) -> list[AnalysisResult]:
    """Score the candidates of `measure.representations` in every set, without raw pixels and further poolings.

    A set has the scores of its own classes, and the mean over all others, by which one would choose for it. The first
    set also has the means over all classes but one.
    """
    if len(cells) < 2:
        return [AnalysisResult(notes=[LEFT_OUT])]
    layers = [layer for layer in cells[0].store.layers if layer.depth >= 0 and layer.name == layer.module]
    arrays = {
        layer.name: np.concatenate([cell.store.features(layer, cell.step, UNSEEN) for cell in cells])
        for layer in layers
    }
    labels = [cell.store.labels(UNSEEN) for cell in cells]
    folds = {name: number for number, own in enumerate(labels) for name in np.unique(own).tolist()}
    groups = [f"{number} {own}" for number, cell in enumerate(cells) for own in own_groups(cell.store, cell.params)]
    how = cells[0].params.representations.model_dump()
    choice = choose_representation(arrays, np.concatenate(labels), groups, folds=folds, **how)
    return [AnalysisResult(rows=_rows(choice, number, cell.step)) for number, cell in enumerate(cells)]


def _rows(choice: Choice, number: int, step: int) -> list[dict[str, Any]]:
    """List what one set has: of every kind and part, all candidates."""
    names = choice.classes
    values: dict[tuple[str, str], Float64] = {
        (JUDGED, names[k]): choice.class_scores[:, k] for k in np.flatnonzero(choice.folds == number)
    }
    values[CHOOSING, ""] = choice.choosing[number]
    if number == 0 and len(choice.without):
        parts = [left_out_part([names[k] for k in group]) for group in class_groups(names)]
        values |= {(ALL_BUT_ONE_CLASS, part): own for part, own in zip(parts, choice.without, strict=True)}
    candidates = [(LAYERS_SEPARATOR.join(each.arrays), each.join, each.recipe) for each in choice.candidates]
    rows = [
        (step, *candidate, kind, part, value)
        for (kind, part), own in values.items()
        for candidate, value in zip(candidates, own, strict=True)
    ]
    return [dict(zip(ANALYSIS_TABLES["representations"], row, strict=True)) for row in rows]
