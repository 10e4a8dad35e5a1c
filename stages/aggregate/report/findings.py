"""The paper's two findings, put to the test on one grid's results: sentences with numbers, scope and cautions.

Each claim is judged for every dataset by itself, from the main rows of summary.csv: supported, contradicted,
inconclusive, or cannot be judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from stages.aggregate.metric_info import intervals_of
from stages.aggregate.report import accuracy_finding, depth_finding
from stages.aggregate.tables.summary import SummaryRow


@dataclass(frozen=True)
class Finding:
    """One claim, on every dataset.

    Attributes:
        claim: what is claimed.
        summaries: dataset -> what these results say of it.
        details: dataset -> the numbers behind it, a sentence or a few each.
        caution: what the summaries do not say.
    """

    claim: str
    summaries: dict[str, str]
    details: dict[str, list[str]]
    caution: str


def evaluate_findings(rows: Sequence[SummaryRow], steps: pd.DataFrame) -> list[Finding]:
    """Judge both claims for every dataset.

    Args:
        rows: of summary.csv; only its main rows, one per dataset and model, are used.
        steps: steps.csv, for accuracy and g over training; may be empty.
    """
    main = [row for row in rows if row.main]
    intervals = intervals_of(main[0].metric)
    datasets = {name: [row for row in main if row.dataset == name] for name in dict.fromkeys(r.dataset for r in main)}
    return [
        Finding(
            accuracy_finding.CLAIM,
            {name: accuracy_finding.summary(networks) for name, networks in datasets.items()},
            {name: accuracy_finding.details(networks, steps) for name, networks in datasets.items()},
            accuracy_finding.CAUTION.format(intervals=intervals),
        ),
        Finding(
            depth_finding.CLAIM,
            {name: depth_finding.summary(networks) for name, networks in datasets.items()},
            {name: depth_finding.details(networks) for name, networks in datasets.items()},
            depth_finding.CAUTION.format(intervals=intervals),
        ),
    ]
