"""What is said of a layer or a join of layers with a recipe for its rows."""

from collections.abc import Sequence

from ...core.inference.gain import Gain, Payoff
from ...core.representations.candidates import Recipe
from ...core.scores.description import USES
from ..facts import RepresentationRecord
from .formatting import capitalized, harmless
from .scores import metric_name
from .uses import PRETRAINED

RECIPES: dict[Recipe, str] = {
    "plain": "L2-normalized",
    "centred": "centred",
    "whitened": "whitened",
    "within": "whitened within classes",
    "whitened_within": "whitened, then within classes",
}

TUNED = " on the remaining folds, fitted to its own seen classes' test images"
"""What a fold of a fine-tuned network is judged by."""


NO_JOINS = (
    "Joins of layers were not compared (analysis `representations`): that needs two folds, or for a "
    "frozen network two sets of classes or more (`unseen_classes: all`, and an `unseen_count` up to half the classes)."
)


def describe(layers: Sequence[str], recipe: Recipe, checkpoint: str = "") -> str:
    """Name a representation, of a checkpoint if that is to be named."""
    what = layers[-1] if len(layers) == 1 else f"{layers[0]} to {layers[-1]} ({len(layers)} layers)"
    what += checkpoint
    return what if recipe == "plain" else f"{what}, {RECIPES[recipe]}"


def advice(named: str, gain: Gain, *, is_habit: bool) -> str:
    """Say what to take: shown to be better than the habit, or worth a try."""
    if is_habit:
        return f"{named}, the habit, does as well as any"
    if gain.last_does_as_well:
        return f"the habit does as well as {named}"
    verb, shown = ("take", "shown to be better than the habit") if gain.status == Payoff.PAYS else ("try", "undecided")
    return f"{verb} {named}: {shown}"


def name_of(found: RepresentationRecord) -> str:
    """Name what to take from a network, with its checkpoint if there are several."""
    checkpoint = "" if found.of_steps is None else f" at step {found.step}" if found.step else PRETRAINED
    return describe([harmless(name) for name in found.layers], found.recipe, checkpoint)


def is_better(found: RepresentationRecord) -> bool:
    """Return whether it is more than a layer, shown to be better than the last one, and better than the best one."""
    more = len(found.layers) > 1 or found.recipe != "plain"
    return more and found.gain_over_last.status == Payoff.PAYS and found.value > found.layer_value


def brief(found: RepresentationRecord) -> str:
    """Say what to take from a network for a use, joins included."""
    gain = found.gain_over_last
    steps = "" if found.of_steps is None else "pre-trained {:.3f}, fine-tuned {:.3f}, ".format(*found.of_steps)
    is_pretrained = found.of_steps is not None and not found.step
    is_habit = found.recipe == "plain" and found.layers == [found.last_layer] and not is_pretrained
    told = f"joins of layers included, {advice(name_of(found), gain, is_habit=is_habit)}"
    if found.value < found.layer_value and not is_habit:
        told = "joins of layers score lower than the best single layer"
    interval = "" if gain.low is None or gain.high is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
    gained = "" if gain.estimate is None else f", gain {gain.estimate:+.3f}{interval}"
    where, fitted = ("sets", ", fitted on the remaining sets") if found.step is None else ("folds", TUNED)
    return (
        f"{told}. {capitalized(metric_name(found.metric))} {found.value:.3f} "
        f"({steps}best single layer {found.layer_value:.3f}, "
        f"last layer {found.last_value:.3f}{gained}), with {found.n_classes} classes judged in {found.n_sets} {where}, "
        f"each scored by the choice among {found.n_candidates} candidates{fitted}."
    )


def brief_for_use(found: RepresentationRecord) -> str:
    """Say the same after the name of the use."""
    return f"{USES[found.use].words or found.use}: {brief(found)}"
