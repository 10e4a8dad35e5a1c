"""Judge the findings on every dataset from its networks' measured data."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE, Name, Scores, point_keys, sign_of
from stages.aggregate.findings import accuracy_rule as rule
from stages.aggregate.findings.facts import Correlation, Course, DatasetFindings, NetworkFindings, TrainingCourse
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.intervals import beats_baselines, infer
from stages.aggregate.inference.layer_comparison import best_of_two
from stages.aggregate.inference.network_data import ByFold, NetworkData, Refits
from stages.aggregate.inference.scopes import MEANS
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow, spearman


@dataclass(frozen=True)
class Network:
    """One network on one dataset, to be compared with others.

    Attributes:
        row: its main row.
        last: the main score of its layers at the last step; None where a value is missing.
        head, pixels: of every test image, how often its own head, and the linear probe on raw pixels, are right.
    """

    row: SummaryRow
    last: Refits | None
    head: ByFold
    pixels: ByFold


def collect_findings(
    summary: Sequence[SummaryRow], scores: Scores, networks: dict[Name, NetworkData], steps: pd.DataFrame, margin: float
) -> list[DatasetFindings]:
    """Judge the findings, dataset by dataset.

    Args:
        summary: rows of summary.csv.
        scores: curves averaged over seeds and folds.
        networks: the measured data of each network.
        steps: steps.csv, for accuracy and g over training; may be empty.
        margin: accuracy below the best network's up to which a network counts as accurate.
    """
    findings = []
    for dataset in dict.fromkeys(row.dataset for row in summary):
        rows = [row for row in summary if row.main and row.dataset == dataset]
        judged = [_judge_network(row, scores, networks[row.dataset, row.model], steps) for row in rows]
        accuracy = _judge_accuracy([network for _, network in judged], margin)
        findings.append(DatasetFindings([found for found, _ in judged], accuracy, correlate(rows, accuracy)))
    return findings


def _judge_network(
    row: SummaryRow, scores: Scores, data: NetworkData, steps: pd.DataFrame
) -> tuple[NetworkFindings, Network]:
    points = scores.main_points(row.dataset, row.model, row.metric)
    keys, tuned = point_keys(points[points["step"] == row.step]), row.step > 0 and (points["step"] == 0).any()
    above = beats_baselines(data, row.metric, row.step, keys, chance=row.chance, pixels=row.baseline)
    last, first = data.at(row.metric, row.step, keys), data.at(row.metric, 0, keys) if tuned else None
    changes = _differences_of_g(last, first, row.metric) if last and first else None
    head, pixels = (data.images.accuracy, data.images.pixels) if data.images else ({}, {})
    unmeasured = bool(row.step > 0 and not tuned and (data.layers["step"] == 0).any())
    found = NetworkFindings(row, above is not False, changes, follow_training(row, steps), unmeasured)
    return found, Network(row, last, head, pixels)


def _judge_accuracy(networks: Sequence[Network], margin: float) -> rule.AccuracyFinding:
    """Compare all networks in each scope of which no network's refits or images are missing."""
    judged = [network for network in networks if network.row.accuracy is not None]
    best = max(judged, key=lambda network: network.row.accuracy or 0.0, default=None)
    pairs = [(a, b, _differences_of_g(a.last, b.last, a.row.metric)) for a, b in combinations(judged, 2)]
    results = {}
    for scope in MEANS:
        compared = [
            rule.NetworkPair(first.row.model, second.row.model, accuracy, g[scope])
            for first, second, g in pairs
            if (accuracy := _difference(first.head, second.head, scope)) is not None and scope in g
        ]
        if best is not None and _difference(best.head, best.head, scope) and len(compared) == len(pairs):
            reasons = {
                network.row.model: rule.why_out_of_scope(
                    None if network is best else _difference(network.head, best.head, scope),
                    _difference(network.head, network.pixels, scope),
                    margin=margin,
                )
                for network in judged
            }
            results[scope] = rule.judge_scope(reasons, compared)
    return rule.judge_accuracy(results)


def _difference(first: ByFold, second: ByFold, scope: Scope) -> Estimate | None:
    """Compare two classifiers on the images of the same folds; None where one lacks some."""
    if not first or not set(first) <= set(second):
        return None
    return MEANS[scope]([first[fold] - second[fold] for fold in first])


def _differences_of_g(first: Refits | None, second: Refits | None, metric: str) -> dict[Scope, Estimate]:
    """By how much the first's best layer beats the second's, in each scope that has refits and a proven level."""
    n_layers = len(first.keys) if first else 0
    proven = {scope: inference for scope, inference in infer(first, second).items() if is_proven(metric, scope)}
    differences = {scope: best_of_two(inference, n_layers) for scope, inference in proven.items()}
    return {scope: difference for scope, difference in differences.items() if difference is not None}


def correlate(rows: Sequence[SummaryRow], finding: rule.AccuracyFinding) -> list[Correlation]:
    """Correlate accuracy and g over all networks that have a head, and over the accurate ones where these are fewer."""
    heads = [(row.model, row.accuracy, sign_of(row.better) * row.unseen) for row in rows if row.accuracy is not None]
    judged = pd.DataFrame(heads, columns=["model", "accuracy", "g"])
    accurate = judged[judged["model"].isin(finding.deciding[1].in_scope if finding.deciding else ())]
    by_size = {len(group): group for group in (judged, accurate) if len(group) > 2}
    values = {size: spearman(group["accuracy"], group["g"]) for size, group in by_size.items()}
    return [Correlation(value, size) for size, value in values.items() if not np.isnan(value)]


def follow_training(row: SummaryRow, steps: pd.DataFrame) -> TrainingCourse | None:
    """Describe a network over training; None of one that was measured at a single step."""
    own = steps[np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])].sort_values("step")
    if len(own) < 2:
        return None
    ends = int(own["step"].iloc[0]), int(own["step"].iloc[-1])
    return TrainingCourse(ends, _course(own, "accuracy"), _course(own, "unseen"))


def _course(rows: pd.DataFrame, column: str) -> Course | None:
    known = rows[rows[column].notna()]
    if known.empty:
        return None
    first, last = known.iloc[0], known.iloc[-1]
    return Course(int(first["step"]), float(first[column]), int(last["step"]), float(last[column]))
