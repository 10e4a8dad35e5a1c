"""Choose what to store for an image: a layer or a join of layers, and a recipe for its rows. From arrays alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..aggregate.words.formatting import wrapped
from ..aggregate.words.verdict import WIDTH
from ..core.inference.gain import Gain, gain_over
from ..core.inference.refitted import Refits
from ..core.representations.candidates import JOINS, RECIPES, Candidate, Join, LayerAxes, Recipe
from ..core.representations.choice import Choice, choose_representation
from ..core.representations.representation import Representation
from ..core.scores.catalogue import LAYER_SCORES
from .checks import Arrays, Layers, check_layers, tabulate

MAP_AT_R = "map_at_r"


@dataclass(frozen=True)
class RepresentationChoice:
    """What was chosen among layers, joins and recipes, and what it gains. Prints as a few lines.

    Attributes:
        choice: the scores of all candidates.
    """

    choice: Choice
    _layers: Arrays
    _labels: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The representation to take, chosen on all classes."""
        return self.choice.candidates[self.choice.chosen]

    @property
    def habit(self) -> Candidate:
        """What gains are over: by default the last layer, L2-normalized."""
        return self.choice.candidates[self.choice.control]

    @property
    def score(self) -> float:
        """MAP@R on classes that took no part in the choice or in any fit."""
        return self.choice.score

    @property
    def habit_score(self) -> float:
        """MAP@R of the habit in the same galleries."""
        return float(self.choice.values[self.choice.control])

    @property
    def layer_score(self) -> float:
        """MAP@R of the best single layer, chosen on the same other classes."""
        return self.choice.score_of(self.choice.judged_single)

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per candidate, the best first: `layers`, `join`, `recipe`, `map_at_r` and `features`.

        MAP@R is the mean over classes, in the gallery of one fold, and too good for the candidate that looks best.
        """
        candidates, own = self.choice.candidates, self._layers
        rows = {
            "layers": [", ".join(each.arrays) for each in candidates],
            "join": [each.join for each in candidates],
            "recipe": [each.recipe for each in candidates],
            "map_at_r": self.choice.values,
            "features": [sum(own[name].shape[1] for name in each.arrays) for each in candidates],
        }
        return pd.DataFrame(rows).sort_values("map_at_r", ascending=False, kind="stable", ignore_index=True)

    @cached_property
    def gain(self) -> Gain:
        """What it gains over the habit, with an interval over classes from ten on (`docs/statistics.md`)."""
        choice = self.choice
        family = [n for n, each in enumerate(choice.candidates) if self.best.is_fitted or not each.is_fitted]
        values, without = choice.values[family], choice.without[:, family]
        keys = [(str(number), "") for number in family]
        empty = np.empty((1, 1, 0, len(family)))
        found = Refits.of(keys, LAYER_SCORES[MAP_AT_R], values[None, None], without[None, None], empty)
        control = (0, family.index(choice.control))
        return gain_over(control, values[None, None], [replace(found, frozen=True)], proven=(), worthwhile=0.0)

    def fit(self, dimensions: int | None = None) -> Representation:
        """Fit the chosen representation to all images.

        Args:
            dimensions: number of features that are left; None: all.

        Returns:
            What turns layers into vectors, with scikit-learn's `transform`, `save` and `load`.

        Raises:
            UserError: there are more dimensions than features or images.
        """
        return Representation.of(self.best, dimensions).fit(self._layers, np.array(self._labels))

    def __str__(self) -> str:
        gain, choice = self.gain, self.choice
        interval = "" if gain.low is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
        gained = "" if gain.estimate is None else f", gain {gain.estimate:+.3f}{interval}"
        told = (
            f"For retrieval take {describe(self.best)}{gained}.",
            f"MAP@R within a fold, on classes that took no part in the choice: {self.score:.3f}; best single layer "
            f"{self.layer_score:.3f}; {describe(self.habit)} {self.habit_score:.3f}.",
            f"{len(choice.classes)} classes in {len(choice.references)} folds, {min(choice.references)} or more "
            f"reference classes, {len(choice.candidates)} candidates.",
        )
        return "\n".join(wrapped(line, WIDTH) for line in told)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>{self.table.head(10).to_html(float_format='{:.3f}'.format)}"


def describe(candidate: Candidate) -> str:
    """Name a candidate in words."""
    first, last = candidate.arrays[0], candidate.arrays[-1]
    what = last if len(candidate.arrays) == 1 else f"{first} to {last} ({len(candidate.arrays)} layers)"
    return what if candidate.recipe == "plain" else f"{what}, {WORDS[candidate.recipe]}"


WORDS: dict[Recipe, str] = {
    "plain": "L2-normalized",
    "centred": "centred",
    "whitened": "whitened",
    "within": "whitened within classes",
    "whitened_within": "whitened, then within classes",
}


def choose(
    layers: Mapping[str, ArrayLike] | Mapping[str, Mapping[str, ArrayLike]],
    labels: ArrayLike,
    groups: ArrayLike | None,
    joins: Collection[Join],
    recipes: Collection[Recipe],
    control: str | tuple[str, str] | None,
) -> RepresentationChoice:
    """Check arrays and choose: `whichlayer.choose_representation`."""
    given: Mapping[str, Any] = layers
    several = bool(given) and all(isinstance(each, Mapping) for each in given.values())
    flat: dict[str, Any] = {}
    axes: dict[str, LayerAxes] = {}
    for source, own in given.items() if several else {"": given}.items():
        known = own.described if isinstance(own, Layers) else {}
        for name, values in own.items():
            key = f"{source}.{name}" if several else name
            flat[key] = values
            operations = float(known[name].operations) if name in known else float("nan")
            axes[key] = LayerAxes(network=source, layer=name, operations=operations)
    samples = tabulate(labels, groups)
    arrays = check_layers(flat, len(samples))
    habit = ".".join(control) if isinstance(control, tuple) else control
    grouped = None if groups is None else samples["group"].to_numpy(dtype=str)
    choice = choose_representation(
        arrays, samples["label"].to_numpy(dtype=str), grouped, axes=axes, joins=joins, recipes=recipes, control=habit
    )
    return RepresentationChoice(choice, arrays, tuple(samples["label"]))


__all__ = ["JOINS", "RECIPES", "Representation", "RepresentationChoice", "choose"]
