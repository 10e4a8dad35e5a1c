"""steps.csv: every curve's best score at every step, the layer chosen in both published ways."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from stages.aggregate.columns import frame, point_columns
from stages.aggregate.curves import CURVE, Curve, Row, Scores, curves
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

STEPS_COLUMNS = {
    **dict.fromkeys(CURVE, TEXT),
    "step": INTEGER,
    "n_folds": INTEGER,
    "n_seeds": INTEGER,
    "accuracy": FLOAT,
    "accuracy_sd": FLOAT,
    "unseen": FLOAT,
    "unseen_sd": FLOAT,
    "best_layer": TEXT,
    "best_depth": INTEGER,
    "unseen_fixed": FLOAT,
    "unseen_fixed_sd": FLOAT,
    "fixed_layer": TEXT,
    "fixed_depth": INTEGER,
    "seen": FLOAT,
    "seen_sd": FLOAT,
    "seen_layer": TEXT,
    "seen_depth": INTEGER,
    "seen_fixed": FLOAT,
    "seen_fixed_sd": FLOAT,
    "seen_fixed_layer": TEXT,
    "seen_fixed_depth": INTEGER,
}
"""Columns of steps.csv.

Attributes:
    accuracy: of the network's own head; empty at step 0.
    unseen, best_layer, best_depth: the layer chosen at each step, on unseen classes.
    unseen_fixed, fixed_layer, fixed_depth: the layer chosen at the first step, followed through the others.
    seen, seen_layer, seen_depth: the layer chosen at each step, on seen classes.
    seen_fixed, seen_fixed_layer, seen_fixed_depth: the layer chosen at the first step, on seen classes.
    accuracy_sd, unseen_sd, unseen_fixed_sd, seen_sd, seen_fixed_sd: standard deviations (ddof = 1): over seeds, of
        `mean` over folds.
"""


def steps_table(scores: Scores) -> pd.DataFrame:
    """Give the best score of every curve that has one at every step, the layer chosen in both published ways.

    Returns:
        `STEPS_COLUMNS`. `unseen` and `seen` are the maxima over layers at that step; `unseen_fixed` and `seen_fixed`
        the scores, at that step, of the layers that were best at the first step. Each split chooses its own layers.
    """
    chosen_from = scores.curves[scores.curves["better"] != "neither"]
    return frame((row for curve in curves(chosen_from) for row in _rows(curve, scores)), STEPS_COLUMNS)


def _rows(curve: Curve, scores: Scores) -> Iterator[dict[str, Any]]:
    name, steps = curve.name, sorted({step for split, step in curve.points if split in (SEEN, UNSEEN)})
    first = {split: curve.best(split, steps[0]) for split in (SEEN, UNSEEN)}
    for step in steps:
        chosen = {split: curve.best(split, step) for split in first}
        fixed = {split: row and _same_layer(curve.at(split, step), row) for split, row in first.items()}
        yield {
            **{key: name[key] for key in CURVE},
            "step": step,
            "n_folds": scores.n_folds(name["fold"]),
            "n_seeds": scores.n_seeds,
            **point_columns(scores.accuracy_at(name, step), accuracy="value", accuracy_sd="sd"),
            **point_columns(chosen[UNSEEN], unseen="value", unseen_sd="sd", best_layer="layer", best_depth="depth"),
            **point_columns(
                fixed[UNSEEN], unseen_fixed="value", unseen_fixed_sd="sd", fixed_layer="layer", fixed_depth="depth"
            ),
            **point_columns(chosen[SEEN], seen="value", seen_sd="sd", seen_layer="layer", seen_depth="depth"),
            **point_columns(
                fixed[SEEN], seen_fixed="value", seen_fixed_sd="sd", seen_fixed_layer="layer", seen_fixed_depth="depth"
            ),
        }


def _same_layer(points: Sequence[Row], first: Row) -> Row | None:
    return next((point for point in points if point["layer"] == first["layer"]), None)
