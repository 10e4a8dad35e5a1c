"""The numbers behind the findings on one dataset, network by network."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE
from stages.aggregate.formatting import decimals, joined, layers, number, place
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.points import spearman
from stages.aggregate.report.accuracy_rule import AccuracyFinding
from stages.aggregate.report.baselines import beaten_by
from stages.aggregate.report.depth_rule import DepthFinding
from stages.aggregate.report.evidence import DatasetEvidence
from stages.aggregate.report.rule_words import depth_sentences, fine_tuning_sentences, telling
from stages.aggregate.report.scopes import NO_INTERVAL, SCOPES, SHORT, at_start, level, score
from stages.aggregate.tables.summary import SummaryRow

TRAINED = (("accuracy", "accuracy"), ("unseen", "g"))
"""Columns of steps.csv that are followed over training, and their names in the sentence."""


def accuracy(each: DatasetEvidence) -> list[str]:
    """Accuracy and g of every network, how they are correlated, and which networks beat nothing."""
    judged = sorted((row for row in each.rows if row.accuracy is not None), key=lambda row: -(row.accuracy or 0))
    if len(judged) < 2:
        return []
    shown = "; ".join(f"{row.model} {number(row.accuracy, row.accuracy_sd)}, {score(row)}" for row in judged)
    weak = [row.model for row in judged if beaten_by(row)]
    return [
        f"Accuracy and g ({metric_name(judged[0].metric)}): {shown}.",
        *_correlation(judged, each.accuracy),
        *([f"No layer beats raw pixels or chance: {joined(weak)}."] if weak else []),
    ]


def depth(each: DatasetEvidence) -> list[str]:
    """Each network's best layer, its lead in both scopes, the layers that tie with it, and single folds."""
    return [
        " ".join(part for part in (_best(row), _judged(row, finding), *_further(row, each.fold_rows)) if part)
        for row, finding in zip(each.rows, each.depth, strict=True)
    ]


def fine_tuning(each: DatasetEvidence, steps: pd.DataFrame) -> list[str]:
    """What fine-tuning did to each network in both scopes, and accuracy and g over training."""
    metric = each.rows[0].metric
    return [
        *(fine_tuning_sentences(finding, metric) for finding in each.fine_tuning),
        *_over_training(each.rows, steps),
    ]


def _correlation(rows: Sequence[SummaryRow], finding: AccuracyFinding) -> list[str]:
    """Describe how accuracy and g are correlated, over all networks and over the accurate ones alone."""
    result = telling(finding)
    accurate = [row for row in rows if result is not None and row.model in result.in_scope]
    groups = {f"over all {len(rows)} networks": rows}
    if len(accurate) < len(rows):
        groups[f"over the {len(accurate)} accurate ones"] = accurate
    told = [f"{r:+.2f} {which}" for which, group in groups.items() if not np.isnan(r := _rank_correlation(group))]
    return [f"Rank correlation of accuracy and g, described and no evidence: {', '.join(told)}."] if told else []


def _rank_correlation(rows: Sequence[SummaryRow]) -> float:
    """NaN of fewer than three networks."""
    if len(rows) < 3:
        return float("nan")
    sign = -1 if rows[0].lower_is_better else 1
    return spearman(pd.Series([row.accuracy for row in rows]), pd.Series([sign * row.unseen for row in rows]))


def _best(row: SummaryRow) -> str:
    name = f"`{row.best_layer}`, the last" if row.best_is_last else f"`{row.best_layer}`"
    lead = "" if row.lead is None else f"; lead over the last {decimals(row.lead, sign=True)}"
    where = f"layer {place(row.best_depth, row.last_depth)} ({name})"
    return f"{row.model}: best at {where}, {metric_name(row.metric)} {score(row)}{lead}."


def _judged(row: SummaryRow, finding: DepthFinding) -> str:
    if row.last_depth == 0:
        return ""
    return depth_sentences(finding, row.metric) or at_start(f"{NO_INTERVAL}.")


def _further(row: SummaryRow, fold_rows: Sequence[SummaryRow]) -> list[str]:
    return [_ties(row), _by_fold([each for each in fold_rows if each.model == row.model])]


def _ties(row: SummaryRow) -> str:
    """Name the layers that tie with the best of a row, and the shallowest; nothing where that is not known."""
    others = [depth for depth in row.tied_depths if depth != row.best_depth]
    scope: Scope = "classes" if row.tied_classes else "images"
    if not row.tied_depths or row.last_depth == 0:
        return ""
    if not others:
        return f"{at_start(SCOPES[scope])}: every other layer is worse{level(row.metric, scope)}."
    first = ""
    if row.shallowest_depth is not None and row.shallowest_depth < row.best_depth:
        first = f", the shallowest is layer {row.shallowest_depth + 1} (`{row.shallowest_layer}`)"
    return f"Not distinguishable from the best ({SHORT[scope]}): {layers(others)}{first}."


def _by_fold(rows: Sequence[SummaryRow]) -> str:
    if len(rows) < 2:
        return ""
    best, g = [str(row.best_depth + 1) for row in rows], [row.unseen for row in rows]
    return f"Fold by fold the best layer is {joined(best)}, with {number(min(g))} to {number(max(g))}."


def _over_training(rows: Sequence[SummaryRow], steps: pd.DataFrame) -> list[str]:
    spans: dict[str, list[str]] = {}
    for row in rows:
        of_curve = np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])
        own = steps[of_curve].sort_values("step")
        if len(own) > 1:
            changes = (_change(own, column, name) for column, name in TRAINED if own[column].notna().any())
            span = f"steps {own['step'].iloc[0]} to {own['step'].iloc[-1]}"
            spans.setdefault(span, []).append(f"{row.model} {', '.join(changes)}")
    return [f"Over training, {span}: {'; '.join(texts)}." for span, texts in sorted(spans.items())]


def _change(own: pd.DataFrame, column: str, name: str) -> str:
    """Give a column's first and last known value; where the first step has none, the step that the first is from."""
    known = own[own[column].notna()]
    first, last = known.iloc[0], known.iloc[-1]
    where = "" if first["step"] == own["step"].iloc[0] else f" (step {first['step']})"
    if len(known) == 1:
        return f"{name} {number(last[column])}{where}"
    return f"{name} {number(first[column])}{where} to {number(last[column])}"
