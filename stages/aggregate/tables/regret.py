"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from stages.aggregate.columns import columns_of, frame

Among = Literal["layers", "layers_and_checkpoints"]
"""Among what the best candidate is: all layers at the last step, or all layers at all checkpoints."""

Kind = Literal["criterion", "baseline", "label_free", "control"]
"""`control`: a negative control, expected not to help."""


@dataclass(frozen=True)
class RegretRow:
    """One row of regret.csv, None where a field is empty."""

    dataset: str
    model: str
    fold: str
    metric: str
    candidates: Among
    criterion: str
    kind: Kind
    layer: str | None
    depth: int | None
    step: int | None
    value: float
    best_value: float
    regret_at_most: float
    regret_at_least: float | None


REGRET_COLUMNS = columns_of(RegretRow)
"""Columns of regret.csv.

Attributes:
    dataset, model, metric: the network, and a score that leads a use.
    fold: the fold whose classes the criterion did not know; `mean`: over all folds.
    candidates: among what the best is: `layers` (at the last step), or `layers_and_checkpoints` (every step at which
        the score was fitted again on halves, else at which it was measured).
    criterion, kind: how the layer was chosen: `criterion`, `baseline`, `label_free` (from the fold's unseen images
        without labels), or `control`, which is not expected to help.
    layer, depth, step: the choice; of `mean` empty where folds differ. `random_layer` has no layer: its value is the
        mean over all. Only `other_folds` chooses among checkpoints.
    value, best_value: of the choice and of the best candidate on the fold's unseen classes, the best chosen and scored
        on the same images.
    regret_at_most: by how much the best is better, positive also where lower scores are better; too large on average,
        since the best is lucky.
    regret_at_least: the same, the best chosen on one half of the images and scored on the other half, as is the choice;
        too small on average, since that best is not always the best, and below 0 where the choice is better. Empty
        where nothing was fitted again on halves.
"""


def regret_table(rows: Iterable[RegretRow]) -> pd.DataFrame:
    """Tabulate regrets: `REGRET_COLUMNS`."""
    return frame(map(vars, rows), REGRET_COLUMNS)
