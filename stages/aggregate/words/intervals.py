"""What intervals are of, in words, and where their level is proven.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks.
"""

from collections.abc import Iterable

from stages.aggregate.curves import MEAN, Parts
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import joined, of_parts

SCOPES: dict[Scope, str] = {
    "classes": "for other unseen classes",
    "images": "for other images of these classes",
}
"""A scope and its words in a sentence about frozen networks; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number."""

NO_INTERVAL = "no interval of a proven level (docs/uncertainty.md)"

FEW_FOLDS = {
    1: "One choice of unseen classes cannot tell how others would come out.",
    2: "Two folds tell too little for an interval over other classes.",
}

FEW_CLASSES = (
    "Scores that are fitted again have intervals over other classes only where all folds have equally many, four or "
    "more (docs/scores.md#refits)."
)


def scope_words(metric: str, scope: Scope) -> str:
    """Name a scope beside a statement, and say where its level is not proven."""
    return f"{SHORT[scope]}{'' if is_proven(metric, scope) else ', no proven level'}"


def scope_sentence(scope: Scope, step: int) -> str:
    """A scope's words in a sentence about networks that were trained for so many steps; of frozen ones 0."""
    return SCOPES[scope] + " and retraining" * (scope == "classes" and step > 0)


def explain_intervals(what: str, shown: Iterable[tuple[str, str, Scope | None]], step: int) -> str:
    """Explain what intervals are of, and of which their level is not proven; nothing where there are none.

    Args:
        what: shows them, `[ ]` for example.
        shown: the name, the score and the scope of each interval; None: there is none.
        step: the last of their networks.
    """
    shown = list(shown)
    told: list[str] = []
    for scope in SCOPES:
        own = {name: is_proven(metric, scope) for name, metric, its in shown if its == scope}
        unproven = [name for name, proven in own.items() if not proven]
        whose = f"{joined(list(own))}: " if told and own else ""
        level, exception = "95 % " * any(own.values()), f" ({joined(unproven)}: not proven)" if unproven else ""
        told += [f"{whose}{level}{scope_sentence(scope, step)}{exception}"] if own else []
    return f"{what}: {'; '.join(told)}." if told else ""


def explain_scopes(metric: str, step: int) -> str:
    """Explain what brackets beside the words of `SHORT` are, of networks with this last step."""
    levels = {scope: "95 %" if is_proven(metric, scope) else "no proven level" for scope in SCOPES}
    told = [f"{SHORT[scope]}: {scope_sentence(scope, step)} ({level})" for scope, level in levels.items()]
    return f"[ ] of {'; of '.join(told)}."


def few_folds(rows: Iterable[SummaryRow], parts: Parts = "folds") -> str:
    """What one or two folds, or few classes, cannot tell, of rows of means over folds; nothing where intervals do."""
    means = [row for row in rows if row.fold == MEAN]
    told = {(row.dataset, row.model) for row in means if row.ci_classes_low is not None}
    few = min((row.n_folds for row in means if (row.dataset, row.model) not in told), default=0)
    refitted = [row for row in means if row.n_folds > max(FEW_FOLDS) and row.ci_images_low is not None]
    known = {row.dataset for row in refitted if "classes" in row.intervals | row.leads}
    classes = any(row.dataset not in known and row.unseen_sd != 0 for row in refitted)  # 0: folds do not differ
    return of_parts(FEW_FOLDS.get(few, FEW_CLASSES * classes), parts)
