"""One network by one score on one dataset: what findings, recommendations and the power of a study are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from stages.aggregate.curves import Name, Scores, point_keys, sign_of
from stages.aggregate.inference.layer_comparison import is_above
from stages.aggregate.inference.network_data import NetworkData, Refits
from stages.aggregate.inference.scopes import state_widest
from stages.aggregate.tables.summary import SummaryRow


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

    def beats_baselines(self, *steps: int) -> bool | None:
        """Return whether some layer is shown to be better than chance, and than raw pixels; None: no bound is known.

        It is where neither was measured.

        Args:
            steps: the checkpoints, of which the best layer was chosen.
        """
        chance, pixels = self.row.chance, self.data.pixels if self.row.baseline is not None else None
        if chance is None and self.row.baseline is None:
            return True
        refits = [self.at(step) for step in steps]
        refits += [self.data.at(self.row.metric, steps[0], [pixels])] if pixels else []
        gain, index = chance and self.sign * chance, len(self.layers(steps[0])) * len(steps) if pixels else None
        shown = state_widest(lambda inference: is_above(inference, chance=gain, pixels=index), *refits)
        return shown and shown[1]


def measured_networks(
    rows: Sequence[SummaryRow], scores: Scores, networks: Mapping[Name, NetworkData]
) -> list[MeasuredNetwork]:
    """Put together what is known of each network by the score of its row.

    Args:
        rows: of summary.csv, of main poolings and of means over folds.
        scores: means over seeds and folds.
        networks: the measured data of each.
    """
    return [
        MeasuredNetwork(row, scores.main_points(row.dataset, row.model, row.metric), networks[row.dataset, row.model])
        for row in rows
    ]
