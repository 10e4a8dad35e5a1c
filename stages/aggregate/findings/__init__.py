"""The paper's two findings, put to the test on one grid's results: sentences with numbers, scope and cautions.

Each claim is ruled on for every dataset by itself, from the main rows of summary.csv. What an interval does not settle,
or what has no interval, stays open.
"""

from dataclasses import dataclass

import pandas as pd

from stages.aggregate.findings import accuracy, depth
from stages.aggregate.words import intervals_of


@dataclass(frozen=True)
class Finding:
    """One claim, on every dataset.

    Attributes:
        claim: what is claimed.
        rulings: dataset -> what these results say of it.
        details: dataset -> the numbers behind it, a sentence or a few each.
        caution: what the rulings do not say.
    """

    claim: str
    rulings: dict[str, str]
    details: dict[str, list[str]]
    caution: str


def find(summary: pd.DataFrame, steps: pd.DataFrame) -> list[Finding]:
    """Rule on both claims for every dataset.

    Args:
        summary: summary.csv; only its main rows, one per dataset and model, are used. Its columns of intervals, leads,
            best sets and class subsets may be missing or empty.
        steps: steps.csv, for accuracy and g over training; may be empty.
    """
    main = summary[summary["main"]]
    intervals = intervals_of(str(main["metric"].iloc[0]))
    datasets = {str(name): rows for name, rows in main.groupby("dataset", sort=False)}
    return [
        Finding(
            accuracy.CLAIM,
            {name: accuracy.ruling(rows) for name, rows in datasets.items()},
            {name: accuracy.details(rows, steps) for name, rows in datasets.items()},
            accuracy.CAUTION.format(intervals=intervals),
        ),
        Finding(
            depth.CLAIM,
            {name: depth.ruling(rows) for name, rows in datasets.items()},
            {name: depth.details(rows) for name, rows in datasets.items()},
            depth.CAUTION.format(intervals=intervals),
        ),
    ]
