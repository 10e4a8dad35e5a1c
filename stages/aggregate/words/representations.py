"""What is said of a layer or a join of layers with a recipe for its rows."""

from collections.abc import Sequence

from ...core.inference.gain import Gain, Payoff
from ...core.representations.candidates import Recipe
from ..facts import RepresentationRecord
from .formatting import harmless

RECIPES: dict[Recipe, str] = {
    "plain": "L2-normalized",
    "centred": "centred",
    "whitened": "whitened",
    "within": "whitened within classes",
    "whitened_within": "whitened, then within classes",
}


def describe(layers: Sequence[str], recipe: Recipe) -> str:
    """Name a representation."""
    what = layers[-1] if len(layers) == 1 else f"{layers[0]} to {layers[-1]} ({len(layers)} layers)"
    return what if recipe == "plain" else f"{what}, {RECIPES[recipe]}"


def advice(named: str, gain: Gain, *, is_habit: bool) -> str:
    """Say what to take: shown to be better than the habit, or worth a try."""
    if is_habit:
        return f"{named}, the habit, does as well as any"
    verb, shown = ("take", "shown to be better") if gain.status == Payoff.PAYS else ("try", "undecided")
    return f"{verb} {named}: {shown}"


def brief(found: RepresentationRecord) -> str:
    """Say what to take from a network for retrieval, joins included."""
    gain, named = found.gain_over_last, describe([harmless(name) for name in found.layers], found.recipe)
    told = advice(named, gain, is_habit=found.recipe == "plain" and found.layers == [found.last_layer])
    interval = "" if gain.low is None or gain.high is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
    gained = "" if gain.estimate is None else f", gain {gain.estimate:+.3f}{interval}"
    return (
        f"joins of layers included, {told}. MAP@R {found.value:.3f} (best single layer {found.layer_value:.3f}, "
        f"last layer {found.last_value:.3f}{gained}), in {found.n_sets} sets of {found.n_classes} classes, "
        f"each scored by the choice among {found.n_candidates} candidates, fitted on the remaining sets."
    )
