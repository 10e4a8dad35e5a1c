"""Main rows of summary.csv, and the course of one network over training."""

from dataclasses import replace

import pandas as pd

from stages.aggregate.tables.summary import SummaryRow

STEPS = pd.DataFrame(
    {
        "dataset": "handwriting",
        "model": "a",
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
    pooling="mean",
    step=100,
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
    best_parameters=170,
    total_parameters=1000,
    main=True,
    better="higher",
    ci_images_low=0.37,
    ci_images_high=0.41,
    range_classes_low=0.31,
    range_classes_high=0.45,
    lead=0.14,
    lead_low=0.1,
    lead_high=0.18,
    best_set="3;4;5",
    shallowest_layer="blocks.2",
    shallowest_depth=3,
    subset_agreement=0.8,
)
"""Best layer blocks.3, the fifth of nine."""

WITHOUT_INTERVALS = dict.fromkeys(
    ("ci_images_low", "ci_images_high", "lead", "lead_low", "lead_high", "best_set", "shallowest_layer",
     "shallowest_depth", "range_classes_low", "range_classes_high", "subset_agreement")
)  # fmt: skip


def network(model: str = "a", **columns: object) -> SummaryRow:
    return replace(NETWORK, model=model, **columns)


def rival(model: str, accuracy: float, g: float, half: float = 0.02) -> SummaryRow:
    """A network whose accuracy and g have intervals of ± `half`."""
    limits = {"ci_images_low": g - half, "ci_images_high": g + half}
    limits |= {"accuracy_ci_low": accuracy - half, "accuracy_ci_high": accuracy + half}
    return network(model, accuracy=accuracy, unseen=g, **limits)
