"""training.csv: loss, test accuracy and learning rate of one training run against the step."""

from pathlib import Path

import pandas as pd

from ..workflow.csv_table import CELL_COLUMNS, FLOAT, INTEGER, read_table, write_table
from ..workflow.digests import DIGESTS, Digests, cell_id, read_digests, write_digests
from ..workflow.params import Cell

FORMAT = "whichlayer.training/1"
COLUMNS = {**CELL_COLUMNS, "step": INTEGER, "loss": FLOAT, "accuracy": FLOAT, "learning_rate": FLOAT}
"""Columns of a training curve.

Attributes:
    step: optimizer steps taken.
    loss: mean training loss since the row before; empty at step 0.
    accuracy: accuracy of the network's head on test images of the seen classes; empty at step 0, and at steps without
        a test.
    learning_rate: learning rate of the next step.
"""


def write_training(path: Path, rows: pd.DataFrame, cell: Cell) -> None:
    """Write one cell's training curve, and its digests beside it."""
    write_table(path, rows, COLUMNS)
    write_digests(path.parent / DIGESTS, [path], format=FORMAT, of=cell_id(cell))


def open_training(folder: Path, cell: Cell) -> Digests:
    """Read the digests of a cell's training curve, to check it before it is read.

    Raises:
        UserError: it is unfinished, or of another version or cell.
    """
    return read_digests(folder / DIGESTS, format=FORMAT, of=cell_id(cell), stage="finetune")


def read_training(path: Path) -> pd.DataFrame:
    """Read one cell's training curve; no rows of a network that was not trained.

    Raises:
        UserError: it is missing, is no table, or lacks a column.
    """
    return read_table(path, COLUMNS, what="a training curve", stage="finetune")
