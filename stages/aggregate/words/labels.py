"""How far the choice of a layer may be off for want of labels: of ten classes or more its bound, of fewer a benchmark.

`few_labels.json` holds what choosing on so many labels lost on frozen networks: docs/five-datasets.md#how-few-labels.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from ...core.inference.scopes import is_proven
from ..facts import Recommendation
from .formatting import joined
from .scores import metric_name

MIN_CLASSES = 10
"""Of fewer classes no bound is given: they seldom show all kinds that a domain has."""


FELL_SHORT = {"map_at_r": 0.057, "nmi": 0.077}
"""How far the layer that each score chose on few labels fell short of the best NMI: docs/study/few_labels.csv."""


@cache
def benchmark() -> dict[str, list[list[float]]]:
    """Return by score rows of classes, images of each, mean loss, and the loss of the worst of 20 draws."""
    text = files(__package__).joinpath("few_labels.json").read_text(encoding="utf-8")
    table: dict[str, list[list[float]]] = json.loads(text)
    return table


def more_labels(networks: Sequence[Recommendation]) -> str:
    """Write what another layer would gain at most, or what choosing on so few lost; nothing where neither is known."""
    useful = [each for each in networks if each.recommended is not None and each.last_depth > 0 and not each.chosen_by]
    enough = [each for each in useful if each.n_folds * each.n_classes >= MIN_CLASSES]
    bounds = [f"{each.use_name} {bound:.2f}" for each in enough if (bound := _bound(each)) is not None]
    told = [f"Another layer would gain at most: {joined(bounds)}."] if bounds else []
    known = {each.use_name: rows for each in useful if each not in enough and (rows := _benchmark_rows(each))}
    if shared := set.intersection(*map(set, known.values())) if known else None:
        classes, images = size = min(shared, key=lambda each: sum(rows[each][0] for rows in known.values()))
        losses = [(use, *rows[size]) for use, rows in known.items()]
        words = joined([f"{use} {mean:.2f} ({worst:.2f})" for use, mean, worst in losses])
        of = f"choosing on {classes} classes x {images} images"
        told.append(f"In a benchmark, {of} fell short on average (at most, in 19 of 20 draws): {words}.")
    return " ".join(told)


def chosen_by(networks: Sequence[Recommendation]) -> str:
    """Write for which use another score chose the layer, since labels are few; nothing where none did."""
    told = {f"{metric_name(each.chosen_by)} chose the layer for {each.use_name}" for each in networks if each.chosen_by}
    return f"With few labels, {joined(sorted(told))}." if told else ""


def why_chosen_by(found: Recommendation) -> str:
    """Write the same of one use, and what that loses; nothing where its own score chose."""
    if not found.chosen_by:
        return ""
    own, other = metric_name(found.metric), metric_name(found.chosen_by)
    numbers = [f"{FELL_SHORT[name]:.2f}" for name in (found.chosen_by, found.metric) if name in FELL_SHORT]
    regret = f" On six datasets, its choice fell {numbers[0]} short of the best {own}, and {own}'s choice {numbers[1]}."
    return f"With few labels, {other} chose the layer.{regret * (len(numbers) == 2)}"


def _bound(found: Recommendation) -> float | None:
    """By how much the best layer and checkpoint may beat the recommended one, over classes."""
    best = found.best
    proven = best.scope == "classes" and is_proven(found.metric, "classes")
    return best.loss_at_most if proven else None


def _benchmark_rows(found: Recommendation) -> dict[tuple[float, float], tuple[float, float]]:
    """By classes and images of each, what choosing on as many as a study has, or fewer, lost."""
    most = found.n_folds * found.n_classes
    rows = benchmark().get(found.metric, [])
    return {(n, per): (mean, worst) for n, per, mean, worst in rows if n <= most and n * per <= found.n_images}
