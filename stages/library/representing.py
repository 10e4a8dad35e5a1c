"""Choose what to store for an image: a layer or a join of layers, and a recipe for its rows. From arrays alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tabulate import tabulate

from ..aggregate.words.formatting import wrapped
from ..aggregate.words.representations import advice, describe
from ..aggregate.words.scores import NAMES
from ..aggregate.words.verdict import WIDTH
from ..core.inference.gain import Gain
from ..core.inference.representations import MAP_AT_R, gain_of
from ..core.representations.candidates import FITTED, Candidate, Join, Recipe
from ..core.representations.choice import Choice, choose_representation
from ..core.representations.dimensions import score_dimensions
from ..core.representations.fitting import MAX_AXES
from ..core.representations.representation import Origin
from ..core.representations.representation import Representation as Representation
from ..core.representations.uses import USES, UseScores
from ..core.scores.catalogue import LAYER_SCORES, PROBE
from ..shared.embeddings.split_names import BASELINE
from ..shared.runtime.errors import UserError
from .checks import MAX_IMAGES, Arrays, Layers, check_index, check_layers, checked_mapping, draw_samples
from .checks import tabulate as tabulate_samples

FURTHER = 5
"""Best candidates of which `RepresentationChoice.table` has the scores of other uses."""

DIMENSIONS = (32, 64, 128, 256)
"""Of `RepresentationChoice.curve`."""


class Known(NamedTuple):
    """What is known of an array: its network (or input size), its layer, and multiply-adds per image up to there."""

    network: str
    layer: str
    operations: float


@dataclass(frozen=True)
class RepresentationChoice:
    """What was chosen among layers, joins and recipes, and what it gains. Prints as a small table.

    Attributes:
        choice: the scores of all candidates.
        notes: such as how many images were drawn.
    """

    choice: Choice
    _layers: Arrays
    _labels: tuple[str, ...]
    _known: Mapping[str, Known]
    _origins: Mapping[str, Origin | None]
    _groups: NDArray[Any]
    notes: Sequence[str] = ()

    @property
    def best(self) -> Candidate:
        """The representation to take, chosen on all classes."""
        return self.choice.candidates[self.choice.chosen]

    @property
    def habit(self) -> Candidate:
        """What gains are over: by default the last layer of the first network, L2-normalized."""
        return self.choice.candidates[self.choice.control]

    @property
    def score(self) -> float:
        """MAP@R on classes that took no part in the choice or in any fit; of fewer than four on those chosen on."""
        return self.choice.score

    @property
    def layer_score(self) -> float:
        """MAP@R of the best single layer, chosen on the same other classes."""
        return self.choice.score_of(self.choice.judged_single)

    @cached_property
    def table(self) -> pd.DataFrame:
        """All candidates, the best first.

        A row has `group`, `layers`, `join`, `recipe`, `map_at_r`, `features`, `operations`, and the other uses'
        `nn1_accuracy`, `nmi` and `probe_accuracy`, which only the habit, the best single layer and the five best have.

        MAP@R is the mean over classes, in the gallery of one fold, and too good for the candidate that looks best.
        """
        candidates = self.choice.candidates
        rows = {
            "group": [self._deepest(each).network for each in candidates],
            "layers": [", ".join(self._known[name].layer for name in each.arrays) for each in candidates],
            "join": [each.join for each in candidates],
            "recipe": [each.recipe for each in candidates],
            "map_at_r": self.choice.values,
            "features": [self._features(each) for each in candidates],
            "operations": [self._deepest(each).operations for each in candidates],
        }
        by_score = np.argsort(-self.choice.values, kind="stable")[:FURTHER]
        scored = {self.choice.control, self.choice.choose_among(self.choice.singles)[0], *by_score.tolist()}
        folds = len(self.choice.references)
        uses = pd.DataFrame.from_dict({n: self._uses.mean([candidates[n]] * folds) for n in scored}, orient="index")
        table = pd.DataFrame(rows).join(uses)
        return table.sort_values("map_at_r", ascending=False, kind="stable", ignore_index=True)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The habit, alone and with recipes, the best single layer, of each group and of all, and what they cost.

        `map_at_r` is that of what was chosen on other classes, by MAP@R; so are `nn1_accuracy`, `nmi` and
        `probe_accuracy`, means over folds (NaN: fewer than five images of a class). `gain` is over the habit, corrected
        for the choice, with `low` and `high` (95% over classes). `features` and `operations` (multiply-adds per image)
        are those of what is chosen on all classes, which is named. The last row is the probe of all layers of the
        habit's network, columns standardized and layers of equal weight, which is no candidate.
        """
        candidates = self.choice.candidates
        same = [n for n, each in enumerate(candidates) if each.arrays == self.habit.arrays]
        rows: dict[str, Sequence[int]] = {"habit": [self.choice.control], "habit, any recipe": same}
        rows |= {"best single layer": self.choice.singles}
        groups = [self._deepest(each).network for each in candidates]
        if len({*groups}) > 1:
            rows |= {group: [n for n, own in enumerate(groups) if own == group] for group in dict.fromkeys(groups)}
        rows["best of all"] = range(len(candidates))
        found = {what: self._row(among) for what, among in rows.items()}
        habit = self._deepest(self.habit).network
        every = Candidate(tuple(name for name, known in self._known.items() if known.network == habit), "all", "plain")
        costs = {"features": self._features(every), "operations": self._deepest(every).operations}
        found["all layers"] = {"representation": self.describe(every), **costs}
        found["all layers"][PROBE] = self._uses.joined_probe(every.arrays)
        return pd.DataFrame.from_dict(found, orient="index", columns=[*found["habit"]])

    def _row(self, among: Sequence[int]) -> dict[str, Any]:
        chosen, judged = self.choice.choose_among(among)
        candidate, gain = self.choice.candidates[chosen], gain_of(self.choice, among)
        return {
            "representation": self.describe(candidate),
            "map_at_r": self.choice.score_of(judged),
            **self._uses.mean([self.choice.candidates[number] for number in judged]),
            "gain": np.nan if gain.estimate is None else gain.estimate,
            "low": np.nan if gain.low is None else gain.low,
            "high": np.nan if gain.high is None else gain.high,
            "features": self._whole.n_features_out_ if chosen == self.choice.chosen else self._features(candidate),
            "operations": self._deepest(candidate).operations,
        }

    @cached_property
    def _uses(self) -> UseScores:
        return UseScores(self._layers, np.unique(self._labels, return_inverse=True)[1], self._groups, self.choice.folds)

    @cached_property
    def _whole(self) -> Representation:
        return self.fit()

    @cached_property
    def gain(self) -> Gain:
        """What it gains over the habit, with an interval over classes from ten on (`docs/statistics.md`)."""
        return gain_of(self.choice, range(len(self.choice.candidates)))

    @cached_property
    def curve(self) -> pd.DataFrame:
        """`curve_at` 32, 64, 128 and 256 dimensions."""
        return self.curve_at(DIMENSIONS)

    def curve_at(self, dimensions: Sequence[int]) -> pd.DataFrame:
        """MAP@R of the chosen representation by `dimensions`, of all at the end; larger numbers than all are left out.

        Axes are fitted to other classes than those judged, but the representation was chosen on all: slightly too high.
        """
        whole = isinstance(dimensions, Collection) and all(isinstance(d, Integral) and d >= 1 for d in dimensions)
        if not whole:
            raise UserError(f"dimensions must be a list of whole numbers from 1 on, found {dimensions!r}")
        if len(self.choice.references) == 1:
            return pd.DataFrame({"map_at_r": []}, pd.Index([], name="dimensions"))
        y = np.unique(self._labels, return_inverse=True)[1]
        found = score_dimensions(self._layers, y, self._groups, self.choice.folds, self.best, dimensions)
        return pd.DataFrame({"map_at_r": found.values()}, pd.Index(found, name="dimensions"))

    def fit(self, dimensions: int | None = None) -> Representation:
        """Fit the chosen representation to all images that were scored, which `notes` counts if they were drawn.

        Args:
            dimensions: number of features that are left; None: all.

        Returns:
            What turns layers (of the chosen group) into vectors, with scikit-learn's `transform`, `save` and `load`.

        Raises:
            UserError: there are more dimensions than features or images.
        """
        layers = {self._known[name].layer: self._layers[name] for name in self.best.arrays}
        origin = self._origins[self._deepest(self.best).network]
        return Representation(tuple(layers), self.best.recipe, dimensions, origin).fit(layers, np.array(self._labels))

    def write(self, folder: Path, made: Representation) -> None:
        """Write what was fitted, and the summary as `representation.csv`."""
        made.save(folder / "representation.safetensors")
        self.summary.to_csv(folder / "representation.csv", index_label="choice")

    def describe(self, candidate: Candidate) -> str:
        """Name a candidate in words."""
        what = describe([self._known[name].layer for name in candidate.arrays], candidate.recipe)
        network = self._deepest(candidate).network
        return f"{network}: {what}" if network else what

    def _deepest(self, candidate: Candidate) -> Known:
        return self._known[candidate.arrays[-1]]

    def _features(self, candidate: Candidate) -> int:
        """Count the columns of its vectors, if no layer's rank is low."""
        shapes = [self._layers[name].shape for name in candidate.arrays]
        if candidate.recipe not in FITTED:
            return sum(width for _, width in shapes)
        return sum(max(1, min(MAX_AXES, width - 1, count - 2)) for count, width in shapes)

    def __str__(self) -> str:
        choice = self.choice
        layer = self.describe(choice.candidates[choice.choose_among(choice.singles)[0]])
        told = (
            f"For retrieval, joins of layers included, {self._advice}.",
            f"{self._judged_on} The habit is {self.describe(self.habit)}, the best single layer {layer}. All "
            f"candidates together reach {self.score - self.layer_score:+.3f} over the best single layer.",
            *(f"{note[:1].upper()}{note[1:]}." for note in self.notes),
        )
        first, last = ("\n".join(wrapped(line, WIDTH) for line in each) for each in (told[:1], told[1:]))
        return f"{first}\n{self._tabulated()}\n{self._other_uses()}\n{last}"

    @property
    def _judged_on(self) -> str:
        """Say on which classes; those of one fold are chosen on as well."""
        classes, references = len(self.choice.classes), self.choice.references
        if len(references) == 1:
            return (
                f"{classes} classes, too few for folds, {len(self.choice.candidates)} candidates. MAP@R is on the "
                "classes that the choice was made on, and so too high."
            )
        return (
            f"{classes} classes in {len(references)} folds, {min(references)} or more reference classes, "
            f"{len(self.choice.candidates)} candidates. MAP@R is on classes that took no part in the choice, and among "
            "those of a fold, so higher than among all classes. Gains [95%] are corrected for the choice."
        )

    @property
    def _advice(self) -> str:
        """What to take."""
        return advice(self.describe(self.best), self.gain, is_habit=self.best == self.habit)

    def _tabulated(self) -> str:
        rows = []
        for what, row in self.summary.dropna(subset=MAP_AT_R).to_dict("index").items():
            interval = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
            gain = "" if np.isnan(row["gain"]) else f"{row['gain']:+.3f}{interval}"
            cost = "" if np.isnan(row["operations"]) else f"{row['operations'] / 1e6:.0f} M"
            rows.append([str(what), f"{row['map_at_r']:.3f}", gain, row["features"], cost])
        headings = ["", "MAP@R", "gain over habit", "features", "multiply-adds"]
        columns = slice(None if any(row[-1] for row in rows) else -1)  # what arrays cost is unknown
        return tabulate([row[columns] for row in rows], headings[columns], tablefmt="plain", disable_numparse=True)

    def _other_uses(self) -> str:
        """Put the scores of other uses into a line."""
        uses = self.summary.loc[["habit", "best of all"], [*USES]].dropna(axis="columns")
        scores = "; ".join(f"{what} {', '.join(f'{value:.3f}' for value in row)}" for what, *row in uses.itertuples())
        return f"{', '.join(LAYER_SCORES[name].short or NAMES[name] for name in map(str, uses))}: {scores}."

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>{self.table.head(10).to_html(float_format='{:.3f}'.format, na_rep='')}"


def choose(
    layers: Mapping[str, ArrayLike] | Mapping[str, Mapping[str, ArrayLike]],
    labels: ArrayLike,
    groups: ArrayLike | None,
    joins: Collection[Join],
    recipes: Collection[Recipe],
    control: str | tuple[str, str] | None,
) -> RepresentationChoice:
    """Check arrays and choose: `whichlayer.choose_representation`."""
    for what, named in (("joins", joins), ("recipes", recipes)):
        listed = isinstance(named, Collection) and not isinstance(named, str) and len(named) > 0
        if not listed or not all(isinstance(name, str) for name in named):
            raise UserError(f"{what} must be a list of names, found {named!r}")
    given: Mapping[str, Any] = checked_mapping(layers, "choose_representation")
    several = bool(given) and all(isinstance(each, Mapping) for each in given.values())
    flat: dict[str, Any] = {}
    known: dict[str, Known] = {}
    origins: dict[str, Origin | None] = {}
    for network, own in given.items() if several else {"": given}.items():
        check_index(own, labels)
        if several and not {*own} - {BASELINE}:
            raise UserError(f"every network must have a layer, found none of {network!r}; leave it out")
        described = own.described if isinstance(own, Layers) else {}
        origins[network] = own.origin if isinstance(own, Layers) else None
        for name in (name for name in own if name != BASELINE):
            key = f"{network}.{name}" if several else name
            if key in flat:
                raise UserError(f"network and layer must name each array once, found {key!r} twice; rename a network")
            operations = float(described[name].operations) if name in described else float("nan")
            flat[key], known[key] = own[name], Known(network, name, operations)
    samples = tabulate_samples(labels, groups)
    rows, _ = draw_samples(samples, MAX_IMAGES, 2)
    notes = [] if rows is None else [f"scores are of {len(rows):,} images drawn from {len(samples):,}"]
    arrays = check_layers(flat, len(samples), rows)
    samples = samples if rows is None else samples.iloc[rows]
    texts, grouped = samples["label"].to_numpy(dtype=str), samples["group"].to_numpy(dtype=str)
    grouped = np.arange(len(samples)) if groups is None else grouped
    how: dict[str, Any] = {"joins": joins, "recipes": recipes}
    how |= {"control": ".".join(map(str, control)) if isinstance(control, tuple) else control}
    how |= {"networks": {key: each.network for key, each in known.items()}}
    choice = choose_representation(arrays, texts, grouped, **how)
    return RepresentationChoice(choice, arrays, tuple(samples["label"]), known, origins, grouped, notes)
