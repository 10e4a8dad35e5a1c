"""What can be chosen for one network: every layer at every checkpoint at which its score was fitted again.

That is on halves, or if on none, without classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
import pandas as pd

from ...core import choose
from ...core.choose import FEW_LABELS, naming_score
from ...core.inference.contrasts import Float64
from ...core.scores.description import Use, leading_scores
from ...shared.embeddings.split_names import UNSEEN
from ..curves import Name, Scores
from ..network_data import NetworkData, unseen_rows
from ..tables.summary import MeasuredNetwork, measured_network
from ..tables.summary_row import SummaryRow


@dataclass(frozen=True, kw_only=True)
class Candidates(choose.Candidates, MeasuredNetwork):
    """The same of a measured network; B halves of the images.

    Attributes:
        row, curve, data: of the use's leading score, as of `MeasuredNetwork`.
        score, gains, refits, levels: of that score, as of `choose.Candidates`; if nothing was fitted again, of all
            steps at which it was measured.
        use: what features are for.
        points: (L) the layers by depth: layer, embedding, depth, and what each takes.
        halves: (J, B, T, L) on halves of the images, 2 i and 2 i + 1 a pair; None where nothing was fitted to any.
    """

    use: Use
    points: pd.DataFrame
    halves: Float64 | None

    @property
    def counts(self) -> pd.DataFrame:
        """Numbers of unseen classes and images, `n_classes` and `n_images`, a row for each fold."""
        rows = unseen_rows(self.data.layers, self.row.metric, self.row.step)
        return rows.groupby("fold")[["n_classes", "n_images"]].max()

    @property
    def sign(self) -> float:
        """What turns a gain into a score, and a score into a gain."""
        return self.score.sign


def collect_candidates(
    summary: Sequence[SummaryRow], scores: Scores, networks: dict[Name, NetworkData]
) -> list[Candidates]:
    """Collect what can be chosen for every network and use, in the order of the grid and of `Use`.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold and over folds.
        networks: the measured data of each.
    """
    candidates, curve_of = [], attrgetter("dataset", "model", "fold", "pooling")
    mains = {curve_of(row): row for row in summary if row.main}
    for main in mains.values():
        of_curve = {row.metric: row for row in summary if curve_of(row) == curve_of(main)}
        measured = {metric: scores.catalogue[metric] for metric in of_curve}
        for use, metric in leading_scores(of_curve, main.metric, scores.catalogue).items():
            own = _candidates(use, measured_network(of_curve[metric], scores, networks), scores)
            n_classes, least = own.counts["n_classes"].sum(), own.data.images.least.values()
            few = {"n_classes": int(n_classes), "least_images": min(least, default=FEW_LABELS)}
            if (name := naming_score(use, metric, measured, **few)) != metric:
                by = _candidates(use, measured_network(of_curve[name], scores, networks), scores)
                own = replace(own, by=by) if by.steps == own.steps else own
            candidates.append(own)
    return candidates


def _candidates(use: Use, network: MeasuredNetwork, scores: Scores) -> Candidates:
    row, points = network.row, network.layers(network.row.step).reset_index(drop=True)
    measured = {int(step): network.at(step) for step in network.curve["step"].unique()}
    again = [
        {step: refits for step, refits in measured.items() if refits and getattr(refits, part).size}
        for part in ("halves", "without")
    ]
    on_halves, refits = again[0], next((steps for steps in again if row.step in steps), measured)
    gains = network.sign * scores.by_fold(row.dataset, row.model, row.metric, UNSEEN, [*refits], points["depth"])
    halves = np.stack([each.halves.mean(axis=1) for each in on_halves.values()], 2) if refits is on_halves else None
    return Candidates(
        **vars(network),
        score=scores.catalogue[row.metric],
        gains=gains,
        refits=refits,
        levels=row.levels,
        pixels={step: pixels for step in refits for pixels in network.pixels_at(step)},
        use=use,
        points=points,
        halves=halves,
    )
