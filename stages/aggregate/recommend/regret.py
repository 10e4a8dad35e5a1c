"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there.

The regret of a choice is by how much the best candidate is better, on classes that the choice did not know.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...core.inference.best import equally_best
from ...core.inference.contrasts import Float64
from ...shared.embeddings.split_names import SEEN
from ...shared.workflow.csv_table import FLOAT, INTEGER, TEXT
from ..columns import frame
from ..curves import MEAN, Scores
from ..tables.summary_row import SummaryRow
from .candidates import Candidates
from .criteria import CRITERIA, Choice, KnownScores

REGRET_COLUMNS = {
    **dict.fromkeys(("dataset", "model", "fold", "metric", "criterion", "kind", "layer"), TEXT),
    **dict.fromkeys(("depth", "step"), INTEGER),
    **dict.fromkeys(("value", "best_value", "regret_at_most", "regret_at_least"), FLOAT),
}
"""Columns of regret.csv.

Attributes:
    dataset, model, metric: the network, and a score that leads a use.
    fold: the fold whose labels the criterion did not use; `mean`: over all folds.
    criterion, kind: how the layer was chosen: `criterion`, `baseline`, or `control`, which is not expected to help.
    layer, depth, step: the choice; empty in rows `mean` if folds differ. `random_layer` has no layer: its value is the
        mean over all. Only `other_folds` chooses among checkpoints.
    value, best_value: score of the choice and of the best layer and checkpoint on the fold's unseen classes. The best
        is chosen and scored on the same images, among checkpoints with refits on halves if there are any, else all.
    regret_at_most: difference of the two, positive also if lower scores are better; too large on average, since the
        best layer is chosen on the images that score it.
    regret_at_least: the same with the best chosen on one half of the images, and both scored on the other half; mostly
        too small, since half of the images may miss the best layer, and below 0 if the choice is better. Empty without
        refits on halves.
"""


def regret(scores: Float64, choice: Choice) -> tuple[float, float]:
    """Score a choice and the best candidate, chosen and scored on the same images: their difference is too large.

    Args:
        scores: (T, L), higher is better.
        choice: the candidates, of which one is drawn at random.
    """
    steps, layers = zip(*choice, strict=True)
    return float(scores[steps, layers].mean()), float(np.nanmax(scores))


def regret_on_halves(halves: Float64, choice: Choice) -> float:
    """Score a choice and the best candidate of each half on the other half: the difference is mostly too small.

    Args:
        halves: (B, T, L) scores on halves, higher is better; halves 2 i and 2 i + 1 are a pair.
        choice: the candidates, of which one is drawn at random.

    Returns:
        The regret, mean over halves; below 0 where the choice does better than the layers that were best on halves.
    """
    B = len(halves)
    flat = halves.transpose(0, 2, 1).reshape(B, -1)  # of equally good candidates the shallowest, then the earliest
    best = equally_best(flat, "higher").argmax(axis=1)
    steps, layers = zip(*choice, strict=True)
    return float(flat[np.arange(B) ^ 1, best].mean() - halves[:, steps, layers].mean())


def known_scores(network: Candidates, summary: Sequence[SummaryRow], scores: Scores) -> list[KnownScores]:
    """Return what a criterion may see of each fold, of one network for one use.

    Args:
        network: what can be chosen.
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold.
    """
    row = network.row
    mains = {(each.dataset, each.fold, each.pooling) for each in summary if each.main and each.model == row.model}
    alike = [each for each in summary if (each.model, each.metric) == (row.model, row.metric) and each.last_depth > 0]
    elsewhere = [each for each in alike if (each.dataset, each.fold, each.pooling) in mains]
    depths = [each.best_depth / each.last_depth for each in elsewhere if each.dataset != row.dataset]
    seen, probe = (
        scores.by_fold(row.dataset, row.model, metric, SEEN, [row.step], network.points["depth"])[:, 0]
        for metric in (row.metric, "probe_accuracy")
    )
    chosen = (network.by or network).gains
    return [
        KnownScores(np.delete(chosen, fold, axis=0), network.sign * seen[fold], probe[fold], tuple(depths))
        for fold in range(len(chosen))
    ]


def regret_table(network: Candidates, summary: Sequence[SummaryRow], scores: Scores) -> pd.DataFrame:
    """Compute the regret of every criterion for one network and use, fold by fold and over folds.

    Args:
        network: what can be chosen.
        summary: rows of summary.csv.
        scores: means over seeds, fold by fold.

    Returns:
        `REGRET_COLUMNS`. A criterion that lacks what it needs has no row, one that lacks it on some fold no mean.
    """
    known = enumerate(zip(scores.folds, known_scores(network, summary, scores), strict=True))
    rows = (row for fold, (name, of_fold) in known for row in _of_fold(network, fold, name, of_fold))
    of_folds = frame(rows, REGRET_COLUMNS)
    ways = of_folds.groupby("criterion", sort=False)
    kinds = {name: type_ for name, type_ in REGRET_COLUMNS.items() if name != "criterion"}
    means = ways.agg({name: _mean if type_ == FLOAT else _same for name, type_ in kinds.items()})
    complete = means[ways.size() == len(scores.folds)].reset_index().assign(fold=MEAN)
    return frame([of_folds, complete], REGRET_COLUMNS)


def _mean(values: "pd.Series[float]") -> float:
    return float(np.mean(values.to_numpy()))  # the same digits as the mean of an array


def _same(values: "pd.Series[Any]") -> Any:
    return values.iloc[0] if values.nunique(dropna=False) == 1 else None


def _of_fold(network: Candidates, fold: int, name: str, known: KnownScores) -> Iterator[dict[str, Any]]:
    for criterion, way in CRITERIA.items():
        choice = way.choose(known)
        if choice is None:
            continue
        value, best = regret(network.gains[fold], choice)
        step, layer = choice[0]
        point = network.points.loc[layer].to_dict() if len(choice) == 1 else {}  # else one is drawn at random
        yield {
            **{key: getattr(network.row, key) for key in ("dataset", "model", "metric")},
            **{key: point.get(key) for key in ("layer", "depth")},
            "fold": name,
            "criterion": criterion,
            "kind": way.kind,
            "step": network.steps[step],
            "value": network.sign * value,
            "best_value": network.sign * best,
            "regret_at_most": best - value,
            "regret_at_least": None if network.halves is None else regret_on_halves(network.halves[fold], choice),
        }
