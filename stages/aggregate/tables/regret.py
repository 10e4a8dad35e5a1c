"""regret.csv: what every criterion chose for each fold without knowing its classes, and what that cost there."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from stages.aggregate.columns import frame, stack
from stages.aggregate.curves import MEAN
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import CRITERIA, Choice, Known
from stages.aggregate.recommend.cross_fitting import regret
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

JOINT, LAYERS = "layers_and_checkpoints", "layers"
"""Among what the best candidate is: all layers at all checkpoints, or all layers at the last step."""

REGRET_COLUMNS = {
    **dict.fromkeys(("dataset", "model", "fold", "metric", "candidates", "criterion", "kind", "layer"), TEXT),
    **dict.fromkeys(("depth", "step"), INTEGER),
    **dict.fromkeys(("value", "best_value", "regret"), FLOAT),
}
"""Columns of regret.csv.

Attributes:
    dataset, model, metric: the network and the main score.
    fold: the fold whose classes the criterion did not know; `mean`: over all folds.
    candidates: among what the best is: `layers` (at the last step), or `layers_and_checkpoints` (every step at which
        the score was fitted again on halves).
    criterion, kind: how the layer was chosen: `criterion`, `baseline`, `label_free` (from the fold's unseen images
        without labels), or `control`, which is not expected to help.
    layer, depth, step: the choice; of `mean` empty where folds differ. `random_layer` has no layer: its value is the
        mean over all. Only `other_folds` chooses among checkpoints.
    value, best_value: of the choice and of the best candidate on the fold's unseen classes. The best of each half of
        the images is scored on the other half, so that a maximum's luck does not count.
    regret: by how much the best is better, positive also where lower scores are better; may be slightly negative.
"""


def regret_table(networks: Sequence[Candidates], folds: Sequence[str]) -> pd.DataFrame:
    """Tabulate the regret of every criterion, for every network, fold by fold and over folds.

    Args:
        networks: what can be chosen; those without scores on halves have no rows.
        folds: in the order of the networks' arrays.

    Returns:
        `REGRET_COLUMNS`. A criterion that lacks what it needs has no rows, one that lacks it on some fold no mean.
    """
    return stack((_of_network(each, folds) for each in networks if each.halves is not None), REGRET_COLUMNS)


def _of_network(network: Candidates, folds: Sequence[str]) -> pd.DataFrame:
    found = frame((row for fold in range(len(folds)) for row in _of_fold(network, fold, folds[fold])), REGRET_COLUMNS)
    groups = found.groupby(["candidates", "criterion"], sort=False)
    means = frame((_mean(rows) for _, rows in groups if len(rows) == len(folds)), REGRET_COLUMNS)
    return stack([found, means], REGRET_COLUMNS)


def _of_fold(network: Candidates, fold: int, name: str) -> Iterator[dict[str, Any]]:
    assert network.halves is not None
    row, halves, known = network.row, network.halves[fold], network.known[fold]
    sets = {JOINT: (halves, known, network.steps), LAYERS: (halves[:, -1:], known.at_last_step(), network.steps[-1:])}
    for candidates, (own, seen_of_it, steps) in sets.items():
        for criterion, choice in _choices(seen_of_it):
            value, best = regret(own, choice)
            yield {
                "dataset": row.dataset,
                "model": row.model,
                "fold": name,
                "metric": row.metric,
                "candidates": candidates,
                "criterion": criterion,
                "kind": CRITERIA[criterion].kind,
                **_named(network, choice, steps),
                "value": network.sign * value,
                "best_value": network.sign * best,
                "regret": best - value,
            }


def _choices(known: Known) -> Iterator[tuple[str, Choice]]:
    for name, criterion in CRITERIA.items():
        choice = criterion.choose(known)
        if choice is not None:
            yield name, choice


def _named(network: Candidates, choice: Choice, steps: Sequence[int]) -> dict[str, Any]:
    """The chosen layer and step; no layer where one is drawn at random."""
    step, layer = choice[0]
    point = network.points.iloc[layer]
    own = {"layer": point["layer"], "depth": point["depth"]} if len(choice) == 1 else {}
    return own | {"step": steps[step]}


def _mean(rows: pd.DataFrame) -> dict[str, Any]:
    """Average over folds; the choice is named where it was the same for all."""
    chosen = {name: rows[name].iloc[0] for name in ("layer", "depth", "step") if rows[name].nunique(dropna=False) == 1}
    same = {name: rows[name].iloc[0] for name in ("dataset", "model", "metric", "candidates", "criterion", "kind")}
    means = {name: rows[name].mean() for name in ("value", "best_value", "regret")}
    return {**same, **chosen, "fold": MEAN, **means}
