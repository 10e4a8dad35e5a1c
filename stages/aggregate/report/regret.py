"""What choosing a layer costs, over all datasets and networks: a Markdown table."""

from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import MISSING, decimals, estimate
from stages.aggregate.metric_info import metric_name
from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.recommend.cross_fitting import FEWEST_PAIRS, mean_regret
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.tables.regret import JOINT, LAYERS

KINDS = {"criterion": "recommended by", "baseline": "baseline", "label_free": "label-free", "control": "control"}
"""What a criterion is, in the table."""

REFERENCE = "two_thirds"
"""The baseline that a criterion should beat."""

Pair = tuple[str, str]
"""A dataset and a network."""


def regret_section(regrets: pd.DataFrame, recommendations: Sequence[Recommendation]) -> str:
    """Say what every criterion cost, on average over datasets and networks; nothing where nothing is known.

    Args:
        regrets: regret.csv.
        recommendations: of the same networks; those without one do not count.
    """
    pairs = [(each.dataset, each.model) for each in recommendations if each.recommended is not None and each.regret]
    if not pairs:
        return ""
    means = regrets[regrets["fold"] == MEAN].set_index(["dataset", "model"])
    return f"{_explain(regrets.iloc[0]['metric'], pairs)}\n\n{_table(means.loc[means.index.isin(pairs)], pairs)}"


def _explain(metric: str, pairs: Sequence[Pair]) -> str:
    n = len(pairs)
    interval = (
        f"in brackets its 95 % interval by Student's t over the {n} pairs of a dataset and a network"
        if n >= FEWEST_PAIRS
        else f"without an interval, which takes {FEWEST_PAIRS} pairs of a dataset and a network (here {n})"
    )
    return (
        f"{metric_name(metric)} lost to the best on a fold that the choice did not know, mean over folds; the best is "
        "chosen on one half of the images and scored on the other. A column per dataset and *all*: to the best layer "
        f"at the last step, mean over networks; *all* {interval}. *Against 2/3*: how much more it lost than the layer "
        "nearest to two thirds of the depth; below 0 it lost less. *With checkpoints*: to the best layer at any "
        "checkpoint; only the other folds choose a checkpoint, too."
    )


def _table(means: pd.DataFrame, pairs: Sequence[Pair]) -> str:
    datasets = list(dict.fromkeys(dataset for dataset, _ in pairs))
    header = ["Choice", "Kind", *(f"`{dataset}`" for dataset in datasets), "All", "Against 2/3", "With checkpoints"]
    reference, rows = _regrets(means, REFERENCE, LAYERS), []
    for name, criterion in CRITERIA.items():
        own = _regrets(means, name, LAYERS)
        if len(own):
            cells = [_of_dataset(own, dataset) for dataset in datasets]
            beyond = MISSING if name == REFERENCE else _all(own - reference.reindex(own.index), sign=True)
            joint = _all(_regrets(means, name, JOINT))
            rows.append([criterion.words, KINDS[criterion.kind], *cells, _all(own), beyond, joint])
    aligned = ["left", "left", *["right"] * (len(header) - 2)]
    return tabulate(rows, header, tablefmt="pipe", colalign=aligned, disable_numparse=True)


def _regrets(means: pd.DataFrame, criterion: str, candidates: str) -> "pd.Series[float]":
    """Regrets of one criterion by dataset and network."""
    return means.loc[(means["criterion"] == criterion) & (means["candidates"] == candidates), "regret"]


def _of_dataset(regrets: "pd.Series[float]", dataset: str) -> str:
    own = regrets[regrets.index.get_level_values("dataset") == dataset]
    return decimals(own.mean()) if len(own) else MISSING


def _all(regrets: "pd.Series[float]", *, sign: bool = False) -> str:
    mean = mean_regret(regrets.tolist())
    return estimate(mean.value, mean.low, mean.high, sign=sign)
