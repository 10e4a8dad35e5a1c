"""What intervals are of, in words.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks.
"""

from collections.abc import Iterable

from ...core.inference.scopes import is_proven
from ...core.scores.description import Scope
from .formatting import joined

SCOPES: dict[Scope, str] = {
    "classes": "for other unseen classes",
    "images": "for other images of these classes",
}
"""A scope and its words in a sentence about frozen networks; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number."""

NO_INTERVAL = "no interval with a proven level (docs/uncertainty.md)"


def at_last_step(steps: Iterable[int]) -> str:
    """At which step scores were taken: `step 100`, or where networks differ `the last step (0 or 100)`."""
    known = sorted(set(steps))
    return f"step {known[0]}" if len(known) == 1 else f"the last step ({' or '.join(map(str, known))})"


def scope_words(metric: str, scope: Scope) -> str:
    """Name a scope beside a statement, and say where its level is not proven."""
    return f"{SHORT[scope]}{'' if is_proven(metric, scope) else ', no proven level'}"


def scope_sentence(scope: Scope, step: int) -> str:
    """A scope's words in a sentence about networks that were trained for so many steps; of frozen ones 0."""
    return SCOPES[scope] + " and retraining" * (scope == "classes" and step > 0)


def explain_intervals(what: str, shown: Iterable[tuple[str, str, Scope | None]], step: int, so: str = "") -> str:
    """Explain what intervals are of, and of which their level is not proven; nothing where there are none.

    Args:
        what: shows them, `[ ]` for example.
        shown: the name, the score and the scope of each interval; None: there is none.
        step: the last of their networks.
        so: what follows where the level is not proven.
    """
    shown = list(shown)
    told: list[str] = []
    for scope in SCOPES:
        own = {name: is_proven(metric, scope) for name, metric, its in shown if its == scope}
        unproven = [name for name, proven in own.items() if not proven]
        whose = f"{joined(list(own))}: " if told and own else ""
        level, exception = "95% " * any(own.values()), f" (unproven{so}: {joined(unproven)})" if unproven else ""
        told += [f"{whose}{level}{scope_sentence(scope, step)}{exception}"] if own else []
    return f"{what}: {'; '.join(told)}." if told else ""


def explain_scopes(metric: str, step: int) -> str:
    """Explain what brackets beside the words of `SHORT` are, of networks with this last step."""
    levels = {scope: "95%" if is_proven(metric, scope) else "no proven level" for scope in SCOPES}
    told = [f"{SHORT[scope]}: {scope_sentence(scope, step)} ({level})" for scope, level in levels.items()]
    return f"[ ] of {'; of '.join(told)}."
