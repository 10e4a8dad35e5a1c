"""The title and the caption of each figure: what the intervals allow to say, and no more.

`These unseen classes` are those that were measured, with these trained networks; `unseen classes` are others of the
domain, too.
"""

from collections.abc import Mapping, Sequence

from stages.aggregate.curves import Scores
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.findings.status import Claim
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.findings import status_words
from stages.aggregate.words.formatting import at_last_step, capitalized, decimals, joined, layers, place, shorten
from stages.aggregate.words.scopes import SCOPES, intervals_of, level
from stages.aggregate.words.scores import metric_name
from stages.aggregate.words.summary import Averages

UNSURE = "(no interval of a proven level)"


def layer_title(row: SummaryRow) -> str:
    """Return at which layer one network separates unseen classes best by one score."""
    name = metric_name(row.metric)
    if beaten := row.unbeaten_by(row.unseen):
        return f"No layer separates unseen classes better than {beaten[0]} ({name})"
    if row.last_depth == 0:
        return f"{name} on unseen classes is {row.unseen:.2f} at the one layer that was measured"
    near = _near_chance([row])
    if not row.tied_depths:
        return f"{name} on unseen classes is best at layer {place(row.best_depth, row.last_depth)} {UNSURE}" + near
    return f"{_where(row)} ({name})" + near


def scores_title(rows: Sequence[SummaryRow]) -> str:
    """Return by how many scores one network separates unseen classes best before its last layer.

    Args:
        rows: of one network, one for each score that has a best layer.
    """
    if len(rows) == 1:
        return layer_title(rows[0])
    known, n, near = [row for row in rows if row.tied_depths], rows[0].last_depth + 1, _near_chance(rows)
    if not known:
        best = sorted({row.best_depth for row in rows})
        verb = "is" if len(best) == 1 else "are"
        return f"By {len(rows)} scores, {layers(best)} of {n} {verb} best on unseen classes {UNSURE}{near}"
    last = [row for row in known if row.tied_depths == [row.last_depth]]
    earlier = [row for row in known if row.last_depth not in row.tied_depths]
    noun = "scores" if len(known) == len(rows) else "scores that have intervals"
    told = [
        f"{where} by {_of(len(own), len(known), noun)}"
        for own, where in ((earlier, f"before the last of {n} layers"), (last, "at the last layer"))
        if own
    ]
    if not told:
        unseen = _unseen(known)
        return f"By none of {len(known)} {noun} is a layer shown to separate {unseen} better than the last{near}"
    rest = len(known) - len(earlier) - len(last)
    undecided = f"; undecided by {rest}" if rest else ""
    return f"{capitalized(_unseen(known))} separate best {joined(told)}{undecided}{near}"


def course_title(metric: str, first: float, last: float) -> str:
    """Return how a score of which neither high nor low is better goes from the first layer to the last."""
    name = capitalized(metric_name(metric))
    return f"{name} of unseen classes goes from {first:.3g} at the first layer to {last:.3g} at the last"


def networks_title(findings: DatasetFindings) -> str:
    """Return in how many networks of a dataset an earlier layer separates unseen classes better than the last."""
    rows = findings.rows
    if len(rows) == 1:
        return layer_title(rows[0])
    if any(each.leads for each in findings.depth):
        status = status_words([findings], Claim.DEPTH)
        return f"An earlier layer separates unseen classes better than the last: {status}"
    earlier = sum(not row.best_is_last for row in rows)
    return f"The best layer comes before the last in {_of(earlier, len(rows), 'networks')} {UNSURE}"


def training_title(findings: DatasetFindings) -> str:
    """Return what fine-tuning did to g on unseen classes; where no interval of that is known, how g went."""
    if any(each.changes for each in findings.fine_tuning):
        return f"What fine-tuning did to g of unseen classes: {status_words([findings], Claim.FINE_TUNING)}"
    courses = [each.g for each in findings.training if each.g]
    if not courses:
        return "g of seen and of unseen classes, of networks that were measured at one step"
    if len(courses) == 1:
        (g,) = courses
        ends = f"{g.first:.2f} at step {g.first_step} to {g.last:.2f} at step {g.last_step}"
        return f"g of unseen classes goes from {ends} {UNSURE}"
    rises = sum(g.last > g.first for g in courses)
    return (
        f"g of unseen classes is higher after training than before in {_of(rises, len(courses), 'networks')} {UNSURE}"
    )


def robustness_title(kept: tuple[float, float] | None, lost: Mapping[str, Sequence[int]]) -> str:
    """Return what corruption does to the best layers, and where raw pixels beat them.

    Args:
        kept: least and greatest share of their score that the layers keep which are best on clean images.
        lost: corruption -> the severities at which raw pixels beat every layer.
    """
    kinds = [f"{kind} (severity {joined(list(map(str, severities)))})" for kind, severities in lost.items()]
    beaten = f"raw pixels beat every layer under {joined(kinds)}" if kinds else ""
    if kept is None:
        return capitalized(beaten) or "Scores of corrupted images"
    low, high = (f"{100 * share:.0f}" for share in kept)
    keep = f"On corrupted images the best layers of clean ones keep {low} to {high} % of their score"
    return f"{keep}; {beaten}" if beaten else keep


def pairs_title(depths: Sequence[int], similarities: Sequence[float], classes: str) -> str:
    """Return between which neighbouring layers a representation changes most.

    Args:
        depths: of the layers without the raw pixels, ascending.
        similarities: of each layer and the next.
        classes: whose images these are, `seen` or `unseen`.
    """
    if not len(similarities):
        return f"One layer represents the images of {classes} classes"
    least = min(range(len(similarities)), key=lambda i: similarities[i])
    first, second = depths[least] + 1, depths[least + 1] + 1
    return (
        f"On {classes} classes the representation changes most from layer {first} to {second} of {depths[-1] + 1} "
        f"(CKA {similarities[least]:.2f})"
    )


def explain_intervals(metrics: Mapping[str, Scope], what: str) -> str:
    """Return what the shown intervals are, and their level where simulation bears it out.

    Args:
        metrics: score -> the scope of its intervals.
        what: what shows them, for example `bands`; nothing is said where there are no scores.
    """
    told: list[str] = []
    for scope in dict.fromkeys(metrics.values()):
        own = [metric for metric, its in metrics.items() if its == scope]
        levels = sorted({intervals_of(metric, scope) for metric in own})  # `95 % intervals` come first
        others = [metric_name(metric) for metric in own if intervals_of(metric, scope) != levels[0]]
        exception = f" ({joined(others)}: {levels[1]})" if others else ""
        named = f"{joined([metric_name(metric) for metric in own])}: " if told else ""
        told.append(f"{named}{levels[0]} {SCOPES[scope]}{exception}")
    return f"{what}: {'; '.join(told)}" if told else ""


def averages(scores: Scores) -> Averages:
    """Return over what the values of a study are means."""
    return Averages(len(scores.folds), scores.n_seeds)


def overview_caption(rows: Sequence[SummaryRow], scope: Scope | None, averages: Averages) -> str:
    """Return what bars of an overview are, and those beside the last layer.

    Args:
        rows: of the networks in colour.
        scope: of the bars; None where they are the spread.
        averages: over what every value is a mean.
    """
    bars = "Bars at the best and the last layer"
    parts = [f"{rows[0].dataset}, {at_last_step(row.step for row in rows)}; {averages.words}"]
    if scope or averages.vary:
        parts.append(explain_intervals({rows[0].metric: scope}, bars) if scope else f"{bars}: {averages.spread}")
    if any(row.tied_depths for row in rows):
        parts.append("Hollow: worse than the best layer; filled: ties with it")
    bounded = [(row.metric, next(iter(row.leads))) for row in rows if row.leads]
    if bounded:
        sides = f"one-sided bounds{level(*bounded[0])} {SCOPES[bounded[0][1]]}"
        parts.append(f"Beside the last layer: by how much an earlier one beats it on the same classes; {sides}")
    return ". ".join(parts) + "."


def network_words(row: SummaryRow, aside: str = "") -> str:
    """Name a network, its best layer and by how much that beats the last, or why it is in grey."""
    name = shorten(row.model, 32)
    if aside:
        return f"{name}, in grey: {aside}"
    layer = shorten(row.best_layer.partition("@")[0], 18)
    text = f"{name}: best at layer {place(row.best_depth, row.last_depth)} ({layer}), {decimals(row.unseen)}"
    lead = lead_words(row)
    return f"{text}; over the last by {lead}" if lead else text


def lead_words(row: SummaryRow) -> str:
    """Write the bounds of a network's lead in the wider scope; nothing where they are not known."""
    lead = next(iter(row.leads.values()), None)
    return f"{decimals(lead.low, sign=True)} to {decimals(lead.high, sign=True)}" if lead else ""


def set_aside_words(names: Sequence[str], how: str) -> str:
    """Name the networks that say little; nothing where there are none."""
    return f" {how}, since they say little: {joined(names)}." if names else ""


def _near_chance(rows: Sequence[SummaryRow]) -> str:
    """Warn where every best score is nearer to chance than to a perfect one."""
    known = [(row.unseen, row.chance, row.ceiling) for row in rows]
    near = [abs(own - low) < abs(high - own) for own, low, high in known if low is not None and high is not None]
    return ", but nearer to chance than to a perfect score" if near and all(near) else ""


def _where(row: SummaryRow) -> str:
    """Name the layers among which the best is."""
    tied, n, unseen = row.tied_depths, row.last_depth + 1, _unseen([row])
    if tied == [row.last_depth]:
        return f"{capitalized(unseen)} separate best at the last of {n} layers"
    if len(tied) == n:
        return f"All {n} layers tie: none is shown to separate {unseen} better than the others"
    if row.last_depth in tied:
        return f"Where {unseen} separate best is undecided: {layers(tied)} of {n} tie, the last among them"
    few = {1: layers(tied), 2: f"layer {tied[0] + 1} or {tied[-1] + 1}"}
    return (
        f"{capitalized(unseen)} separate best at {few.get(len(tied), f'one of {layers(tied)}')} of {n}, not at the last"
    )


def _unseen(rows: Sequence[SummaryRow]) -> str:
    """Return whose separation is known: of other classes, or only of those measured."""
    return "unseen classes" if all(row.proven_scope == "classes" for row in rows) else "these unseen classes"


def _of(number: int, total: int, noun: str) -> str:
    """Write how many of all: `all 4 scores`, `both scores`, `3 of 4 scores`."""
    if number == total > 1:
        return f"both {noun}" if total == 2 else f"all {total} {noun}"
    return f"{number} of {total} {noun}"
