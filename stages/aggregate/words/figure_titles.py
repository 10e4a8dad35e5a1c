"""The title and the caption of each figure: a title is a sentence of at most twelve words that says what it shows.

It says that something *is* where an interval of a proven level over other classes shows it, else that it *seems*.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from ...core.inference.scopes import Scope, is_proven
from ...core.scores.description import Better, sign_of
from ..findings.outcomes import DatasetFindings, Reason, Status, change_status
from ..tables.summary_row import SummaryRow
from .formatting import capitalized, decimals, place, plural, shorten
from .scopes import at_last_step, explain_intervals
from .scores import LEVELS, LOWER, metric_name
from .statuses import REASONS
from .study import Averages

MARKS = (
    "Ringed: the best layer. Filled: ties with it; hollow: worse; pale: not known. Dashed: raw pixels; dotted: chance."
)
"""What marks and lines (`charts.theme.LEVEL_DASHES`) are that no legend explains."""

VERBS = {True: "is", False: "seems"}
"""Verbs of what intervals of a proven level over other classes say, and of what they do not."""

BEST = {"earlier": "An earlier layer {} best", "last": "The last layer {} best"}
BEST |= {"tie": "The last layer {} among the best"}
"""Sentences by where a score is best."""


def layers_title(rows: Sequence[SummaryRow], noun: str = "scores") -> str:
    """Return at which layer unseen classes separate best; of several rows, where that is in most of them.

    Args:
        rows: of one network, one for each score that has a best layer; or one for each network.
        noun: what they are.
    """
    if not rows:
        return "Undefined best layer: neither high nor low is better"
    if all(map(_is_near_chance, rows)):
        what = capitalized(metric_name(rows[0].metric)) if len(rows) == 1 else "Every score"
        return f"{what} stays nearer to chance than to perfect"
    if len(rows) == 1:
        return _layer_title(rows[0])
    counts = Counter(map(_where, rows))
    where = max(counts, key=lambda each: (counts[each], each))  # of equally many the last in the alphabet
    sure = all(_is_known(row) for row in rows if _where(row) == where)
    count = "all" if counts[where] == len(rows) else f"{counts[where]} of"
    return f"{BEST[where].format(VERBS[sure])} {'in' if noun == 'networks' else 'by'} {count} {len(rows)} {noun}"


def _layer_title(row: SummaryRow) -> str:
    """Say at which layer it is best by one score, and whether others tie."""
    tied, n, name = row.tied_depths, row.last_depth + 1, capitalized(metric_name(row.metric))
    verb = VERBS[_is_known(row)]
    if beaten := row.unbeaten_by(row.unseen):
        return f"No layer beats {LEVELS[beaten[0]]} by {metric_name(row.metric)}"
    if n == 1:
        return f"{name} is {row.unseen:.2f} at the only layer"
    if len(tied) > 1 and row.last_depth in tied:
        return f"{BEST['tie'].format(verb)} by {metric_name(row.metric)}"
    if len(tied) > 1:
        return f"{name} {verb} best at one of {len(tied)} earlier layers"
    return f"{name} {verb} best at layer {place(row.best_depth, row.last_depth)}"


def _where(row: SummaryRow) -> str:
    tied = row.tied_depths or [row.best_depth]
    return "earlier" if row.last_depth not in tied else "last" if len(tied) == 1 else "tie"


DID = {Status.RAISED: ("raised", "raise"), Status.LOWERED: ("lowered", "lower")}


def training_title(findings: DatasetFindings) -> str:
    """Return what fine-tuning did to g in most networks; where no interval of that is known, how g went."""
    known = [change_status(next(iter(each.changes.values()))) for each in findings.networks if each.changes]
    courses = [each.training for each in findings.networks if each.training]
    better = sign_of(findings.rows[0].better)
    went = [Status.RAISED if better * (last - first) > 0 else Status.LOWERED for first, last in courses]
    if not known + went:
        return "It is not known how fine-tuning changes the best score"
    status, count = Counter(known or went).most_common(1)[0]
    sure, seems = DID.get(status, ("", ""))
    told = f"{sure if known else f'seems to {seems}'} the best score" if sure else "made no sure difference"
    return f"Fine-tuning {told}" + (f" in {count} of {plural(n, 'network')}" if (n := len(known or went)) > 1 else "")


STEP_LINES = {
    "unseen": "g, unseen classes",
    "seen": "g, seen classes",
    "accuracy": "accuracy, seen classes",
}
"""A column of steps.csv, and what its line is."""


def steps_heading(row: SummaryRow) -> str:
    """Head the dots of a network, of which this is the row."""
    return f"g ({metric_name(row.metric)}), accuracy"


def steps_caption(row: SummaryRow, means: Averages) -> str:
    """Return what the dots of each network are, of one of which this is the row."""
    extreme = "lowest" if row.better == "lower" else "highest"
    return f"{row.dataset}; {means.words}. g: {extreme} {metric_name(row.metric)} at any layer."


def checkpoint(step: int, *, own: bool = False) -> str:
    """Name a checkpoint; if a network has no other one (own), by its step."""
    return f"step {step}" if step or own else "pre-trained"


def checkpoints(steps: Iterable[int]) -> str:
    """Name the checkpoints of several networks or scores."""
    return " or ".join(map(checkpoint, sorted(set(steps))))


def network_at(model: str, dataset: str, at: str, pooling: str = "") -> str:
    """Name the checkpoint of which a figure is, and its pooling if that differs between figures."""
    return f"{model} on {dataset}, {at}" + f", pooling {pooling}" * bool(pooling)


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
    return " ".join(filter(None, [*parts, MARKS]))


def panel_words(
    layers: Sequence[str], best: Sequence[tuple[int, float]], better: Better, taken: int | None = None
) -> str:
    """Name the best of some layers by one score, the first of these depths, each with its score; and the one to take.

    That is another one if few labels or a gain that does not pay decide.
    """
    if better == "neither":
        return "neither high nor low is better"
    if not best:
        return "undefined on unseen classes"
    depth, value = best[0]
    told = f"; recommended: layer {taken + 1}" if taken not in (None, depth) else ""
    return f"best at layer {place(depth, len(layers) - 1)} ({layers[depth]}): {value:.2f}{told}"


def pairs_caption(network: str, means: Averages) -> str:
    """Return what the similarities of layers are."""
    return (
        f"{network}; {means.words}. Linear CKA, debiased: 1 where two layers represent the same images alike up to "
        "rotation and scale, without intervals."
    )


def legend_words(model: str, row: SummaryRow, aside: Reason | None) -> str:
    """Name a network in a legend, with its best layer, or why it is set aside."""
    layer = f"{place(row.best_depth, row.last_depth)} ({shorten(row.best_layer.partition('@')[0], 18)})"
    told = f", in grey: {REASONS[aside]}" if aside else f": best at layer {layer}, {decimals(row.unseen)}"
    return f"{shorten(model, 32)}{told}"


def pairs_title(similarities: Sequence[float], classes: str) -> str:
    """Return between which neighbouring layers a representation changes most.

    Args:
        similarities: of each layer and the next.
        classes: whose images these are, `seen classes` or `unseen classes`.
    """
    if not len(similarities):
        return f"One layer shows images of {classes}"
    least = min(range(len(similarities)), key=lambda i: similarities[i])
    return f"Embeddings of {classes} change most from layer {least + 1} to {least + 2}"


def overview_heading(row: SummaryRow) -> str:
    """Head the scores of the networks of a dataset, of one of which this is the row."""
    return f"{metric_name(row.metric)} on unseen classes{LOWER * (row.better == 'lower')}"


def overview_caption(
    rows: Sequence[SummaryRow], scope: Scope | None, averages: Averages, others: Collection[int] = ()
) -> str:
    """Return what bars of an overview are.

    Args:
        rows: of the networks in colour.
        scope: of the bars; None where they are the spread.
        averages: over what every value is a mean.
        others: checkpoints of thin lines.
    """
    bars, first, step = "Bars at the best and the last layer", rows[0], max(row.step for row in rows)
    steps = {row.step for row in rows}
    at = f"thick: {checkpoints(steps)}, thin: {checkpoints(others)}" if others else at_last_step(steps)
    parts = [f"{first.dataset}, {at}; {averages.words}."]
    parts.append(explain_intervals(bars, [(metric_name(first.metric), first.metric, scope)], step))
    parts.append(f"{bars}: {averages.spread}." if averages.vary and not scope else "")
    return " ".join(filter(None, [*parts, MARKS]))


def _is_near_chance(row: SummaryRow) -> bool:
    """Whether the best score is nearer to chance than to a perfect one."""
    own, low, high = row.unseen, row.chance, row.ceiling
    return low is not None and high is not None and abs(own - low) < abs(high - own)


def _is_known(row: SummaryRow) -> bool:
    """Whether the ties that the figure shows have a proven level over other classes."""
    return row.tied_scope == "classes" and is_proven(row.metric, "classes")
