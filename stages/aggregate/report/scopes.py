"""The two scopes of every statement: their words, what a row of summary.csv says in each, and what is not known.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks.
"""

from collections.abc import Iterable, Sequence

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import interval, number
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.metric_info import Scope, intervals_of, metric_info
from stages.aggregate.tables.summary import SummaryRow

OTHER_CLASSES = "on other classes of this domain, training repeated"
THESE_CLASSES = "for these classes and trained networks"
SCOPES: dict[Scope, str] = {"classes": OTHER_CLASSES, "images": THESE_CLASSES}
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
    return " (95 %)" if scope in metric_info(metric).proven else ""


def explain_scopes(metric: str) -> str:
    """Say what brackets and the words of `SHORT` mean."""
    return (
        f"Brackets, other classes: {intervals_of(metric, 'classes')}, of this domain, as many left out at a time, "
        f"training repeated; other images: {intervals_of(metric, 'images')}, of these classes, with these trained "
        "networks."
    )


def brief_scope(rows: Sequence[SummaryRow], scope: Scope | None) -> list[str]:
    """Say in a few words what the main score's brackets mean, in wordings from long to short.

    Args:
        rows: means over folds of one score.
        scope: of the brackets; None where no interval is known.
    """
    few = BRIEF_FEW_FOLDS.get(min(row.n_folds for row in rows), "")
    if scope is None:
        return [f"No interval is known. {few}".rstrip()]
    known = "95 %" if scope in metric_info(rows[0].metric).proven else "no proven level"
    if scope == "classes":
        wordings = ("other classes of this domain, training repeated", "other classes, retrained", "other classes")
        return [f"Brackets: {words} ({known})." for words in wordings]
    return [
        f"Brackets: other images of these classes, these trained networks ({known}). {few}".rstrip(),
        f"Brackets: these classes alone ({known}).",
    ]


def few_folds(rows: Iterable[SummaryRow]) -> str:
    """Say what one or two folds cannot tell, of rows of means over folds; nothing of three or more."""
    return FEW_FOLDS.get(min(row.n_folds for row in rows if row.fold == MEAN), "")


def score_interval(row: SummaryRow, scope: Scope) -> str:
    """Write the interval of a row's best layer in one scope; nothing where it is not known."""
    low, high = (getattr(row, f"ci_{scope}_{end}") for end in ("low", "high"))
    return interval(low, high)


def widest(rows: Iterable[SummaryRow]) -> Scope | None:
    """The wider scope in which some row has an interval."""
    rows = list(rows)
    return next((scope for scope in SCOPES if any(score_interval(row, scope) for row in rows)), None)


def score(row: SummaryRow) -> str:
    """Write a row's best score, its standard deviation, and its interval in the wider scope."""
    scope = widest([row])
    known = f" ({SHORT[scope]}: {score_interval(row, scope)})" if scope else ""
    return f"{number(row.unseen, row.unseen_sd)}{known}"


def lead_bounds(row: SummaryRow, scope: Scope) -> Lead | None:
    """Bounds of the best earlier layer's lead over the last in one scope, where they are known."""
    low, high = (getattr(row, f"lead_{scope}_{end}") for end in ("at_least", "at_most"))
    return None if low is None or high is None else Lead(low, high)


def at_start(words: str) -> str:
    """Write words with a capital, as a sentence starts."""
    return words[:1].upper() + words[1:]
