"""The best layers of every score, and accuracy and g over training, as columns of the page."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from stages.aggregate.curves import MEAN
from stages.aggregate.page.blob import Columns, codes, columns, numbers, rounded
from stages.aggregate.page.networks import Names
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.scopes import SCOPES

BEST = (
    "network", "fold", "metric", "step", "best", "value", "sd", "low", "high", "scope", "last", "lead", "at_least",
    "at_most", "seen", "accuracy", "pixels", "chance", "tied",
)  # fmt: skip


def best_layers(summary: Sequence[SummaryRow], names: Names) -> Columns:
    """Give the rows of the summary of the main pooling, column by column (`BEST`)."""
    place = {key: i for i, key in enumerate(names.keys)}
    rows = [row for row in summary if row.pooling == names.networks[place[row.dataset, row.model]].pooling]
    return columns([_best_row(row, names, place[row.dataset, row.model]) for row in rows], BEST)


def _best_row(row: SummaryRow, names: Names, number: int) -> dict[str, Any]:
    network = names.networks[number]
    intervals = {scope: ends for scope in SCOPES if (ends := row.interval(scope))}
    leads = [lead for scope in SCOPES if (lead := row.lead_bounds(scope))]
    scope, (low, high) = next(iter(intervals.items()), (None, (None, None)))
    return {
        "network": number,
        "fold": names.folds.index(row.fold),
        "metric": names.metrics.index(row.metric),
        "step": names.steps.index(row.step),
        "best": network.place[row.best_depth],
        "value": rounded(row.unseen),
        "sd": rounded(row.unseen_sd),
        "low": rounded(low),
        "high": rounded(high),
        "scope": scope,
        "last": rounded(row.last_value),
        "lead": rounded(row.lead),
        "at_least": rounded(leads[0].low) if leads else None,
        "at_most": rounded(leads[0].high) if leads else None,
        "seen": rounded(row.seen),
        "accuracy": rounded(row.accuracy),
        "pixels": rounded(row.baseline),
        "chance": rounded(row.chance),
        "tied": [network.place[depth] for depth in row.tied_depths],
    }


def training_steps(steps: pd.DataFrame, names: Names) -> Columns:
    """Give accuracy and g at every step, of the main pooling (stages.aggregate.tables.steps)."""
    main = {(network.dataset, network.model, network.pooling) for network in names.networks}
    curves = zip(steps["dataset"], steps["model"], steps["pooling"], strict=True)
    rows = steps[[curve in main for curve in curves]]
    spread = rows["fold"] == MEAN
    return {
        "network": codes(zip(rows["dataset"], rows["model"], strict=True), names.keys),
        "fold": codes(rows["fold"], names.folds),
        "metric": codes(rows["metric"], names.metrics),
        "step": codes(rows["step"], names.steps),
        "accuracy": numbers(rows["accuracy"]),
        "accuracy_sd": numbers(rows["accuracy_sd"].where(spread)),
        "unseen": numbers(rows["unseen"]),
        "unseen_sd": numbers(rows["unseen_sd"].where(spread)),
        "seen": numbers(rows["seen"]),
        "seen_sd": numbers(rows["seen_sd"].where(spread)),
    }
