"""Joins of layers and recipes for their rows, judged on unseen classes with what is fitted to images of other classes.

A frozen network has its classes in sets, each judged with what is fitted to the other sets. A fine-tuned one is judged
on its fold's unseen classes, before training and at the end, with what is fitted to test images of the seen ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core.representations.candidates import Candidate
from ...core.representations.choice import Choice, choose_representation, judge_classes
from ...core.scores.arrays import Float32, Float64
from ...core.scores.refits import class_groups, left_out_part
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.tables.metric_table import ALL_BUT_ONE_CLASS, ANALYSIS_TABLES, CHOOSING, JUDGED, LAYERS_SEPARATOR
from ..cell import Cell, own_groups
from .result import AnalysisResult

LEFT_OUT = "representations left out: they need classes in two sets or more, and are fitted to those of other sets"


def representations(cells: Sequence[Cell]) -> list[AnalysisResult]:
    """Score the candidates of `measure.representations` in every set, without raw pixels and further poolings.

    A set has the scores of its own classes, and the mean over all others, by which one would choose for it. The first
    set also has the means over all classes but one. A fine-tuned network has the first and the last of these.
    """
    first = cells[0]
    if not first.store.frozen:
        steps = [step for step in first.store.steps if step in (0, first.step)]
        return [AnalysisResult(rows=[row for step in steps for row in _of_checkpoint(first, step)])]
    if len(cells) < 2:
        return [AnalysisResult(notes=[LEFT_OUT])]
    labels = [cell.store.labels(UNSEEN) for cell in cells]
    folds = {name: number for number, own in enumerate(labels) for name in np.unique(own).tolist()}
    groups = [f"{number} {own}" for number, cell in enumerate(cells) for own in own_groups(cell.store, cell.params)]
    arrays = _joined_images([(cell, UNSEEN) for cell in cells], first.step)
    how = first.params.representations.model_dump()
    choice = choose_representation(arrays, np.concatenate(labels), groups, folds=folds, **how)
    return [AnalysisResult(rows=_of_set(choice, number, cell.step)) for number, cell in enumerate(cells)]


def _joined_images(parts: Sequence[tuple[Cell, str]], step: int) -> dict[str, Float32]:
    """Return every layer's embedding of several splits, one after the other, by the layer's name."""
    layers = [layer for layer in parts[0][0].store.layers if layer.depth >= 0 and layer.name == layer.module]
    return {
        layer.name: np.concatenate([cell.store.features(layer, step, split) for cell, split in parts])
        for layer in layers
    }


def _of_checkpoint(cell: Cell, step: int) -> list[dict[str, Any]]:
    """List what one checkpoint has, which is fitted to no unseen image."""
    unseen, seen = (cell.store.labels(split) for split in (UNSEEN, SEEN))
    own = own_groups(cell.store, cell.params)
    groups = np.concatenate([own, np.arange(len(own), len(own) + len(seen))])
    arrays = _joined_images([(cell, UNSEEN), (cell, SEEN)], step)
    how = cell.params.representations.model_dump()
    found = judge_classes(arrays, np.concatenate([unseen, seen]), np.unique(unseen).tolist(), groups, **how)
    values = {(JUDGED, name): scores for name, scores in zip(found.classes, found.class_scores.T, strict=True)}
    return _rows(step, found.candidates, values | _without(found.classes, found.without))


def _of_set(choice: Choice, number: int, step: int) -> list[dict[str, Any]]:
    """List what one set has."""
    names = choice.classes
    values = {(JUDGED, names[k]): choice.class_scores[:, k] for k in np.flatnonzero(choice.folds == number)}
    values[CHOOSING, ""] = choice.choosing[number]
    return _rows(step, choice.candidates, values | (_without(names, choice.without) if number == 0 else {}))


def _without(names: Sequence[str], without: Float64) -> dict[tuple[str, str], Float64]:
    """Name the means over all classes but one group of them, (G, C)."""
    parts = [left_out_part([names[k] for k in group]) for group in class_groups(names)] if len(without) else []
    return {(ALL_BUT_ONE_CLASS, part): own for part, own in zip(parts, without, strict=True)}


def _rows(
    step: int, candidates: Iterable[Candidate], values: Mapping[tuple[str, str], Float64]
) -> list[dict[str, Any]]:
    """List the values (C,) of all candidates, of every kind and part."""
    keys = [(LAYERS_SEPARATOR.join(each.arrays), each.join, each.recipe) for each in candidates]
    rows = [
        (step, *key, kind, part, value)
        for (kind, part), own in values.items()
        for key, value in zip(keys, own, strict=True)
    ]
    return [dict(zip(ANALYSIS_TABLES["representations"], row, strict=True)) for row in rows]
