"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there.

The regret of a choice is by how much the best candidate is better, on classes that the choice did not know.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.aggregate.columns import frame
from stages.aggregate.curves import MEAN, equally_best
from stages.aggregate.inference.contrasts import Estimate, Float64
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import CRITERIA, Choice
from stages.aggregate.recommend.schema import Recommendation
from stages.shared.core.csv_table import FLOAT, INTEGER, TEXT

REGRET_COLUMNS = {
    **dict.fromkeys(("dataset", "model", "fold", "metric", "candidates", "criterion", "kind", "layer"), TEXT),
    **dict.fromkeys(("depth", "step"), INTEGER),
    **dict.fromkeys(("value", "best_value", "regret_at_most", "regret_at_least"), FLOAT),
}
"""Columns of regret.csv.

Attributes:
    dataset, model, metric: the network, and a score that leads a use.
    fold: the fold whose classes the criterion did not know; `mean`: over all folds.
    candidates: among what the best is: `layers` (at the last step), or `layers_and_checkpoints` (every step at which
        the score was fitted again on halves, else at which it was measured).
    criterion, kind: how the layer was chosen: `criterion`, `baseline`, or `control`, which is not expected to help.
    layer, depth, step: the choice; of `mean` empty where folds differ. `random_layer` has no layer: its value is the
        mean over all. Only `other_folds` chooses among checkpoints.
    value, best_value: of the choice and of the best candidate on the fold's unseen classes, the best chosen and scored
        on the same images.
    regret_at_most: by how much the best is better, positive also where lower scores are better; too large on average,
        since the best is lucky.
    regret_at_least: the same, the best chosen on one half of the images and scored on the other half, as is the choice;
        mostly too small, since that best is not always the best, and below 0 where the choice is better. Empty
        where nothing was fitted again on halves.
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


def regret_table(network: Candidates, folds: Sequence[str]) -> pd.DataFrame:
    """Compute the regret of every criterion for one network and use, fold by fold and over folds.

    Args:
        network: what can be chosen.
        folds: in the order of the network's arrays.

    Returns:
        `REGRET_COLUMNS`. A criterion that lacks what it needs has no row, one that lacks it on some fold no mean.
    """
    rows = (row for fold, name in enumerate(folds) for row in _of_fold(network, fold, name))
    of_folds = frame(rows, REGRET_COLUMNS)
    way = ["candidates", "criterion"]
    ways = of_folds.groupby(way, sort=False)
    kinds = {name: type_ for name, type_ in REGRET_COLUMNS.items() if name not in way}
    means = ways.agg({name: _mean if type_ == FLOAT else _same for name, type_ in kinds.items()})
    known = means[ways.size() == len(folds)].reset_index().assign(fold=MEAN)
    return frame([of_folds, known], REGRET_COLUMNS)


def _mean(values: "pd.Series[float]") -> float:
    return float(np.mean(values.to_numpy()))  # the same digits as the mean of an array


def _same(values: "pd.Series[Any]") -> Any:
    return values.iloc[0] if values.nunique(dropna=False) == 1 else None


def _of_fold(network: Candidates, fold: int, name: str) -> Iterator[dict[str, Any]]:
    known = network.known[fold]
    for candidates, steps, what in (
        ("layers_and_checkpoints", slice(None), known),
        ("layers", slice(-1, None), known.at_last_step()),
    ):
        for criterion, way in CRITERIA.items():
            choice = way.choose(what)
            if choice is None:
                continue
            value, best = regret(network.gains[fold, steps], choice)
            step, layer = choice[0]
            point = network.points.loc[layer].to_dict() if len(choice) == 1 else {}  # else one is drawn at random
            halves = network.halves
            yield {
                **{key: getattr(network.row, key) for key in ("dataset", "model", "metric")},
                **{key: point.get(key) for key in ("layer", "depth")},
                "fold": name,
                "candidates": candidates,
                "criterion": criterion,
                "kind": way.kind,
                "step": network.steps[steps][step],
                "value": network.sign * value,
                "best_value": network.sign * best,
                "regret_at_most": best - value,
                "regret_at_least": None if halves is None else regret_on_halves(halves[fold][:, steps], choice),
            }


MIN_DATASETS = 5
"""Of fewer datasets what was lost has no interval, and every network of each stands alone."""


class Lost(NamedTuple):
    """What a way of choosing lost to the best on average.

    Attributes:
        at_least, at_most: as in regret.csv.
        error: standard error over folds, of a single network; None: not known, as are the others.
        ends: of an interval of both, over datasets.
    """

    at_least: float | None
    at_most: float
    error: float | None = None
    ends: tuple[float, float] | None = None


def summarize_regrets(
    recommendations: Sequence[Recommendation], kinds: Collection[str] = ()
) -> dict[str, dict[str, Lost]]:
    """Average what every way of choosing, by default of all kinds, lost to the best, over datasets and their networks.

    Pairs that share a dataset are not independent: intervals are by Student's t over datasets, `MIN_DATASETS` or more.

    Returns:
        Use -> criterion -> what is lost; without a criterion that is not known of every pair.
    """
    useful = [each for each in recommendations if each.recommended is not None and each.last_depth > 0]
    networks, known = Counter[str](each.use for each in useful), defaultdict[tuple[str, str], list[Any]](list)
    for each in useful:
        for record in each.regret:
            known[each.use, record.criterion].append({"dataset": each.dataset} | record.model_dump())
    summaries: dict[str, dict[str, Lost]] = {use: {} for use in networks}
    for (use, criterion), records in known.items():
        if len(records) == networks[use] and (not kinds or CRITERIA[criterion].kind in kinds):
            table = pd.DataFrame(records).astype({"at_least": float})
            means = table.groupby("dataset")[["at_least", "at_most"]].mean()
            at_least = float(means["at_least"].mean()) if table["at_least"].notna().all() else None
            error, ends = records[0]["error"] if len(records) == 1 else None, None
            if at_least is not None and len(means) >= MIN_DATASETS:
                errors, df = means.std() / len(means) ** 0.5, len(means) - 1
                (low, _), (_, high) = (Estimate(means[end].mean(), errors[end], df).interval() for end in means)
                ends = low, high
            summaries[use][criterion] = Lost(at_least, float(means["at_most"].mean()), error, ends)
    return summaries
