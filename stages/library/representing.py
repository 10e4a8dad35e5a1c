"""Choose what to store for an image, by use: a layer or a join of layers, and a recipe for its rows. From arrays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tabulate import tabulate

from ..aggregate.words.formatting import change_interval, joined, wrapped
from ..aggregate.words.representations import advice, describe
from ..aggregate.words.verdict import WIDTH
from ..core.inference.gain import Gain
from ..core.inference.representations import MAP_AT_R, gain_of, gain_of_judged
from ..core.representations.candidates import FITTED, Candidate
from ..core.representations.choice import Choice, choose_representation
from ..core.representations.dimensions import score_dimensions
from ..core.representations.fitting import MAX_AXES, principal_axes
from ..core.representations.representation import Origin
from ..core.representations.uses import USES, UseScores
from ..shared.embeddings.split_names import UNSEEN
from ..shared.runtime.errors import UserError, check_known
from ..shared.runtime.progress import progress
from .checks import MAX_IMAGES, Arrays, check_layers, draw_samples
from .compared import ANY_RECIPE, BEST, BEST_LAYER, HABIT, REPRESENTED, ROWS, Compared, Known
from .recommendation import RecommendedRepresentation
from .representation import Representation as Representation
from .scoring import one_thread

RETRIEVAL, NEAREST = "retrieval", "nn1_accuracy"
"""The use that candidates are compared for by MAP@R, and a further score of it."""

SCORES = {use: USES.get(use, MAP_AT_R) for use in REPRESENTED}
"""Use -> its score."""

WIDE = 2 * MAX_AXES
"""Features of a layer, and images, above which its rank is not computed."""

DIMENSIONS = (32, 64, 128, 256)  # of `RepresentationChoice.curve`


@dataclass(frozen=True)
class Row:
    """What was chosen for one use, among some candidates.

    Attributes:
        number: of the candidate that is best on all classes.
        score: mean over classes of what was chosen without each of them.
        gain: of it over the habit.
    """

    number: int
    score: float
    gain: Gain


@dataclass(frozen=True)
class RepresentationChoice:
    """What was chosen among layers, joins and recipes for each use, and what it gains. Prints as a small table.

    Attributes:
        choice: the scores of all candidates by MAP@R.
        notes: such as how many images were drawn.
        asked: uses that are looked at, if classes have enough images.
    """

    choice: Choice
    _layers: Arrays
    _labels: tuple[str, ...]
    _known: Mapping[str, Known]
    _origins: Mapping[str, Origin | None]
    _groups: NDArray[Any]
    notes: Sequence[str] = ()
    asked: Collection[str] = REPRESENTED

    @cached_property
    @one_thread()
    def uses(self) -> dict[str, dict[str, Row]]:
        """What was chosen, by use and among what: the habit, the best single layer, all and, for retrieval, more."""
        known = {RETRIEVAL, *(use for use, metric in USES.items() if metric in self._scores.metrics)}
        of_use = [(use, metric) for use, metric in SCORES.items() if use in known and use in self.asked]
        watched = progress(of_use, total=len(of_use), what="joins by use", unit="uses")
        return {use: self._by_map() if use == RETRIEVAL else self._by(metric) for use, metric in watched}

    def best_for(self, use: str | None = None) -> Candidate:
        """Return the representation to take for a use, chosen on all classes; None: retrieval, or the first of `uses`.

        Raises:
            UserError: it was not looked at, or classes have too few images.
        """
        use = use or (RETRIEVAL if RETRIEVAL in self.uses else next(iter(self.uses), RETRIEVAL))
        check_known(use, self.uses, f"use must be one that was looked at, found {use!r}")
        return self.choice.candidates[self.uses[use][BEST].number]

    def narrowed(self, use: str | None) -> "RepresentationChoice":
        """Look at one use only; None: at all that were asked for."""
        return replace(self, asked=self.asked if use is None else [use])

    @property
    def best(self) -> Candidate:
        """The representation to take for retrieval."""
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

    def better(self, use: str = RETRIEVAL) -> RecommendedRepresentation | None:
        """Return what is chosen, if it is no plain layer and better than the best one on classes that took no part."""
        rows = self.uses.get(use)
        if rows is None or rows[BEST].number in self.choice.singles or rows[BEST].score <= rows[BEST_LAYER].score:
            return None
        row, best = rows[BEST], self.best_for(use)
        costs = [self._deepest(each).operations for each in (best, self.habit)]
        return RecommendedRepresentation(
            use=use,
            metric=SCORES[use],
            name=self.describe(best),
            layers=tuple(self._known[name].layer for name in best.arrays),
            join=best.join,
            recipe=best.recipe,
            network=self._deepest(best).network,
            score=row.score,
            gain_over_layer=row.score - rows[BEST_LAYER].score,
            gain=row.gain.estimate,
            gain_low=row.gain.low,
            gain_high=row.gain.high,
            habit=self.describe(self.habit),
            status=str(row.gain.status),
            features=self._features(best),
            operations=None if np.isnan(costs[0]) else costs[0],
            habit_operations=None if np.isnan(costs[1]) else costs[1],
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """All candidates, the best first by mean MAP@R over classes, with what they are made of and cost.

        These are the means that the choice was made by: that of the best is too high for looking best. Those that
        compete for other uses have `nn1_accuracy`, `nmi` and `probe_accuracy`, too, means over folds.
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
        table, folds = pd.DataFrame(rows), len(self.choice.references)
        for scores in (self._scores_by(NEAREST), self._scores):
            for metric in scores.metrics:
                found = {number: scores.judge(metric, [number] * folds).value for number in scores.shortlist()}
                table[metric] = pd.Series(found)
        return table.sort_values("map_at_r", ascending=False, kind="stable", ignore_index=True)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """By use the habit, the best single layer and the best of all, and what they cost; for retrieval also more.

        `score` is linear probe accuracy, MAP@R or NMI of what was chosen on other classes, a mean over those of folds.
        `gain` is over the habit, with `low` and `high` (95% over classes); of MAP@R it is corrected for the choice,
        else it is the difference of scores. `features` and `operations` (multiply-adds per image) are those of what is
        chosen on all classes, which is named. Retrieval also has the habit with any recipe, and each network's best.
        """
        rows = {(use, what): self._described(row) for use, rows in self.uses.items() for what, row in rows.items()}
        columns = ["representation", "score", "gain", "low", "high", "features", "operations"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis(["use", "choice"])

    def _by_map(self) -> dict[str, Row]:
        """Choose for retrieval."""
        candidates = self.choice.candidates
        among: dict[str, Sequence[int]] = {HABIT: [self.choice.control]}
        among |= {ANY_RECIPE: [n for n, each in enumerate(candidates) if each.arrays == self.habit.arrays]}
        among |= {BEST_LAYER: self.choice.singles}
        groups = [self._deepest(each).network for each in candidates]
        if len({*groups}) > 1:
            among |= {group: [n for n, own in enumerate(groups) if own == group] for group in dict.fromkeys(groups)}
        among[BEST] = range(len(candidates))
        rows = {}
        for what, own in among.items():
            chosen, judged = self.choice.choose_among(own)
            rows[what] = Row(chosen, self.choice.score_of(judged), gain_of(self.choice, own))
        return rows

    def _by(self, metric: str) -> dict[str, Row]:
        """Choose for another use."""
        control, scores = self.choice.control, self._scores
        habit = scores.judge(metric, [control] * len(self.choice.references))
        rows = {HABIT: Row(control, habit.value, Gain())}
        for what, singles in ((BEST_LAYER, True), (BEST, False)):
            chosen, numbers = scores.choose(metric, singles=singles)
            judged = scores.judge(metric, numbers)
            rows[what] = Row(chosen, judged.value, Gain() if chosen == control else gain_of_judged(judged, habit))
        return rows

    def _described(self, row: Row) -> dict[str, Any]:
        candidate, gain = self.choice.candidates[row.number], row.gain
        return {
            "representation": self.describe(candidate),
            "score": row.score,
            "gain": np.nan if gain.estimate is None else gain.estimate,
            "low": np.nan if gain.low is None else gain.low,
            "high": np.nan if gain.high is None else gain.high,
            "features": self._features(candidate),
            "operations": self._deepest(candidate).operations,
        }

    @cached_property
    def _scores(self) -> UseScores:
        return self._scores_by(*(metric for use, metric in USES.items() if use in self.asked))

    def _scores_by(self, *metrics: str) -> UseScores:
        networks = {name: known.network for name, known in self._known.items()}
        y = np.unique(self._labels, return_inverse=True)[1]
        return UseScores(self._layers, networks, y, self._groups, self.choice, metrics)

    @cached_property
    def gain(self) -> Gain:
        """What it gains over the habit, with an interval over classes from ten on (`docs/statistics.md`)."""
        return gain_of(self.choice, range(len(self.choice.candidates)))

    @cached_property
    def curve(self) -> pd.DataFrame:
        """`curve_at` 32, 64, 128 and 256 dimensions."""
        return self.curve_at(DIMENSIONS)

    @one_thread()
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

    def fit(self, dimensions: int | None = None, use: str | None = None) -> Representation:
        """Fit the representation of a use to all images that were scored, which `notes` counts if they were drawn.

        Args:
            dimensions: number of features that are left; None: all.
            use: `classifier`, `retrieval` or `discovery`; None: retrieval, or the first of `uses`.

        Returns:
            What turns layers (of the chosen group) into vectors, with scikit-learn's `transform`, `save` and `load`.

        Raises:
            UserError: the use was not looked at, or there are more dimensions than features or images.
        """
        return self._fitted(self.best_for(use), dimensions)

    def _fitted(self, candidate: Candidate, dimensions: int | None = None) -> Representation:
        layers = {self._known[name].layer: self._layers[name] for name in candidate.arrays}
        origin = self._origins[self._deepest(candidate).network]
        return Representation(tuple(layers), candidate.recipe, dimensions, origin).fit(layers, np.array(self._labels))

    def write(self, folder: Path, made: Representation) -> None:
        """Write what was fitted, and the summary as `representation.csv`."""
        made.save(folder / "representation.safetensors")
        self.summary.to_csv(folder / "representation.csv")

    def describe(self, candidate: Candidate) -> str:
        """Name a candidate in words."""
        what = describe([self._known[name].layer for name in candidate.arrays], candidate.recipe)
        network = self._deepest(candidate).network
        return f"{network}: {what}" if network else what

    def _deepest(self, candidate: Candidate) -> Known:
        return self._known[candidate.arrays[-1]]

    def _features(self, candidate: Candidate) -> int:
        """Count the columns of its vectors."""
        counts = (
            self._axes if candidate.recipe in FITTED else {name: self._layers[name].shape[1] for name in self._known}
        )
        return sum(counts[name] for name in candidate.arrays)

    @cached_property
    def _axes(self) -> dict[str, int]:
        """Count the principal axes of each layer; a wide one, of which that takes long, is taken to have the most."""
        shapes = {name: self._layers[name].shape for name in self._known}
        return {
            name: len(principal_axes(self._layers[name]).deviations) if min(N, D) <= WIDE else MAX_AXES
            for name, (N, D) in shapes.items()
        }

    def __str__(self) -> str:
        notes = [wrapped(f"{note[:1].upper()}{note[1:]}.", WIDTH) for note in self.notes]
        return "\n".join([*self._advice, self._tabulated(), self._judged_on, *notes])

    @property
    def _advice(self) -> list[str]:
        """What to take: a sentence for the uses that have the same answer."""
        answers: dict[str, list[str]] = {}
        for use, rows in self.uses.items():
            best, layer = rows[BEST], rows[BEST_LAYER]
            named, alone = (self.describe(self.choice.candidates[each.number]) for each in (best, layer))
            told = advice(named, best.gain, is_habit=best.number == self.choice.control)
            if best.score < layer.score and layer.number != self.choice.control:
                told = f"{advice(f'{alone} alone', layer.gain, is_habit=False)} (joins score lower)"
            answers.setdefault(told, []).append(use)
        where = iter([", joins of layers included", *[""] * len(answers)])
        return [wrapped(f"For {joined(uses)}{next(where)}, {told}.", WIDTH) for told, uses in answers.items()]

    @property
    def _judged_on(self) -> str:
        """Say on which classes; those of one fold are chosen on as well."""
        classes, references = len(self.choice.classes), self.choice.references
        counted = f"{len(self.choice.candidates)} candidates"
        if len(references) == 1:
            told = (
                f"{classes} classes, too few for folds, {counted}. Scores are on classes that chose, and so too high."
            )
        else:
            folds = f"in {len(references)} folds, {min(references)} or more reference classes"
            told = (
                f"{classes} classes {folds}, {counted}. Scores are on classes that took no part in the choice or a "
                "fit, and among those of a fold, so higher than among all classes."
            )
        return wrapped(f"{told} The habit is {self.describe(self.habit)}.", WIDTH)

    def _tabulated(self) -> str:
        """Tabulate what to take by use, then each network's best for retrieval, and what the habit costs."""
        summary, cells = self.summary.to_dict("index"), []
        for use, rows in self.uses.items():
            scores = [f"{rows[what].score:.3f}" for what in (HABIT, BEST_LAYER, BEST)]
            cells.append([use, *scores, *_gain_and_cost(summary[use, BEST])])
        for what in (what for what in self.uses.get(RETRIEVAL, {}) if what not in ROWS):
            row = summary[RETRIEVAL, what]
            cells.append([what, "", "", f"{row['score']:.3f}", *_gain_and_cost(row)])
        cells.append([HABIT, "", "", "", *_gain_and_cost(self._described(Row(self.choice.control, np.nan, Gain())))])
        headings = ["use", "habit", "layer", "best", "gain over habit", "features", "mult-adds"]
        columns = slice(None if any(row[-1] for row in cells) else -1)  # what arrays cost is unknown
        return tabulate([row[columns] for row in (headings, *cells)], tablefmt="plain", disable_numparse=True)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>{self.table.head(10).to_html(float_format='{:.3f}'.format, na_rep='')}"


def _gain_and_cost(row: Mapping[Any, Any]) -> list[Any]:
    """Return the cells of a gain with its interval, of features and of multiply-adds."""
    gain = "" if np.isnan(row["gain"]) else change_interval(row["gain"], row["low"], row["high"])
    return [gain, row["features"], "" if np.isnan(row["operations"]) else f"{row['operations'] / 1e6:.0f} M"]


@one_thread()
def choose(compared: Compared, samples: pd.DataFrame) -> RepresentationChoice:
    """Choose on the images of unseen classes: `whichlayer.choose_representation`.

    Args:
        compared: arrays of all images, and what is made of them.
        samples: the images, from `checks.tabulate`.
    """
    rows = np.flatnonzero(samples["split"] == UNSEEN)
    own = samples.iloc[rows].assign(fold=0).reset_index(drop=True)
    drawn, _ = draw_samples(own, MAX_IMAGES, 2)
    notes = [] if drawn is None else [f"scores are of {len(drawn):,} images drawn from {len(own):,}"]
    rows, own = (rows, own) if drawn is None else (rows[drawn], own.iloc[drawn])
    whole, known = len(rows) == len(samples), compared.known
    arrays = check_layers({name: compared.arrays[name] for name in known}, len(samples), None if whole else rows)
    texts, has_groups = own["label"].to_numpy(dtype=str), (own["group"] != "").any()
    groups = own["group"].to_numpy(dtype=str) if has_groups else np.arange(len(own))
    how: dict[str, Any] = {"joins": compared.joins, "recipes": compared.recipes, "control": compared.control}
    choice = choose_representation(
        arrays,
        texts,
        groups,
        networks={name: each.network for name, each in known.items()},
        watch=lambda work: progress(work, total=len(work), what="joins without some classes", unit="parts"),
        **how,
    )
    return RepresentationChoice(choice, arrays, tuple(own["label"]), known, compared.origins, groups, notes)
