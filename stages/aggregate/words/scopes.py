"""The two scopes of every statement, in words.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks.
"""

from collections.abc import Iterable

from stages.aggregate.curves import MEAN
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import interval

SCOPES: dict[Scope, str] = {
    "classes": "on other classes of this domain, training repeated",
    "images": "for these classes and trained networks",
}
"""A scope and its words in a sentence; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number, which `explain_scopes` explains."""

NO_INTERVAL = "no interval of a proven level (docs/uncertainty.md)"

FEW_FOLDS = {
    1: "One choice of unseen classes cannot tell how others would come out.",
    2: "Two folds tell too little for an interval over other classes.",
}


def level(metric: str, scope: Scope) -> str:
    """The level of a score's bounds as a bracket after them; nothing where simulation does not bear it out."""
    return " (95 %)" if is_proven(metric, scope) else ""


def intervals_of(metric: str, scope: Scope) -> str:
    """Name a score's intervals in one scope, with their level where simulation bears it out."""
    return "95 % intervals" if is_proven(metric, scope) else "intervals of no proven level"


def explain_scopes(metric: str) -> str:
    """Explain what brackets and the words of `SHORT` mean."""
    return (
        f"Brackets, other classes: {intervals_of(metric, 'classes')}, of this domain, as many left out at a time, "
        f"training repeated; other images: {intervals_of(metric, 'images')}, of these classes, with these trained "
        "networks."
    )


def few_folds(rows: Iterable[SummaryRow]) -> str:
    """What one or two folds cannot tell, of rows of means over folds; nothing of three or more."""
    return FEW_FOLDS.get(min(row.n_folds for row in rows if row.fold == MEAN), "")


def score_interval(row: SummaryRow, scope: Scope) -> str:
    """Write the interval of a row's best layer in one scope; nothing where it is not known."""
    return interval(*row.intervals.get(scope, (None, None)))
