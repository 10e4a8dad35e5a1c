"""The title and the caption of each figure: what the intervals allow to say, and no more.

`These unseen classes` are those that were measured, with these trained networks; `unseen classes` are others of the
domain, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stages.aggregate.findings.facts import Course, DepthFinding, FineTuningFinding
from stages.aggregate.findings.status import Status
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import at_last_step, capitalized, decimals, joined, layers, place, shorten
from stages.aggregate.words.scopes import SCOPES, intervals_of, level
from stages.aggregate.words.scores import metric_name

UNSURE, NO_EFFECT = "(no interval of a proven level)", "No detectable effect of fine-tuning"


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


def networks_title(rows: Sequence[SummaryRow], findings: Iterable[DepthFinding]) -> str:
    """Return in how many networks an earlier layer separates unseen classes better than the last.

    Args:
        rows: of one score, one for each network.
        findings: of the same networks.
    """
    if len(rows) == 1:
        return layer_title(rows[0])
    wider = {each.network: _wider(each) for each in findings}
    statuses = [wider.get(row.model) for row in rows]
    if not any(statuses):
        earlier = sum(not row.best_is_last for row in rows)
        return f"The best layer comes before the last in {_of(earlier, len(rows), 'networks')} {UNSURE}"
    rest = [
        (Status.CONTRADICTED, "the last layer is best in {}"),
        (Status.INCONCLUSIVE, "undecided in {}"),
        (Status.OUT_OF_SCOPE, "no layer is shown to beat chance and raw pixels in {}"),
        (None, "no interval of a proven level for {}"),
    ]
    told = "; ".join(words.format(statuses.count(status)) for status, words in rest if status in statuses)
    if Status.SUPPORTED not in statuses:
        return f"An earlier layer is shown to beat the last in none of {len(rows)} networks; {told}"
    head = f"An earlier layer separates {_unseen(rows)} better than the last in"
    return f"{head} {_of(statuses.count(Status.SUPPORTED), len(rows), 'networks')}" + (f"; {told}" if told else "")


def fine_tuning_title(findings: Iterable[FineTuningFinding]) -> str | None:
    """Return what fine-tuning did to g on unseen classes; None where no interval of its change is known.

    Args:
        findings: of the networks that were measured before and after fine-tuning.
    """
    findings = [each for each in findings if each.statuses]
    if not findings:
        return None
    statuses = [_wider(each) for each in findings]
    classes = "unseen classes" if all("classes" in each.statuses for each in findings) else "these unseen classes"
    if len(statuses) == 1:
        unsure = statuses[0] is Status.NOT_DISTINGUISHABLE
        return f"{NO_EFFECT} on g of {classes}" if unsure else f"Fine-tuning {statuses[0]} g of {classes}"
    counts = [(statuses.count(status), status) for status in (Status.RAISED, Status.LOWERED)]
    told = [
        f"{status} g of {classes} in {_of(number, len(statuses), 'networks')}" for number, status in counts if number
    ]
    rest = len(statuses) - sum(number for number, _ in counts)
    if not told:
        return f"{NO_EFFECT} on g of {classes} in any of {len(statuses)} networks"
    return f"Fine-tuning {joined(told)}" + (f"; no detectable effect in {rest}" if rest else "")


def course_of_g_title(courses: Sequence[Course]) -> str:
    """Describe g over training where no interval of its change is known.

    Args:
        courses: of g, of each network that was measured at several steps.
    """
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


@dataclass(frozen=True)
class Averages:
    """Over how many folds of unseen classes, and seeds of each, the values of a figure are means."""

    n_folds: int
    n_seeds: int

    @property
    def vary(self) -> bool:
        """Whether values have a standard deviation."""
        return self.n_folds > 1 or self.n_seeds > 1

    @property
    def words(self) -> str:
        """Return it for a caption."""
        seeds = f"{self.n_seeds} seeds" if self.n_seeds > 1 else "one seed"
        return f"mean of {self.n_folds} folds, {seeds} each" if self.n_folds > 1 else self.vary * "mean of " + seeds

    @property
    def spread(self) -> str:
        """Return what bars or bands of one standard deviation are."""
        return f"± 1 standard deviation over {'folds' if self.n_folds > 1 else 'seeds'} (ddof = 1)"


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
    bounded = [(row, scope) for row in rows if (scope := lead_scope(row))]
    if bounded:
        row, own = bounded[0]
        sides = f"one-sided bounds{level(row.metric, own)} {SCOPES[own]}"
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
    scope = lead_scope(row)
    lead = row.lead_bounds(scope) if scope else None
    return f"{decimals(lead.low, sign=True)} to {decimals(lead.high, sign=True)}" if lead else ""


def lead_scope(row: SummaryRow) -> Scope | None:
    """Return the wider scope in which bounds of a network's lead are known."""
    return next((scope for scope in SCOPES if row.lead_bounds(scope)), None)


def set_aside_words(names: Sequence[str], how: str) -> str:
    """Name the networks that say little; nothing where there are none."""
    return f" {how}, since they say little: {joined(names)}." if names else ""


def _wider(finding: DepthFinding | FineTuningFinding) -> Status | None:
    """Return what holds in the wider scope that is known."""
    return next(iter(finding.statuses.values()), None)


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
