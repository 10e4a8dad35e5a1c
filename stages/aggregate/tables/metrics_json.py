"""metrics.json: the headline numbers of every dataset and model, for `dvc metrics` and `dvc exp`."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.curves import COLUMNS_OF
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow

Numbers = dict[str, float | int | str | None]

DECIMALS = 6


def headline(rows: Sequence[SummaryRow]) -> dict[str, dict[str, Numbers]]:
    """Nest dataset -> model -> the numbers of its main row (docs/results.md), None where there is none."""
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
            }
    return tree


def write_metrics(path: Path, rows: Sequence[SummaryRow]) -> None:
    """Write metrics.json: strict JSON, in which NaN and infinity have no place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(headline(rows), indent=2, allow_nan=False) + "\n")


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)
