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

FEW_FOLDS = (
    "Intervals over other classes take three folds of equally many unseen classes, four or more (docs/uncertainty.md)."
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
    """What intervals over other classes take, if the rows of some network have none; nothing where all have some."""
    means = [row for row in rows if row.fold == MEAN]
    known = {(row.dataset, row.model) for row in means if row.ci_classes_low is not None}
    return "" if all((row.dataset, row.model) in known for row in means) else of_parts(FEW_FOLDS, parts)
