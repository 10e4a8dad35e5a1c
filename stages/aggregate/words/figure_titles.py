"""The title and the caption of each figure: what the intervals allow to say, and no more.

`These unseen classes` are those that were measured, with these trained networks; `unseen classes` are others of the
domain, too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stages.aggregate.curves import sign_of
from stages.aggregate.findings.outcomes import Claim, DatasetFindings, Reason
from stages.aggregate.inference.gain import Gain
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.averages import Averages, at_last_step
from stages.aggregate.words.findings import REASONS, status_words
from stages.aggregate.words.formatting import capitalized, decimals, joined, layers, place, plural, shorten
from stages.aggregate.words.intervals import explain_intervals
from stages.aggregate.words.recommendation import gain_words
from stages.aggregate.words.scores import LEVELS, metric_name
from stages.shared.tables.scores import Better

LEVEL_LOOKS = {"raw pixels": "dashed", "chance": "dotted"}
"""What scores compare with, and how its line looks (`charts.theme.LEVEL_DASHES`)."""

UNSURE = "(no interval of a proven level)"


def layers_title(rows: Sequence[SummaryRow], noun: str = "scores") -> str:
    """Return at which layer unseen classes separate best; of several rows, in how many of them before the last.

    Args:
        rows: of one network, one for each score that has a best layer; or one for each network.
        noun: what they are.
    """
    if len(rows) == 1:
        return f"{_layer_title(rows[0])} ({metric_name(rows[0].metric)}){_near_chance(rows)}"
    known, by = [row for row in rows if _is_known(row)], "in" if noun == "networks" else "by"
    counts = Counter(map(_where, known or rows))
    told = joined([f"{where} {by} {counts[where]}" for where in sorted(counts, reverse=True)])
    which = "" if len(known) == len(rows) else " that have intervals of a proven level" if known else f" {UNSURE}"
    return f"{_unseen(known or rows)} separate best {told} of {len(known or rows)} {noun}{which}{_near_chance(rows)}"


def _layer_title(row: SummaryRow) -> str:
    """Name the layers among which the best one is, by one score."""
    tied, n, unseen = row.tied_depths, row.last_depth + 1, _unseen([row])
    unsure = "" if _is_known(row) else f" {UNSURE}"
    if beaten := row.unbeaten_by(row.unseen):
        return f"No layer separates unseen classes better than {LEVELS[beaten[0]]}"
    if n == 1:
        return f"Unseen classes score {row.unseen:.2f} at the one layer that was measured"
    if len(tied) > 1 and row.last_depth in tied:
        return f"{unseen} separate best at an undecided layer: {layers(tied)} of {n} tie{unsure}"
    if unsure:
        return f"{unseen} separate best at layer {place(row.best_depth, row.last_depth)}{unsure}"
    among = "one of " if len(tied) > 1 else ""
    return (
        f"{unseen} separate best at {among}{layers(tied)} of {n}{'' if row.last_depth in tied else ', not at the last'}"
    )


def _where(row: SummaryRow) -> str:
    tied = row.tied_depths or [row.best_depth]
    if row.last_depth not in tied:
        return "before the last layer"
    return "at the last layer" if len(tied) == 1 else "at an undecided layer"


def course_title(metric: str, first: float, last: float) -> str:
    """Return how a score of which neither high nor low is better goes from the first layer to the last."""
    name = capitalized(metric_name(metric))
    return f"{name} of unseen classes goes from {first:.3g} at the first layer to {last:.3g} at the last"


def networks_title(findings: DatasetFindings) -> str:
    """Return in how many networks of a dataset an earlier layer separates unseen classes better than the last."""
    if len(findings.rows) == 1 or not any(row.proven_leads for row in findings.rows):
        return layers_title(findings.rows, "networks")
    judged = status_words([findings], Claim.DEPTH, at=["last"])
    return f"An earlier layer separates unseen classes better than the last: {judged}"


def training_title(findings: DatasetFindings) -> str:
    """Return what fine-tuning did to g on unseen classes; where no interval of that is known, how g went."""
    if any(each.changes for each in findings.networks):
        return f"What fine-tuning did to g of unseen classes: {status_words([findings], Claim.FINE_TUNING)}"
    courses = [each.training for each in findings.networks if each.training]
    rises = [sign_of(findings.rows[0].better) * (last - first) > 0 for first, last in courses]
    if not rises:
        return "g of seen and of unseen classes, of networks that were measured at one step"
    rising = f"{sum(rises)} of {plural(len(rises), 'network')}"
    return f"g of unseen classes is better after training than before in {rising} {UNSURE}"


STEP_LINES = {
    "unseen": "g, unseen classes",
    "seen": "g, seen classes",
    "accuracy": "accuracy, seen classes",
    "unseen_fixed": "g, unseen: layer of the first step",
}
"""A column of steps.csv, and what its line is."""


def steps_caption(row: SummaryRow, means: Averages, stays: Sequence[bool], aside: Sequence[str]) -> str:
    """Return what lines over training are.

    Args:
        row: of one of the networks.
        means: over what every value is a mean.
        stays: of each network over training, whether the layer that is best at the first step stays the best.
        aside: names of the networks that say little.
    """
    note = " The layer that is best at the first step stays the best" if any(stays) else ""
    note += (" where it has no line of its own." if not all(stays) else ".") if note else ""
    spread = f", bars {means.spread}" if means.vary else ""
    extreme = "lowest" if row.better == "lower" else "highest"
    told = f"{row.dataset}; {means.words}{spread}. g: {extreme} {metric_name(row.metric)} of any layer.{note}"
    return told + set_aside_words(aside, "Not counted above")


def depth_caption(name: str, step: int, means: Averages, scopes: Sequence[tuple[str, str, Scope]], *, sd: bool) -> str:
    """Return what bands over depth are.

    Args:
        name: of the network and pooling.
        step: the last one.
        means: over what every value is a mean.
        scopes: the name, the score and the scope of each band that is an interval.
        sd: whether some band is a standard deviation.
    """
    others = f"{'Other bands' if scopes else 'Bands'}: {means.spread}." if sd else ""
    parts = [f"{name}; {means.words}.", explain_intervals("Bands and ties", scopes, step), others]
    return " ".join(filter(None, parts))


def panel_words(best: tuple[str, int, float] | None, last_depth: int, *, better: Better) -> str:
    """Name the best layer by one score: its name, its depth and its score; None where no layer has one."""
    if better == "neither":
        return "neither high nor low is better"
    if best is None:
        return "undefined on unseen classes"
    name, depth, value = best
    return f"best at layer {place(depth, last_depth)} ({name}): {value:.2f}"


def pairs_caption(network: str, means: Averages) -> str:
    """Return what the similarities of layers are."""
    return (
        f"{network}; {means.words}. Linear CKA, debiased: 1 where two layers represent the same images alike up to "
        "rotation and scale. No intervals."
    )


def legend_words(model: str, row: SummaryRow, gain: Gain, aside: Reason | None) -> str:
    """Name a network in a legend, with its best layer and gain, or why it is set aside."""
    told = f", in grey: {REASONS[aside]}" if aside else f": {network_words(row, gain)}"
    return f"{shorten(model, 32)}{told}"


def pairs_title(similarities: Sequence[float], classes: str) -> str:
    """Return between which neighbouring layers a representation changes most.

    Args:
        similarities: of each layer and the next.
        classes: whose images these are, `seen classes` or `unseen classes`.
    """
    if not len(similarities):
        return f"One layer represents the images of {classes}"
    least = min(range(len(similarities)), key=lambda i: similarities[i])
    where = f"from layer {least + 1} to {place(least + 1, len(similarities))}"
    return f"On {classes} the representation changes most {where} (CKA {similarities[least]:.2f})"


def overview_caption(rows: Sequence[SummaryRow], scope: Scope | None, averages: Averages, gain: Gain) -> str:
    """Return what bars of an overview are, and of what its gains are.

    Args:
        rows: of the networks in colour.
        scope: of the bars; None where they are the spread.
        averages: over what every value is a mean.
        gain: of one of them.
    """
    bars, first, step = "Bars at the best and the last layer", rows[0], max(row.step for row in rows)
    parts = [f"{first.dataset}, {at_last_step(row.step for row in rows)}; {averages.words}."]
    parts.append(explain_intervals(bars, [(metric_name(first.metric), first.metric, scope)], step))
    parts.append(f"{bars}: {averages.spread}." if averages.vary and not scope else "")
    of_gain = None if gain.low is None else gain.scope
    known = metric_name(first.metric), first.metric if gain.proven else "", of_gain
    parts.append(explain_intervals("Gain over the last layer", [known], step))
    return " ".join(filter(None, parts))


def network_words(row: SummaryRow, gain: Gain) -> str:
    """Name a network's best layer, and what choosing gains over the last."""
    layer = f"{place(row.best_depth, row.last_depth)} ({shorten(row.best_layer.partition('@')[0], 18)})"
    gained = gain_words(gain)
    return f"best at layer {layer}, {decimals(row.unseen)}" + (f"; gain over the last {gained}" if gained else "")


def explain_marks(rows: Sequence[Mapping[str, Any]], levels: Mapping[str, float | None]) -> str:
    """Explain the marks that lines do not explain themselves: the best points and ties, and what scores compare with.

    Args:
        rows: the points of all panels; `best` and `tied` of those that have it.
        levels: kinds of levels, and their values where all panels have one.
    """
    ties = {row["tied"] for row in rows if "tied" in row and row.get("split") != "seen"}
    marks = {
        "ringed": "the best layer" * any(row.get("best") for row in rows),
        "filled": "ties with the best" * (True in ties),
        "hollow": "worse than the best" * (False in ties),
        "pale": "ties not known" * (None in ties),
    }
    marks |= {
        f"{look} line": kind + ("" if levels[kind] is None else f" {levels[kind]:.3f}")
        for kind, look in LEVEL_LOOKS.items()
        if kind in levels
    }
    told = [f"{look}: {what}" for look, what in marks.items() if what]
    return f"{capitalized('; '.join(told))}." if told else ""


def set_aside_words(names: Sequence[str], how: str) -> str:
    """Name the networks that say little; nothing where there are none."""
    return f" {how}, since they say little: {joined(names)}." if names else ""


def _near_chance(rows: Sequence[SummaryRow]) -> str:
    """Warn where every best score is nearer to chance than to a perfect one."""
    known = [(row.unseen, row.chance, row.ceiling) for row in rows]
    near = [abs(own - low) < abs(high - own) for own, low, high in known if low is not None and high is not None]
    return ", but nearer to chance than to a perfect score" if near and all(near) else ""


def _unseen(rows: Sequence[SummaryRow]) -> str:
    """Return whose separation intervals are about: of other classes, or of some only those measured."""
    return "These unseen classes" if any(row.tied_scope == "images" for row in rows) else "Unseen classes"


def _is_known(row: SummaryRow) -> bool:
    """Whether the ties that the figure shows have a proven level."""
    return row.tied_scope is not None and is_proven(row.metric, row.tied_scope)
