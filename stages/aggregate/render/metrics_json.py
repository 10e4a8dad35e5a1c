"""metrics.json: the headline numbers of every dataset and model, for `dvc metrics` and `dvc exp`."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.aggregate.curves import COLUMNS_OF
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow

Numbers = dict[str, Any]

DECIMALS = 6


def headline(rows: Sequence[SummaryRow], recommendations: Sequence[Recommendation]) -> dict[str, dict[str, Numbers]]:
    """Nest dataset -> model -> the numbers of its main row and, by use, of what is recommended (docs/results.md)."""
    tree: dict[str, dict[str, Numbers]] = {}
    for row in rows:
        if row.main:
            scope: Scope = "classes" if row.ci_classes_low is not None else "images"
            columns = COLUMNS_OF[scope]
            tree.setdefault(row.dataset, {})[row.model] = {
                "accuracy": _rounded(row.accuracy),
                "g_unseen": _rounded(row.unseen),
                "g_seen": _rounded(row.seen),
                "best_layer": row.best_layer,
                "best_depth": row.best_depth,
                "last_value": _rounded(row.last_value),
                "lead": _rounded(row.lead),
                "scope": scope,
                "ci_low": _rounded(getattr(row, columns.low)),
                "ci_high": _rounded(getattr(row, columns.high)),
                "lead_at_least": _rounded(getattr(row, columns.lead_at_least)),
                "lead_at_most": _rounded(getattr(row, columns.lead_at_most)),
                "uses": {
                    each.use: _of_use(each)
                    for each in recommendations
                    if (each.dataset, each.model) == (row.dataset, row.model)
                },
            }
    return tree


def _of_use(found: Recommendation) -> Numbers:
    """The layer for one use, its score, and how much better the last layer and the one before it are."""
    score, low, high = found.best.estimate
    last, before = found.loss("last_layer"), found.loss("penultimate")
    return {
        "metric": found.metric,
        "layer": found.best.layer,
        "depth": found.best.depth,
        "step": found.best.step,
        "score": _rounded(score),
        "low": _rounded(low),
        "high": _rounded(high),
        "last": None if last is None else _rounded(-last),
        "before": None if before is None else _rounded(-before),
    }


def write_metrics(path: Path, rows: Sequence[SummaryRow], recommendations: Sequence[Recommendation]) -> None:
    """Write metrics.json: strict JSON, in which NaN and infinity have no place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(headline(rows, recommendations), indent=2, allow_nan=False) + "\n")


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)
