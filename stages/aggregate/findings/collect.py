"""Judge the findings on every dataset from its networks' measured data.

Finding (i), "high accuracy on seen classes does not imply generalization": the claim denies an implication, so one
counter-example shows it, and pairs of networks that agree show nothing. A counter-example is a pair of accurate
networks of which the first is at least as accurate as the second and has a worse g. The claim is therefore never "not
supported": without a counter-example it is said what would have been seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import nctdtrinc
from scipy.stats import t as student

from stages.aggregate.curves import CURVE, Key, Name, Scores, point_keys, sign_of
from stages.aggregate.findings import facts
from stages.aggregate.findings.facts import Reason, Status
from stages.aggregate.inference.contrasts import LEVEL, Estimate
from stages.aggregate.inference.intervals import POWER, beats_baselines, infer
from stages.aggregate.inference.layer_comparison import best_against, best_of_two
from stages.aggregate.inference.network_data import ByFold, NetworkData, Refits
from stages.aggregate.inference.scopes import MEANS
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow, spearman

TOLERANCE = 0.01
"""Accuracy that the first network of a counter-example may lack."""


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
    summary: Sequence[SummaryRow],
    scores: Scores,
    networks: dict[Name, NetworkData],
    steps: pd.DataFrame,
    margin: float,
    recommended: Mapping[Name, int],
) -> list[facts.DatasetFindings]:
    """Judge the findings, dataset by dataset.

    Args:
        summary: rows of summary.csv.
        scores: curves averaged over seeds and folds.
        networks: the measured data of each network.
        steps: steps.csv, for accuracy and g over training; may be empty.
        margin: accuracy below the best network's up to which a network counts as accurate.
        recommended: the checkpoint that is recommended by the main score, of each network of which one is.
    """
    findings = []
    for dataset in dict.fromkeys(row.dataset for row in summary):
        rows = [row for row in summary if row.main and row.dataset == dataset]
        judged = [_judge_network(row, scores, networks[row.dataset, row.model], steps, recommended) for row in rows]
        accuracy = _judge_accuracy([network for _, network in judged], margin)
        findings.append(facts.DatasetFindings([found for found, _ in judged], accuracy, correlate(rows, accuracy)))
    return findings


def _judge_network(
    row: SummaryRow, scores: Scores, data: NetworkData, steps: pd.DataFrame, recommended: Mapping[Name, int]
) -> tuple[facts.NetworkFindings, Network]:
    points = scores.main_points(row.dataset, row.model, row.metric)
    keys, tuned = point_keys(points[points["step"] == row.step]), row.step > 0 and (points["step"] == 0).any()
    above = beats_baselines(data, row.metric, [row.step], keys, chance=row.chance, pixels=row.baseline)
    last, first = data.at(row.metric, row.step, keys), data.at(row.metric, 0, keys) if tuned else None
    changes = _differences_of_g(last, first, row.metric) if last and first else None
    head, pixels = (data.images.accuracy, data.images.pixels) if data.images else ({}, {})
    unmeasured = bool(row.step > 0 and not tuned and (data.layers["step"] == 0).any())
    step = recommended.get((row.dataset, row.model), row.step)
    chosen = None if step == row.step else _judge_depth(row, step, point_keys(points[points["step"] == step]), data)
    found = facts.NetworkFindings(row, above is not False, changes, follow_training(row, steps), unmeasured, chosen)
    return found, Network(row, last, head, pixels)


def _judge_depth(row: SummaryRow, step: int, keys: Sequence[Key], data: NetworkData) -> facts.Depth:
    """Judge finding (ii) at another checkpoint than the last, of which the row is."""
    known = infer(data.at(row.metric, step, keys)).items()
    leads = {scope: best_against(inference) for scope, inference in known if is_proven(row.metric, scope)}
    above = beats_baselines(data, row.metric, [step], keys, chance=row.chance, pixels=row.baseline)
    return facts.Depth(step, {scope: lead for scope, lead in leads.items() if lead is not None}, above is not False)


def _judge_accuracy(networks: Sequence[Network], margin: float) -> facts.AccuracyFinding:
    """Compare all networks that are no copies, in each scope of which no network's refits or images are missing."""
    judged = [network for network in networks if network.row.accuracy is not None]
    best = max(judged, key=lambda network: network.row.accuracy or 0.0, default=None)
    differing = [(a, b) for a, b in combinations(judged, 2) if not _is_copy(a.last, b.last)]
    pairs = [(a, b, _differences_of_g(a.last, b.last, a.row.metric)) for a, b in differing]
    results = {}
    for scope in MEANS:
        compared = [
            facts.NetworkPair(first.row.model, second.row.model, accuracy, g[scope])
            for first, second, g in pairs
            if (accuracy := _difference(first.head, second.head, scope)) is not None and scope in g
        ]
        complete = len(compared) == len(pairs) and (pairs or len(judged) == 1)
        if best is not None and _difference(best.head, best.head, scope) and complete:
            reasons = {
                network.row.model: why_out_of_scope(
                    None if network is best else _difference(network.head, best.head, scope),
                    _difference(network.head, network.pixels, scope),
                    margin=margin,
                )
                for network in judged
            }
            results[scope] = judge_scope(reasons, compared)
    return judge_accuracy(results)


def why_out_of_scope(to_best: Estimate | None, over_pixels: Estimate | None, *, margin: float) -> Reason | None:
    """Return why a network does not count as accurate; None where it does.

    Args:
        to_best: its accuracy less that of the most accurate network; None of that one itself.
        over_pixels: its accuracy less that of a linear probe on raw pixels; None where that was not measured, and then
            not asked for.
        margin: accuracy below the best network's up to which a network counts as accurate.
    """
    if to_best is not None and to_best.lower() < -margin:
        return Reason.LESS_ACCURATE
    if over_pixels is not None and over_pixels.lower() <= 0:
        return Reason.PIXELS_AS_ACCURATE
    return None


def judge_scope(reasons: Mapping[str, Reason | None], pairs: Iterable[facts.NetworkPair]) -> facts.AccuracyResult:
    """Compare the accurate networks in one scope: other classes and training, or these classes and trained networks.

    Args:
        reasons: of all networks, why they are out of scope; at least one.
        pairs: of any two of them, in either order.
    """
    inside = tuple(name for name, reason in reasons.items() if reason is None)
    level = 1 - (1 - LEVEL) / max(1, len(inside) * (len(inside) - 1))
    ordered = [each for pair in pairs if {pair.first, pair.second} <= {*inside} for each in (pair, pair.reversed())]
    comparable = [pair for pair in ordered if pair.accuracy.lower(level) > -TOLERANCE]
    counter_examples = [pair for pair in comparable if pair.g.upper(level) < 0]
    return facts.AccuracyResult(
        in_scope=inside,
        out_of_scope={name: reason for name, reason in reasons.items() if reason is not None},
        counter_examples=tuple(sorted(counter_examples, key=lambda pair: pair.g.value)),
        comparable=len(comparable),
        detectable=max((_detectable(pair.g, level) for pair in comparable), default=None),
        level=level,
    )


def judge_accuracy(results: Mapping[Scope, facts.AccuracyResult]) -> facts.AccuracyFinding:
    """Rule on the claim from what is known in each scope, the wider one first."""
    shown = [scope for scope, result in results.items() if result.counter_examples]
    if shown:
        return facts.AccuracyFinding(Status.SHOWN if shown[0] == "classes" else Status.SHOWN_HERE, results)
    judged = any(len(result.in_scope) > 1 for result in results.values())
    return facts.AccuracyFinding(Status.NO_COUNTER_EXAMPLE if judged else Status.UNKNOWN, results)


def _detectable(g: Estimate, level: float) -> float:
    """Difference whose bound at this level excludes 0 with the probability `POWER`."""
    return g.standard_error * float(nctdtrinc(g.df, 1 - POWER, student.ppf(level, g.df)))


def _difference(first: ByFold, second: ByFold, scope: Scope) -> Estimate | None:
    """Compare two classifiers on the images of the same folds; None where one lacks some."""
    if not first or not set(first) <= set(second):
        return None
    return MEANS[scope]([first[fold] - second[fold] for fold in first])


def _is_copy(first: Refits | None, second: Refits | None) -> bool:
    return first is not None and second is not None and np.array_equal(first.values, second.values)


def _differences_of_g(first: Refits | None, second: Refits | None, metric: str) -> dict[Scope, Estimate]:
    """By how much the first's best layer beats the second's, in each scope that has refits and a proven level."""
    n_layers = len(first.keys) if first else 0
    proven = {scope: inference for scope, inference in infer(first, second).items() if is_proven(metric, scope)}
    differences = {scope: best_of_two(inference, n_layers) for scope, inference in proven.items()}
    return {scope: difference for scope, difference in differences.items() if difference is not None}


def correlate(rows: Sequence[SummaryRow], finding: facts.AccuracyFinding) -> list[facts.Correlation]:
    """Correlate accuracy and g over all networks that have a head, and over the accurate ones where these are fewer."""
    heads = [(row.model, row.accuracy, sign_of(row.better) * row.unseen) for row in rows if row.accuracy is not None]
    judged = pd.DataFrame(heads, columns=["model", "accuracy", "g"])
    accurate = judged[judged["model"].isin(finding.deciding[1].in_scope if finding.deciding else ())]
    by_size = {len(group): group for group in (judged, accurate) if len(group) > 2}
    values = {size: spearman(group["accuracy"], group["g"]) for size, group in by_size.items()}
    return [facts.Correlation(value, size) for size, value in values.items() if not np.isnan(value)]


def follow_training(row: SummaryRow, steps: pd.DataFrame) -> facts.TrainingCourse | None:
    """Describe a network over training; None of one that was measured at a single step."""
    own = steps[np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])].sort_values("step")
    if len(own) < 2:
        return None
    ends = int(own["step"].iloc[0]), int(own["step"].iloc[-1])
    return facts.TrainingCourse(ends, _course(own, "accuracy"), _course(own, "unseen"))


def _course(rows: pd.DataFrame, column: str) -> facts.Course | None:
    known = rows[rows[column].notna()]
    if known.empty:
        return None
    first, last = known.iloc[0], known.iloc[-1]
    return facts.Course(int(first["step"]), float(first[column]), int(last["step"]), float(last[column]))
