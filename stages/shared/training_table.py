"""training.csv: loss, test accuracy and learning rate of one training run against the step."""

from pathlib import Path

import pandas as pd

from stages.shared.csv_table import FLOAT, INTEGER, TEXT, read_table

COLUMNS = {
    "dataset": TEXT,
    "model": TEXT,
    "fold": TEXT,
    "seed": INTEGER,
    "step": INTEGER,
    "loss": FLOAT,
    "accuracy": FLOAT,
    "learning_rate": FLOAT,
}
"""Columns of a training curve.

Attributes:
    step: optimizer steps taken.
    loss: mean training loss since the row before; empty at step 0.
    accuracy: of the network's head on test images of the seen classes; empty at step 0 and where it was not tested.
    learning_rate: of the step to come.
"""


def read_training(path: Path) -> pd.DataFrame:
    """Read one cell's training curve; no rows of a network that was not trained.

    Raises:
        UserError: it is missing, is no table, or lacks a column.
    """
    return read_table(path, COLUMNS, what="a training curve", stage="finetune")
