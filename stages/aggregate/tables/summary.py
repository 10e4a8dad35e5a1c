"""One network by one score on one dataset: its row of summary.csv, of its last step, and the data behind that row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...core.inference.layer_comparison import Bounds, Level, unshown_levels
from ...core.inference.scopes import Scope, is_proven, state_widest
from ...shared.embeddings.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED
from ...shared.runtime.errors import UserError, check_known
from ..columns import columns_of, frame
from ..curves import KEYS, MEAN, Direction, Name, Scores, each_curve, point_keys, sign_of
from ..network_data import NetworkData, Refits
from .uncertainty import INTERVAL_ENDS, LEADS, TIED


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One row of summary.csv, None where a field is empty.

    Of fold `mean` the best layer is that of the mean over folds and seeds, of equally good ones (within 1e-6) the
    shallowest. The raw-pixel baseline is never chosen.

    Attributes:
        step, n_folds, n_seeds: the step, and the numbers of folds and seeds in every mean.
        seen, seen_layer, seen_depth: maximum of the seen curve (minimum if lower is better), and its layer.
        unseen, best_layer, best_depth: g, the maximum of the unseen curve, and its layer; chosen and scored on the same
            images.
        last_layer, last_depth, last_value: the deepest layer and its unseen score.
        accuracy, accuracy_chance: accuracy of the network's own head on test images of the seen classes, and the
            accuracy of guessing; empty for a network that was not fine-tuned.
        seen_sd, unseen_sd, last_value_sd, accuracy_sd: standard deviations (ddof = 1) at the chosen layer: over seeds,
            in rows `mean` over folds if there are several.
        baseline: unseen score of the raw pixels.
        chance, ceiling: chance and ceiling of the best layer's score.
        main: true in the row that the verdict uses: main score, main pooling, fold `mean`.
        tied_classes, tied_images: depths of the layers that are not distinguishable from the best, in each scope,
            joined by `;`.
        seen_matched, unseen_matched: maxima of the curves with as many classes and images in both splits; these may be
            compared (docs/scores.md#matched-classes).
    """

    dataset: str
    model: str
    fold: str
    pooling: str
    step: int
    n_folds: int
    n_seeds: int
    metric: str
    seen: float | None = None
    unseen: float
    best_layer: str
    best_depth: int
    last_depth: int
    last_value: float | None = None
    accuracy: float | None = None
    seen_sd: float | None = None
    unseen_sd: float | None = None
    last_value_sd: float | None = None
    accuracy_sd: float | None = None
    baseline: float | None = None
    chance: float | None = None
    ceiling: float | None = None
    last_layer: str
    seen_layer: str | None = None
    seen_depth: int | None = None
    main: bool
    better: Direction
    ci_classes_low: float | None = None
    ci_classes_high: float | None = None
    ci_images_low: float | None = None
    ci_images_high: float | None = None
    lead_classes: float | None = None
    lead_classes_at_least: float | None = None
    lead_classes_at_most: float | None = None
    lead_images: float | None = None
    lead_images_at_least: float | None = None
    lead_images_at_most: float | None = None
    tied_classes: str | None = None
    tied_images: str | None = None
    seen_matched: float | None = None
    unseen_matched: float | None = None
    accuracy_chance: float | None = None

    @property
    def tied_scope(self) -> Scope | None:
        """The wider scope in which ties are known, as figures show them; None where they are in none."""
        return next((scope for scope, column in TIED.items() if getattr(self, column)), None)

    @property
    def tied_depths(self) -> list[int]:
        """Depths of the layers that tie with the best in that scope; may be empty."""
        return [int(depth) for depth in getattr(self, TIED[self.tied_scope]).split(";")] if self.tied_scope else []

    def unbeaten_by(self, value: float) -> tuple[Level, float] | None:
        """The baseline that a score does not beat, raw pixels first, and its score; None where it beats both."""
        sign = sign_of(self.better)
        levels: dict[Level, float | None] = {"raw_pixels": self.baseline, "chance": self.chance}
        known = ((name, level) for name, level in levels.items() if level is not None)
        return next(((name, level) for name, level in known if sign * value <= sign * level), None)

    @property
    def intervals(self) -> dict[Scope, tuple[Any, ...]]:
        """Intervals of the best layer's score, in each scope in which it has one, the wider one first."""
        return self._known(INTERVAL_ENDS)

    @property
    def proven_leads(self) -> dict[Scope, Bounds]:
        """The best earlier layer's lead over the last, in each scope in which its bounds have a proven level."""
        leads = {scope: Bounds(low, high, value) for scope, (value, low, high) in self._known(LEADS).items()}
        return {scope: lead for scope, lead in leads.items() if is_proven(self.metric, scope)}

    def _known(self, columns: Mapping[Scope, tuple[str, ...]]) -> dict[Scope, tuple[Any, ...]]:
        found = {scope: tuple(getattr(self, name) for name in names) for scope, names in columns.items()}
        return {scope: numbers for scope, numbers in found.items() if None not in numbers}


@dataclass(frozen=True)
class MeasuredNetwork:
    """One network by one score on one dataset.

    Attributes:
        row: its row of summary.csv, of the main pooling and of means over folds.
        curve: the points of this row's curve on unseen classes, at every step by depth.
        data: all that was measured of the network.
    """

    row: SummaryRow
    curve: pd.DataFrame
    data: NetworkData

    @property
    def sign(self) -> float:
        """What turns a gain into a score, and a score into a gain."""
        return sign_of(self.row.better)

    def layers(self, step: int) -> pd.DataFrame:
        """The points of its layers at one step, by depth."""
        return self.curve[self.curve["step"] == step]

    def at(self, step: int) -> Refits | None:
        """Arrange the score of its layers at one step; None where any value is missing."""
        return self.data.at(self.row.metric, step, point_keys(self.layers(step)))

    def unshown_levels(self, *steps: int) -> list[Level] | None:
        """Return which of chance and raw pixels no layer is shown to be better than; None: no bound is known.

        There is none where neither was measured.

        Args:
            steps: the checkpoints, of which the best layer was chosen.
        """
        chance, pixels = self.row.chance, self.data.pixels if self.row.baseline is not None else None
        if chance is None and self.row.baseline is None:
            return []
        refits = [self.at(step) for step in steps]
        refits += [self.data.at(self.row.metric, steps[0], [pixels])] if pixels else []
        gain, index = chance and self.sign * chance, len(self.layers(steps[0])) * len(steps) if pixels else None
        shown = state_widest(lambda inference: unshown_levels(inference, chance=gain, pixels=index), *refits)
        return shown and shown[1]


def measured_network(row: SummaryRow, scores: Scores, networks: Mapping[Name, NetworkData]) -> MeasuredNetwork:
    """Put together what is known of a network by the score of its row.

    Args:
        row: of summary.csv, of the main pooling and of means over folds.
        scores: means over seeds and folds.
        networks: the measured data of each.
    """
    curve = scores.main_points(row.dataset, row.model, row.metric)
    return MeasuredNetwork(row, curve, networks[row.dataset, row.model])


SUMMARY_COLUMNS = columns_of(SummaryRow)


def check_main_score(scores: Scores, main_metric: str) -> None:
    """Refuse a main score that chooses no layer of some network, before any long work.

    Args:
        scores: curves averaged over seeds.
        main_metric: the score that the verdict speaks of.

    Raises:
        UserError: it was not measured, has no finite value on unseen classes, or neither high nor low is better.
    """
    points = scores.at_last(UNSEEN)
    check_known(
        main_metric,
        sorted(set(points.loc[points["best"], "metric"])),
        f"aggregate.main_metric: must be a score by which a layer is best on unseen classes, found {main_metric!r}",
    )
    points = points[points["main"] & (points["metric"] == main_metric)]
    for (dataset, model, *_), own in each_curve(points):
        if not own["best"].any():
            raise UserError(
                f"aggregate.main_metric: {dataset}, {model}: {main_metric} has no finite value at any layer on unseen "
                "classes; choose another score, or look at the embeddings"
            )


def summarize(scores: Scores, main_metric: str) -> list[SummaryRow]:
    """Sum up every curve that has a best layer, at the last step at which its score was measured.

    Args:
        scores: curves averaged over seeds, with `UNCERTAINTY`.
        main_metric: `main` marks, for each dataset and model, the row of this score, of the main pooling and of `MEAN`.

    Returns:
        One row per dataset, model, fold, pooling and metric. A score of which neither higher nor lower is better has
        none, nor has one without any finite value on unseen classes.
    """
    unseen = scores.at_last(UNSEEN)
    chosen, deepest = unseen[unseen["best"]], unseen.drop_duplicates(KEYS, keep="last")
    splits = (SEEN, SEEN_MATCHED, UNSEEN_MATCHED)
    seen, seen_matched, unseen_matched = (points[points["best"]] for points in map(scores.at_last, splits))
    tied = {column: unseen[unseen[column].fillna(value=False)].astype({"depth": str}) for column in TIED.values()}
    own = {name: name for name in SUMMARY_COLUMNS if name in chosen and name not in (*KEYS, *TIED.values())}
    parts = [
        _columns(chosen, **own, baseline="pixels"),
        _columns(chosen, unseen="value", unseen_sd="sd", best_layer="layer", best_depth="depth"),
        _columns(seen, seen="value", seen_sd="sd", seen_layer="layer", seen_depth="depth"),
        _columns(deepest, last_value="value", last_value_sd="sd", last_layer="layer", last_depth="depth"),
        _columns(seen_matched, seen_matched="value"),
        _columns(unseen_matched, unseen_matched="value"),
        *(rows.groupby(KEYS)["depth"].agg(";".join).rename(column) for column, rows in tied.items()),
    ]
    table = pd.concat(parts, axis=1).loc[pd.MultiIndex.from_frame(chosen[KEYS])].reset_index()
    table = table.assign(n_folds=table["fold"].map(scores.n_folds), n_seeds=scores.n_seeds)
    table["main"] &= (table["metric"] == main_metric) & (table["fold"] == MEAN)
    rows = frame([table], SUMMARY_COLUMNS).to_dict("records")
    known = ({str(name): value for name, value in row.items() if pd.notna(value) and value != ""} for row in rows)
    return [SummaryRow(**row) for row in known]


def _columns(points: pd.DataFrame, **names: str) -> pd.DataFrame:
    """Columns of one point of each curve, under other names, by curve."""
    return points.set_index(KEYS)[list(names.values())].set_axis(list(names), axis=1)


def summary_table(rows: Sequence[SummaryRow]) -> pd.DataFrame:
    """The rows as the table `SUMMARY_COLUMNS`."""
    return frame(map(vars, rows), SUMMARY_COLUMNS)
