"""The main score fold by fold: whether another choice of unseen classes has another best layer."""

from collections.abc import Sequence

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import MISSING, decimals, number, place
from stages.aggregate.tables.summary import SummaryRow

HEADER = ["Model", "Fold", "Accuracy", "Unseen", "Best layer", "Last layer", "Lead"]
ALIGNED = ["left", "right", "right", "right", "left", "right", "right"]


def single_folds(summary: Sequence[SummaryRow]) -> list[SummaryRow]:
    """Rows of summary.csv of the main score and pooling on single folds; none where there is one fold alone."""
    curves = {_curve(row) for row in summary if row.main and row.n_folds > 1}
    return [row for row in summary if row.fold != MEAN and _curve(row) in curves]


def fold_cells(row: SummaryRow, name: str) -> list[str]:
    """The cells of `HEADER`.

    Args:
        row: of a single fold.
        name: how the names of models and layers are written, `{}` for the name.
    """
    return [
        name.format(row.model),
        row.fold,
        number(row.accuracy, row.accuracy_sd),
        number(row.unseen, row.unseen_sd),
        f"{place(row.best_depth, row.last_depth)} ({name.format(row.best_layer)})",
        number(row.last_value, row.last_value_sd),
        MISSING if row.lead is None else decimals(row.lead, sign=True),
    ]


def _curve(row: SummaryRow) -> tuple[str, str, str, str]:
    return row.dataset, row.model, row.pooling, row.metric
