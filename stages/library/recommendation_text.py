"""How a recommendation prints; apart, so that scoring does not import what words it."""

from ..aggregate.words.formatting import capitalized, change_interval, interval, number, wrapped
from ..aggregate.words.scores import short_name
from ..aggregate.words.verdict import WIDTH
from ..core.inference.gain import Payoff
from .recommendation import Recommendation, RecommendedRepresentation


def representation_text(found: RecommendedRepresentation) -> str:
    """Say what to take instead of a layer, what it gains, and what it costs."""
    pays = found.status == Payoff.PAYS
    told = f"{'take' if pays else 'try'} {found.name}{': shown to be better' if pays else ': undecided'}. "
    told += f"{capitalized(short_name(found.metric))} within folds {number(found.score)}, "
    told += f"{found.gain_over_layer:+.3f} over the best single layer"
    if found.gain is not None and found.gain_low is not None and found.gain_high is not None:
        told += f" and {change_interval(found.gain, found.gain_low, found.gain_high)} over the habit, {found.habit}"
    told += f". {found.features:,} features"
    if found.operations is not None and found.habit_operations is not None:
        told += f", {found.operations / 1e6:.0f} M multiply-adds (habit {found.habit_operations / 1e6:.0f} M)"
    return f"{told}; result.fit(use={found.use!r}) makes it"


def recommendation_text(found: Recommendation) -> str:
    """Say what to take for a use, wrapped."""
    told, name = [], short_name(found.metric)
    ends = "" if found.low is None or found.high is None else f" {interval(found.low, found.high)}"
    layer = f"{found.layer}: {name} {number(found.score)}{ends}"
    if found.gain is not None and found.gain_low is not None and found.gain_high is not None:
        layer += f", {change_interval(found.gain, found.gain_low, found.gain_high)} over the last layer"
    if found.representation:
        told += [f"For {found.use} {found.representation}.", f"Best single layer: {layer}."]
    elif not found.useful:
        told += [f"For {found.use} no layer beats chance and raw pixels. Best: {layer}."]
    else:
        verb = "try" if found.status == Payoff.UNDECIDED else "take"
        told += [f"For {found.use} {verb} {layer}, {found.status.replace('_', ' ')}."]
    return "\n".join(wrapped(line, WIDTH) for line in told)
