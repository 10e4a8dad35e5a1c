"""Judge the findings on every dataset from its networks' measured data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE, Scores
from stages.aggregate.findings.accuracy_rule import (
    AccuracyEvidence,
    AccuracyFinding,
    NetworkAccuracy,
    NetworkPair,
    judge_accuracy,
)
from stages.aggregate.findings.facts import (
    Correlation,
    Course,
    DatasetFindings,
    DepthFinding,
    FineTuningFinding,
    TrainingCourse,
)
from stages.aggregate.inference.accuracy import Folds, mean_over_classes, mean_over_images
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.intervals import point_keys
from stages.aggregate.inference.layer_comparison import best_of_two, is_above
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.inference.per_image_scores import ByFold
from stages.aggregate.inference.refits import Refits, infer
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow, spearman

MEANS: dict[Scope, Callable[[Folds], Estimate | None]] = {"classes": mean_over_classes, "images": mean_over_images}
"""How differences in accuracy are judged in each scope, the wider one first."""


@dataclass(frozen=True)
class Network:
    """One network on one dataset.

    Attributes:
        row: its main row.
        last: the main score of its layers at the last step; None where a value is missing.
        first: the same at step 0; None where there is no step 0, or no later one.
        with_pixels: `last` with the raw pixels after the layers; None where they were not measured.
        head, pixels: of every test image, how often its own head, and the linear probe on raw pixels, are right.
    """

    row: SummaryRow
    last: Refits | None
    first: Refits | None
    with_pixels: Refits | None
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
        of_dataset = [_network(row, scores, networks[row.dataset, row.model]) for row in rows]
        accuracy = _judge_accuracy(of_dataset, margin)
        findings.append(
            DatasetFindings(
                rows=rows,
                accuracy=accuracy,
                depth=[_depth(network) for network in of_dataset],
                fine_tuning=[_fine_tuning(network) for network in of_dataset if network.last and network.first],
                correlations=correlate(rows, accuracy),
                training=[course for row in rows if (course := follow_training(row, steps)) is not None],
            )
        )
    return findings


def _network(row: SummaryRow, scores: Scores, data: NetworkData) -> Network:
    points = scores.main_points(row.dataset, row.model, row.metric)
    keys = point_keys(points[points["step"] == row.step])
    last = data.at(row.metric, row.step)
    first = data.at(row.metric, 0) if row.step > 0 and (points["step"] == 0).any() else None
    images, pixels = data.images, data.pixels
    return Network(
        row=row,
        last=last and last.take(keys),
        first=first and first.take(keys),
        with_pixels=last.take([*keys, pixels]) if last and pixels else None,
        head=images.accuracy if images else {},
        pixels=images.pixels if images else {},
    )


def _judge_accuracy(networks: Sequence[Network], margin: float) -> AccuracyFinding:
    judged = [network for network in networks if network.row.accuracy is not None]
    pairs = [(a, b, _differences_of_g(a.last, b.last, a.row)) for a, b in combinations(judged, 2)]
    evidence = {scope: _accuracy_evidence(judged, pairs, scope) for scope in MEANS}
    return judge_accuracy({scope: known for scope, known in evidence.items() if known is not None}, margin=margin)


def _accuracy_evidence(
    networks: Sequence[Network], pairs: Sequence[tuple[Network, Network, dict[Scope, Estimate]]], scope: Scope
) -> AccuracyEvidence | None:
    """Compare all networks in one scope; None where that scope's refits or images are missing."""
    best = max(networks, key=lambda network: network.row.accuracy or 0.0, default=None)
    if best is None or (len(networks) == 1 and _difference(best.head, best.head, scope) is None):
        return None
    compared = []
    for first, second, differences_of_g in pairs:
        accuracy = _difference(first.head, second.head, scope)
        if accuracy is None or scope not in differences_of_g:
            return None
        compared.append(NetworkPair(first.row.model, second.row.model, accuracy, differences_of_g[scope]))
    accurate = [
        NetworkAccuracy(
            name=network.row.model,
            to_best=None if network is best else _difference(network.head, best.head, scope),
            over_pixels=_difference(network.head, network.pixels, scope),
        )
        for network in networks
    ]
    return AccuracyEvidence(accurate, compared)


def _difference(first: ByFold, second: ByFold, scope: Scope) -> Estimate | None:
    """Compare two classifiers on the images of the same folds; None where one lacks some."""
    if not first or not set(first) <= set(second):
        return None
    return MEANS[scope]([first[fold] - second[fold] for fold in first])


def _differences_of_g(first: Refits | None, second: Refits | None, row: SummaryRow) -> dict[Scope, Estimate]:
    """By how much the first's best layer beats the second's, in each scope that has refits and a proven level."""
    if first is None or second is None:
        return {}
    differences = {
        scope: best_of_two(inference, len(first.keys), better=row.direction)
        for scope, inference in infer(first, second).items()
        if is_proven(row.metric, scope)
    }
    return {scope: difference for scope, difference in differences.items() if difference is not None}


def _depth(network: Network) -> DepthFinding:
    row, refits = network.row, network.with_pixels or network.last
    pixels = len(refits.keys) - 1 if refits and network.with_pixels else None
    above = (
        is_above(inference, chance=row.chance, pixels=pixels, better=row.direction)
        for inference in (infer(refits).values() if refits else ())
    )
    in_scope = next((each for each in above if each is not None), True)
    return DepthFinding(row.model, row.proven_leads, in_scope)


def _fine_tuning(network: Network) -> FineTuningFinding:
    row = network.row
    accuracy = None if row.accuracy is None or row.accuracy_chance is None else (row.accuracy_chance, row.accuracy)
    return FineTuningFinding(row.model, _differences_of_g(network.last, network.first, row), accuracy)


def correlate(rows: Sequence[SummaryRow], finding: AccuracyFinding) -> list[Correlation]:
    """Correlate accuracy and g over all networks that have a head, and over the accurate ones where these are fewer."""
    judged = sorted((row for row in rows if row.accuracy is not None), key=lambda row: -(row.accuracy or 0))
    names = finding.deciding[1].in_scope if finding.deciding else ()
    accurate = [row for row in judged if row.model in names]
    groups = [judged, accurate] if len(accurate) < len(judged) else [judged]
    correlations = []
    for group in groups if len(judged) > 1 else []:
        sign = -1 if group and group[0].lower_is_better else 1
        accuracies, g = pd.Series([row.accuracy for row in group]), pd.Series([sign * row.unseen for row in group])
        value = spearman(accuracies, g) if len(group) > 2 else np.nan
        if not np.isnan(value):
            correlations.append(Correlation(value, len(group)))
    return correlations


def follow_training(row: SummaryRow, steps: pd.DataFrame) -> TrainingCourse | None:
    """Describe a network over training; None of one that was measured at a single step."""
    own = steps[np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])].sort_values("step")
    if len(own) < 2:
        return None
    ends = int(own["step"].iloc[0]), int(own["step"].iloc[-1])
    return TrainingCourse(row.model, ends, _course(own, "accuracy"), _course(own, "unseen"))


def _course(rows: pd.DataFrame, column: str) -> Course | None:
    known = rows[rows[column].notna()]
    if known.empty:
        return None
    first, last = known.iloc[0], known.iloc[-1]
    return Course(int(first["step"]), float(first[column]), int(last["step"]), float(last[column]))
