"""The paper's two findings, put to the test on one grid's results: sentences with numbers, scope and cautions.

Each claim is ruled on for every dataset by itself, from the main rows of summary.csv. What an interval does not settle,
or what has no interval, stays open.
"""

from dataclasses import dataclass

import pandas as pd

from stages.aggregate.formatting import intervals_of
from stages.aggregate.report import accuracy_finding, depth_finding


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
            accuracy_finding.CLAIM,
            {name: accuracy_finding.ruling(rows) for name, rows in datasets.items()},
            {name: accuracy_finding.details(rows, steps) for name, rows in datasets.items()},
            accuracy_finding.CAUTION.format(intervals=intervals),
        ),
        Finding(
            depth_finding.CLAIM,
            {name: depth_finding.ruling(rows) for name, rows in datasets.items()},
            {name: depth_finding.details(rows) for name, rows in datasets.items()},
            depth_finding.CAUTION.format(intervals=intervals),
        ),
    ]
