"""Recommendations in sentences."""

from ...core.inference.gain import Payoff
from ...core.inference.scopes import is_proven
from ...core.scores.description import sign_of
from ..facts import ChangeRecord, Missing, Recommendation, RegretRecord
from ..findings.outcomes import Status
from .formatting import MISSING, change_interval, decimals, joined, number, of_parts, place
from .labels import why_chosen_by
from .scopes import scope_words
from .scores import LOWER, metric_name
from .statuses import STATUSES
from .uses import at_checkpoint as at_checkpoint
from .uses import brief_ties as brief_ties
from .uses import explain_brackets as explain_brackets
from .uses import gain_words as gain_words
from .uses import levels_to_beat as levels_to_beat
from .uses import reason as reason
from .uses import scored_as as scored_as
from .uses import use_cells as use_cells

LACKING = {
    Missing.HALVES: "Scores were not refitted on image halves (measure.refits), so little is known about how sure a "
    "choice is.",
    Missing.GROUPS: "Intervals over images are lacking: these come from too few groups (docs/uncertainty.md).",
}

CRITERION_WORDS = {
    "other_folds": "other folds (default)",
    "last_layer": "last layer",
    "penultimate": "second-to-last layer",
    "two_thirds": "two thirds of the depth",
    "random_layer": "random layer (mean)",
    "other_datasets": "best on other datasets",
    "seen_score": "best on seen classes",
    "tunnel": "95% of seen accuracy",
}


def payoff(found: Recommendation) -> str:
    """Say whether choosing pays, and what it gains; nothing of a single layer."""
    last, before = found.gain_over_last, found.gain_over_before
    at_most = "" if last.at_most is None else f"at most {decimals(last.at_most, sign=True)}"
    if last.status == Payoff.DOES_NOT_PAY:
        told = "Choosing does not pay: no earlier layer is shown to be better than the last"
        return f"{told} ({at_most}). There is nothing to cut."
    notes = [at_most, shown_gain(found)] if last.proven or last.estimate is None else ["not proven"]
    unsure = f" ({'; '.join(filter(None, notes))})" if any(notes) else ""
    control = "the last layer" if found.last_score is None else f"the last layer ({number(found.last_score)})"
    gains = {control: gain_words(last), "the second-to-last": gain_words(before)}
    told = joined([f"{gained} over {what}" for what, gained in gains.items() if gained])
    pays = last.status == Payoff.PAYS
    undecided = "The last layer does as well" if last.last_does_as_well else "Whether choosing pays is undecided"
    said = "Choosing pays" if pays else f"{undecided}{unsure}"
    return "" if found.last_depth == 0 else f"{said}{': ' * bool(told)}{told}."


def shown_gain(found: Recommendation) -> str:
    """Say which gain over the last layer as many classes or images show; nothing where it is not known."""
    last, classes = found.gain_over_last, found.n_classes * found.n_folds
    if last.detectable is None:
        return ""
    units = "these images show" if last.scope == "images" else f"{classes} classes show"
    return f"{units} a gain of about {last.detectable:.2f}"


def untrained(found: Recommendation) -> str:
    """Which layer the network has before fine-tuning, and its gain over its own last one; nothing where not known."""
    record = found.untrained
    if record is None:
        return ""
    gained = gain_words(record.gain_over_last)
    over = f", {gained} over its own last" if gained else ""
    return f"Pre-trained network: layer {place(record.layer.depth, found.last_depth)} (`{record.layer.layer}`){over}."


def caveat(found: Recommendation) -> str | None:
    """What makes the choice doubtful; None where nothing does."""
    if found.doubtful == []:
        return None
    return f"{'it is not shown that' if found.doubtful else 'it is untested if'} a layer beats {levels_to_beat(found)}"


def notes(found: Recommendation) -> list[str]:
    """What is missing, a sentence each."""
    return [of_parts(LACKING[what], found.parts) for what in found.missing]


def sentences(found: Recommendation) -> str:
    """From which layer of which checkpoint to take features, what it takes, whether choosing pays, and what ties."""
    chosen, cells = found.recommended, use_cells(found)
    if chosen is None:
        return f"{cells['use']}: no recommendation, since {reason(found)}."
    score = f"{metric_name(found.metric)} {cells['score']}"
    if found.last_depth == 0:
        return f"{cells['use']}: its only layer is `{chosen.layer}`, {score}{at_checkpoint(found)}."
    parts = [name for name in ("parameters", "multiply-adds") if cells[name] != MISSING]
    shares = [f"{cells[name]} of the {name}" for name in parts]
    takes = f", with {joined(shares)}" if shares else ""
    name = f"layer {place(chosen.depth, found.last_depth)} (`{chosen.layer}`, {score})"
    parts = [f"{cells['use']}: {name}{at_checkpoint(found)}{takes}.", why_chosen_by(found), doubt(found), payoff(found)]
    return " ".join(part for part in (*parts, ties(found), fine_tuning(found), untrained(found)) if part)


def doubt(found: Recommendation) -> str:
    """The caveat as a sentence after the choice; nothing where nothing is doubtful."""
    return "" if found.doubtful == [] else f"But {caveat(found)}."


def ties(found: Recommendation) -> str:
    """Which layers tie with the recommended one, and what each may lose at most."""
    if found.shortlist_scope is None:
        return "Which layers tie with it is not known."
    scope = scope_words(found.metric, found.shortlist_scope)
    if not found.ties:
        proven = is_proven(found.metric, found.shortlist_scope)
        return f"No other layer ties with it ({scope})." if proven else f"Ties are not proven ({scope})."
    prices = [(tie, "" if tie.loss_at_most is None else f", {decimals(tie.loss_at_most)}") for tie in found.ties]
    each = [f"{tie.depth + 1} (`{tie.layer}`{price})" for tie, price in prices]
    own = found.best.loss_at_most
    itself = "" if own is None else f" (the recommended one, {decimals(own)})"
    losses = f", with the most that each may fall short{itself}" if itself or any(price for _, price in prices) else ""
    return f"Not distinguishable ({scope}){losses}: layer{'s' * (len(each) > 1)} {joined(each)}."


def fine_tuning(found: Recommendation) -> str:
    """What fine-tuning did to the best layer's score and to the last one's; nothing where that is not known."""
    change = found.fine_tuning
    if change is None:
        return ""
    lower = LOWER * (found.better == "lower")
    last = f"; to the last layer's: {_changed(found, change.last)}" if change.last else ""
    return f"What fine-tuning to step {change.step} did to the best score{lower}: {_changed(found, change)}{last}."


def _changed(found: Recommendation, change: ChangeRecord) -> str:
    """Write a change as that of the score itself: one that fell is lowered, also where lower is better."""
    sign, turned = sign_of(found.better), {Status.RAISED: Status.LOWERED, Status.LOWERED: Status.RAISED}
    status = change.status if sign > 0 else turned.get(change.status, change.status)
    by = change_interval(sign * change.change, *sorted((sign * change.low, sign * change.high)))
    return f"{STATUSES[status]}, {by} ({scope_words(found.metric, change.scope)})"


GAINS = (
    "*Last layer*: its score at the last checkpoint. *Gain over last*, *over second-to-last*: by how much the chosen "
    "layer and checkpoint are better than it, and than the second-to-last layer. Scores and gains are corrected for "
    "the choice among layers, each by itself, so that they do not add up exactly. In brackets: 95% intervals. "
    "A dash: the layer compared with is the chosen one. Choosing *pays* where the interval lies above 0, "
    "*does not pay* where no layer and checkpoint gains more than `aggregate.worthwhile_gain`, else is *undecided*. "
    "*Ties*: layers that are not distinguishable from the chosen one. In brackets: how far the cheapest tie that "
    "risks no more than the chosen layer may fall short."
)

REGRET_WORDS = (
    "How far each rule falls short, per use, on unseen classes that it did not see: mean over folds ± standard error. "
    "The range runs from an estimate on half the images (usually too low) to one that chooses and "
    "scores the best layer on the same images (too high on average). *None seen*: no other layer was better."
)


def lost(record: RegretRecord) -> str:
    """Write what is lost to the best, in a bracket; the lower end is not below 0, where a choice was lucky."""
    if decimals(record.at_most) == decimals(0):
        return "none seen"
    sure = "" if record.error is None else f" ± {decimals(record.error)}"
    known = record.at_least is not None and record.at_least < record.at_most
    bracket = f"{decimals(max(0.0, record.at_least or 0.0))}–" if known else "≤ "
    return f"{bracket}{decimals(record.at_most)}{sure}"
