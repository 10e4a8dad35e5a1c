"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there."""

from typing import Literal

from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

Kind = Literal["criterion", "baseline", "label_free", "control"]
"""`control`: a negative control, expected not to help."""

REGRET_COLUMNS = {
    "dataset": TEXT,
    "model": TEXT,
    "fold": TEXT,
    "metric": TEXT,
    "candidates": TEXT,
    "criterion": TEXT,
    "kind": TEXT,
    "layer": TEXT,
    "depth": INTEGER,
    "step": INTEGER,
    "value": FLOAT,
    "best_value": FLOAT,
    "regret_at_most": FLOAT,
    "regret_at_least": FLOAT,
}
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
