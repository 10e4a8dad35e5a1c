"""Rows of summary.csv, the course of one network over training, and what is known of a dataset's networks."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pandas as pd

from stages.aggregate.findings.collect import follow_training, judge_accuracy, judge_scope, why_out_of_scope
from stages.aggregate.findings.outcomes import DatasetFindings, NetworkFindings, NetworkPair
from stages.aggregate.tables.summary_row import SummaryRow
from stages.core.inference.contrasts import Estimate

STEPS = pd.DataFrame(
    {
        "dataset": "handwriting",
        "model": "a",
        "fold": "mean",
        "pooling": "mean",
        "metric": "nmi",
        "step": [0, 50, 100],
        "accuracy": [None, 0.5, 0.76],
        "unseen": [0.35, 0.4, 0.39],
    }
)

NETWORK = SummaryRow(
    dataset="handwriting",
    model="a",
    fold="mean",
    pooling="mean",
    step=100,
    n_folds=4,
    n_seeds=1,
    metric="nmi",
    seen=0.8,
    unseen=0.39,
    best_layer="blocks.3",
    best_depth=4,
    last_depth=8,
    last_value=0.24,
    accuracy=0.76,
    baseline=0.1,
    chance=0.01,
    last_layer="bn2",
    main=True,
    better="higher",
    ci_classes_low=0.31,
    ci_classes_high=0.47,
    ci_images_low=0.37,
    ci_images_high=0.41,
    lead_classes=0.14,
    lead_classes_at_least=0.03,
    lead_classes_at_most=0.27,
    lead_images=0.15,
    lead_images_at_least=0.1,
    lead_images_at_most=0.18,
    tied_classes="3;4;5",
    tied_images="4",
)
"""Best layer blocks.3, the fifth of nine, over four folds."""

ONE_FOLD = dict.fromkeys(
    (
        "ci_classes_low",
        "ci_classes_high",
        "lead_classes",
        "lead_classes_at_least",
        "lead_classes_at_most",
        "tied_classes",
    )
) | {"n_folds": 1, "tied_images": "3;4;5"}
"""What is known of a single fold: nothing of other classes."""

NO_INTERVALS = ONE_FOLD | dict.fromkeys(
    ("ci_images_low", "ci_images_high", "lead_images", "lead_images_at_least", "lead_images_at_most", "tied_images")
)


def network(model: str = "a", **columns: object) -> SummaryRow:
    return replace(NETWORK, model=model, **columns)


def single_fold(fold: str, **columns: object) -> SummaryRow:
    return network(fold=fold, main=False, **ONE_FOLD | columns)


def pair(first: SummaryRow, second: SummaryRow, error: float = 0.005) -> NetworkPair:
    """How two networks differ, with these standard errors."""
    accuracy, g = first.accuracy - second.accuracy, first.unseen - second.unseen
    return NetworkPair(first.model, second.model, Estimate(accuracy, error, 60), Estimate(g, error, 60))


def evidence(
    *rows: SummaryRow,
    scopes: tuple[str, ...] = ("classes", "images"),
    changes: Mapping[str, dict[str, Estimate]] | None = None,
    steps: pd.DataFrame = STEPS[:0],
    beaten: Collection[str] = (),
) -> DatasetFindings:
    """The findings on the networks of one dataset: all within 0.05 of the best one's accuracy are accurate."""
    judged = [row for row in rows if row.accuracy is not None]
    best = max(judged, key=lambda row: row.accuracy, default=None)
    reasons = {
        row.model: why_out_of_scope(None if row is best else pair(row, best).accuracy, None, margin=0.05)
        for row in judged
    }
    pairs = [pair(judged[i], judged[j]) for i in range(len(judged)) for j in range(i)]
    accuracy = judge_accuracy({scope: judge_scope(reasons, pairs) for scope in scopes if judged})
    networks = [
        NetworkFindings(row, row.model not in beaten, (changes or {}).get(row.model), follow_training(row, steps))
        for row in rows
    ]
    return DatasetFindings(networks, accuracy)
