"""The rows of summary.csv: one network by one score on one dataset, and the data behind each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ...core.choose import levels_not_beaten
from ...core.inference.layer_comparison import Level
from ...core.inference.refitted import Refits
from ...core.scores.description import sign_of
from ...shared.embeddings.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED
from ...shared.runtime.errors import UserError, check_known
from ..columns import columns_of, frame
from ..curves import KEYS, MEAN, Name, Scores, each_curve, point_keys
from ..network_data import NetworkData
from .summary_row import TIED, SummaryRow


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
        return levels_not_beaten([self.at(step) for step in steps], self.row.levels, self.pixels_at(steps[0]))

    def pixels_at(self, step: int) -> list[Refits | None]:
        """Arrange the score of raw pixels at one step; nothing where they were not measured."""
        pixels = self.data.pixels if self.row.baseline is not None else None
        return [self.data.at(self.row.metric, step, [pixels])] if pixels else []


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
