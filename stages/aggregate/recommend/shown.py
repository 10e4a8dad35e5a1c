"""What figures show: every curve at the checkpoint that is recommended for the use of its score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from ...shared.embeddings.split_names import UNSEEN
from ..curves import KEYS, MEAN, Name, Scores
from ..facts import Recommendation
from ..network_data import NetworkData
from ..tables.summary import summarize
from ..tables.summary_row import SummaryRow
from ..tables.uncertainty import UNCERTAINTY, add_uncertainty


@dataclass(frozen=True)
class Shown:
    """The means over folds that figures show.

    Attributes:
        scores: curves that end at the recommended checkpoint of their score's use; at the last one if they were not
            measured there.
        rows: as in summary.csv, of these.
        others: the same curves at another checkpoint: pre-trained, or the last one beside that. No intervals.
        taken: dataset, model and score -> depth of the layer that is recommended by it.
    """

    scores: Scores
    rows: Sequence[SummaryRow]
    others: Scores
    taken: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


def show(
    recommendations: Sequence[Recommendation], scores: Scores, networks: dict[Name, NetworkData], main_metric: str
) -> Shown:
    """Cut every curve at the recommended checkpoint.

    Args:
        recommendations: of every network for every use.
        scores: means over seeds and folds, with `UNCERTAINTY` at the last step.
        networks: the measured data of each network.
        main_metric: the score that the verdict speaks of.
    """
    curves = scores.curves[scores.curves["fold"] == MEAN]
    chosen = {(each.dataset, each.model, each.use): each.best.step for each in recommendations}
    uses = curves["metric"].map({name: score.use for name, score in scores.catalogue.items()})
    keys, by_curve = zip(curves["dataset"], curves["model"], uses, strict=True), [curves[key] for key in KEYS]
    wanted = pd.Series([chosen.get(key, pd.NA) for key in keys], curves.index, "Int64")
    at = curves["step"].where(curves["split"] == UNSEEN)  # none on other splits
    measured = (at == wanted).fillna(value=False).groupby(by_curve).transform("any")
    last = at.groupby(by_curve).transform("max")
    step = last.where(~measured, wanted)
    other = last.where(step == 0, 0)
    cut = step < last
    ended = curves[~cut]
    if cut.any():
        own = curves[cut & (curves["step"] <= step)]
        found = add_uncertainty(replace(scores, curves=own.drop(columns=[*UNCERTAINTY])), networks)
        ended = pd.concat([ended, found.curves.set_axis(own.index)]).sort_index()
    shown = replace(scores, curves=ended)
    beside = curves[(curves["step"] == other) & (step != other)].drop(columns=[*UNCERTAINTY])
    return Shown(
        shown,
        summarize(shown, main_metric),
        replace(scores, curves=beside.assign(sd=float("nan")).reindex(columns=curves.columns).astype(curves.dtypes)),
        {(each.dataset, each.model, each.metric): each.best.depth for each in recommendations},
    )
