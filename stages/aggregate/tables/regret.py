"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from stages.aggregate.columns import frame
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

Among = Literal["layers", "layers_and_checkpoints"]
"""Among what the best candidate is: all layers at the last step, or all layers at all checkpoints."""

Kind = Literal["criterion", "baseline", "label_free", "control"]
"""`control`: a negative control, expected not to help."""

REGRET_COLUMNS = {
    **dict.fromkeys(("dataset", "model", "fold", "metric", "candidates", "criterion", "kind", "layer"), TEXT),
    **dict.fromkeys(("depth", "step"), INTEGER),
    **dict.fromkeys(("value", "best_value", "regret"), FLOAT),
}
"""Columns of regret.csv.

Attributes:
    dataset, model, metric: the network and the main score.
    fold: the fold whose classes the criterion did not know; `mean`: over all folds.
    candidates: among what the best is: `layers` (at the last step), or `layers_and_checkpoints` (every step at which
        the score was fitted again on halves).
    criterion, kind: how the layer was chosen: `criterion`, `baseline`, `label_free` (from the fold's unseen images
        without labels), or `control`, which is not expected to help.
    layer, depth, step: the choice; of `mean` empty where folds differ. `random_layer` has no layer: its value is the
        mean over all. Only `other_folds` chooses among checkpoints.
    value, best_value: of the choice and of the best candidate on the fold's unseen classes. The best of each half of
        the images is scored on the other half, so that a maximum's luck does not count.
    regret: by how much the best is better, positive also where lower scores are better; may be slightly negative.
"""


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
    regret: float


def regret_table(rows: Iterable[RegretRow]) -> pd.DataFrame:
    """Tabulate regrets: `REGRET_COLUMNS`."""
    return frame(map(vars, rows), REGRET_COLUMNS)
