"""Write data/results (docs/results.md describes each file)."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...shared.tables.metric_table import write_layer_scores
from ..charts.draw import draw_figures
from ..facts import Recommendation
from ..facts_file import write_facts
from ..result_files import PAGE, finish_results
from ..tables.summary_row import SummaryRow
from ..words import documents
from ..words.formatting import plural
from .page.page import render_page, vega_bundle
from .page.provenance import Study

Numbers = dict[str, Any]

DECIMALS = 6
"""Of the numbers in metrics.json."""


def write_results(out: Path, study: Study, inputs: Mapping[str, str] | None = None) -> str:
    """Write every file of data/results.

    Args:
        out: the folder; made if missing.
        study: what to write.
        inputs: the artifacts that they were made of, with hashes.

    Returns:
        What was written, for the closing line.
    """
    results, facts = study.results, study.results.facts
    write_layer_scores(out / "layers.csv", results.layers)
    for name, table in results.tables.items():
        table.to_csv(out / name, index=False)
    write_facts(out, facts)
    contents = {
        "findings.json": documents.finding_records(facts),
        "metrics.json": headline_numbers(results.summary, facts.recommendations),
        "recommendation.json": documents.recommendation_records(facts.recommendations),
    }
    for name, content in contents.items():
        (out / name).write_text(f"{documents.strict_json(content)}\n", encoding="utf-8")
    (out / "summary.md").write_text(documents.markdown(results.summary, facts), encoding="utf-8")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(vega_bundle)  # for the page: it takes a second, in which figures are drawn
        n_figures = draw_figures(out, results, study.run.models)
    size = (out / PAGE).write_bytes(render_page(study).encode("utf-8"))
    finish_results(out, inputs)
    scores = f"{len(results.layers)} scores of {plural(sum(len(each.rows) for each in facts.findings), 'network')}"
    return f"wrote {scores}, {n_figures} figures, a {size / 1e6:.1f} MB page"


def headline_numbers(rows: Sequence[SummaryRow], recommendations: Sequence[Recommendation]) -> Numbers:
    """Return what metrics.json holds: dataset -> model -> its main row, in numbers, and what is recommended by use.

    The row is of the last step; the best layer and checkpoint are those of each use.
    """
    tree: dict[str, dict[str, Numbers]] = {}
    for row in rows:
        if row.main:
            scope, (low, high) = next(iter(row.intervals.items()), ("images", (None, None)))
            own = [each for each in recommendations if (each.dataset, each.model) == (row.dataset, row.model)]
            tree.setdefault(row.dataset, {})[row.model] = {
                "step": row.step,
                "accuracy": row.accuracy,
                "g_unseen": row.unseen,
                "g_seen": row.seen,
                "last_value": row.last_value,
                "scope": scope,
                "ci_low": low,
                "ci_high": high,
                "uses": {each.use: _of_use(each) for each in own},
            }
    rounded: Numbers = _rounded(tree)
    return rounded


def _of_use(found: Recommendation) -> Numbers:
    """The layer for one use, its score, what choosing it gains, and the same of the network before fine-tuning."""
    place = ("layer", "depth", "step")
    return {
        "metric": found.metric,
        **{name: getattr(found.best, name) for name in place},
        **dict(zip(("score", "low", "high"), found.best.estimate, strict=True)),
        "last_score": found.last_score,
        "gain_over_last": vars(found.gain_over_last),
        "gain_over_before": vars(found.gain_over_before),
        "untrained": found.untrained
        and {name: getattr(found.untrained.layer, name) for name in place}
        | {"gain_over_last": vars(found.untrained.gain_over_last)},
    }


def _rounded(content: Any) -> Any:
    """Round what is a float, without a minus before zero, or leave it out where it is not finite."""
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, float):
        return round(content, DECIMALS) + 0.0 if math.isfinite(content) else None
    return content
