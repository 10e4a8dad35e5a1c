"""The two scopes of every statement, in words.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks.
"""

from collections.abc import Iterable

from stages.aggregate.curves import MEAN
from stages.aggregate.scope import PROVEN, Scope
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import interval, number

SCOPES: dict[Scope, str] = {
    "classes": "on other classes of this domain, training repeated",
    "images": "for these classes and trained networks",
}
"""A scope and its words in a sentence; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number, which `explain_scopes` explains."""

NO_INTERVAL = "no interval: its k-means search has too few starts, or nothing was fitted again (measure.refits)"

FEW_FOLDS = {
    1: "One choice of unseen classes cannot tell how others would come out.",
    2: "Two folds tell too little for an interval over other classes.",
}

BRIEF_FEW_FOLDS = {1: "One fold tells nothing of other classes.", 2: "Two folds tell too little of other classes."}


def level(metric: str, scope: Scope) -> str:
    """The level of a score's bounds as a bracket after them; nothing where simulation does not bear it out."""
    return " (95 %)" if scope in PROVEN.get(metric, ()) else ""


def intervals_of(metric: str, scope: Scope) -> str:
    """Name a score's intervals in one scope, with their level where simulation bears it out."""
    return "95 % intervals" if scope in PROVEN.get(metric, ()) else "intervals of no proven level"


def explain_scopes(metric: str) -> str:
    """Explain what brackets and the words of `SHORT` mean."""
    return (
        f"Brackets, other classes: {intervals_of(metric, 'classes')}, of this domain, as many left out at a time, "
        f"training repeated; other images: {intervals_of(metric, 'images')}, of these classes, with these trained "
        "networks."
    )


def brief_scope(metric: str, n_folds: int, scope: Scope | None) -> list[str]:
    """Explain in a few words what the main score's brackets mean, in wordings from long to short.

    Args:
        metric: the score.
        n_folds: how many folds it is a mean over.
        scope: of the brackets; None where no interval is known.
    """
    few = BRIEF_FEW_FOLDS.get(n_folds, "")
    if scope is None:
        return [f"No interval is known. {few}".rstrip()]
    known = "95 %" if scope in PROVEN.get(metric, ()) else "no proven level"
    if scope == "classes":
        wordings = ("other classes of this domain, training repeated", "other classes, retrained", "other classes")
        return [f"Brackets: {words} ({known})." for words in wordings]
    return [
        f"Brackets: other images of these classes, these trained networks ({known}). {few}".rstrip(),
        f"Brackets: these classes alone ({known}).",
    ]


def few_folds(rows: Iterable[SummaryRow]) -> str:
    """What one or two folds cannot tell, of rows of means over folds; nothing of three or more."""
    return FEW_FOLDS.get(min(row.n_folds for row in rows if row.fold == MEAN), "")


def score_interval(row: SummaryRow, scope: Scope) -> str:
    """Write the interval of a row's best layer in one scope; nothing where it is not known."""
    return interval(*(row.interval(scope) or (None, None)))


def score(row: SummaryRow) -> str:
    """Write a row's best score, its standard deviation, and its interval in the wider scope that is known."""
    intervals = [f" ({words}: {score_interval(row, scope)})" for scope, words in SHORT.items() if row.interval(scope)]
    return "".join([number(row.unseen, row.unseen_sd), *intervals[:1]])
