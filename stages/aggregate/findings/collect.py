"""Judge the findings on every dataset from its networks' measured data.

Finding (i), "high accuracy on seen classes does not imply generalization": the claim denies an implication, so one
counter-example shows it, and pairs of networks that agree show nothing. A counter-example is a pair of accurate
networks of which the first is at least as accurate as the second and has a worse g. The claim is therefore never "not
supported": without a counter-example it is said what would have been seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, groupby

import numpy as np
import pandas as pd
from scipy.stats import t as student

from ...core.inference.accuracy import MEANS
from ...core.inference.contrasts import LEVEL, Estimate, detectable
from ...core.inference.layer_comparison import best_against, best_of_two
from ...core.inference.refitted import Refits
from ...core.inference.scopes import Scope, infer, is_proven
from ..curves import CURVE, Name
from ..network_data import ByFold, unseen_rows
from ..tables.summary import MeasuredNetwork
from ..tables.summary_row import SummaryRow
from . import outcomes
from .outcomes import Power, Reason, Status
from .power import power_of

TOLERANCE = 0.01
"""Accuracy that the first network of a counter-example may lack."""


def collect_findings(
    networks: Sequence[MeasuredNetwork], steps: pd.DataFrame, margin: float, recommended: Mapping[Name, int]
) -> list[outcomes.DatasetFindings]:
    """Judge the findings, dataset by dataset.

    Args:
        networks: of the whole grid, by the main score.
        steps: steps.csv, for accuracy and g over training; may be empty.
        margin: accuracy below the best network's up to which a network counts as accurate.
        recommended: the checkpoint that is recommended by the main score, of each network of which one is.
    """
    findings = []
    for _, group in groupby(networks, lambda network: network.row.dataset):
        own = list(group)
        judged = [_judge_network(network, steps, recommended) for network in own]
        findings.append(outcomes.DatasetFindings(judged, _judge_accuracy(own, margin)))
    return findings


def _judge_network(
    network: MeasuredNetwork, steps: pd.DataFrame, recommended: Mapping[Name, int]
) -> outcomes.NetworkFindings:
    row = network.row
    tuned = row.step > 0 and (network.curve["step"] == 0).any()
    last, first = network.at(row.step), network.at(0) if tuned else None
    changes = _differences_of_g(last, first, row.metric) if last and first else None
    unmeasured = bool(row.step > 0 and not tuned and (network.data.layers["step"] == 0).any())
    step = recommended.get((row.dataset, row.model), row.step)
    chosen = None if step == row.step else _judge_depth(network, step)
    above = not network.unshown_levels(row.step)
    return outcomes.NetworkFindings(row, above, changes, follow_training(row, steps), unmeasured, chosen)


def _judge_depth(network: MeasuredNetwork, step: int) -> outcomes.Depth:
    """Judge finding (ii) at another checkpoint than the last, of which the row is."""
    known = infer(network.at(step)).items()
    leads = {scope: best_against(inference) for scope, inference in known if is_proven(network.row.metric, scope)}
    above = not network.unshown_levels(step)
    return outcomes.Depth(step, {scope: lead for scope, lead in leads.items() if lead is not None}, above)


def _judge_accuracy(networks: Sequence[MeasuredNetwork], margin: float) -> outcomes.AccuracyFinding:
    """Compare all networks that are no copies, in each scope of which no network's refits or images are missing."""
    judged = [network for network in networks if network.row.accuracy is not None]
    if not judged:
        return judge_accuracy({})
    best = max(judged, key=lambda network: network.row.accuracy or 0.0).row.model
    last = {network.row.model: network.at(network.row.step) for network in judged}
    images = {network.row.model: network.data.images for network in judged}
    pairs = [
        (a, b, _differences_of_g(one, other, judged[0].row.metric))
        for (a, one), (b, other) in combinations(last.items(), 2)
        if one is None or other is None or not np.array_equal(one.values, other.values)  # copies
    ]
    results = {}
    for scope in MEANS:
        compared = [
            outcomes.NetworkPair(a, b, accuracy, g[scope])
            for a, b, g in pairs
            if (accuracy := _difference(images[a].accuracy, images[b].accuracy, scope)) and scope in g
        ]
        to_best = {name: _difference(own.accuracy, images[best].accuracy, scope) for name, own in images.items()}
        if to_best[best] and len(compared) == len(pairs) and (pairs or len(judged) == 1):
            over_pixels = {name: _difference(own.accuracy, own.pixels, scope) for name, own in images.items()}
            reasons = {name: why_out_of_scope(to_best[name], over_pixels[name], margin=margin) for name in images}
            results[scope] = judge_scope(reasons, compared)
    return judge_accuracy(results)


def why_out_of_scope(to_best: Estimate | None, over_pixels: Estimate | None, *, margin: float) -> Reason | None:
    """Return why a network does not count as accurate; None where it does.

    Args:
        to_best: its accuracy less that of the most accurate network; None where that is not known.
        over_pixels: its accuracy less that of a linear probe on raw pixels; None where that was not measured, and then
            not asked for.
        margin: accuracy below the best network's up to which a network counts as accurate.
    """
    if to_best is not None and to_best.lower() < -margin:
        return Reason.LESS_ACCURATE
    if over_pixels is not None and over_pixels.lower() <= 0:
        return Reason.PIXELS_AS_ACCURATE
    return None


def judge_scope(reasons: Mapping[str, Reason | None], pairs: Iterable[outcomes.NetworkPair]) -> outcomes.AccuracyResult:
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
    return outcomes.AccuracyResult(
        in_scope=inside,
        out_of_scope={name: reason for name, reason in reasons.items() if reason is not None},
        counter_examples=tuple(sorted(counter_examples, key=lambda pair: pair.g.value)),
        detectable=max(
            (detectable(pair.g.standard_error, pair.g.df, student.ppf(level, pair.g.df)) for pair in comparable),
            default=None,
        ),
        level=level,
    )


def judge_accuracy(results: Mapping[Scope, outcomes.AccuracyResult]) -> outcomes.AccuracyFinding:
    """Rule on the claim from what is known in each scope, the wider one first."""
    shown = [scope for scope, result in results.items() if result.counter_examples]
    if shown:
        return outcomes.AccuracyFinding(Status.SHOWN if shown[0] == "classes" else Status.SHOWN_HERE, results)
    judged = any(len(result.in_scope) > 1 for result in results.values())
    return outcomes.AccuracyFinding(Status.NO_COUNTER_EXAMPLE if judged else Status.UNKNOWN, results)


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


def follow_training(row: SummaryRow, steps: pd.DataFrame) -> tuple[float, float] | None:
    """Return the first and the last g of a network over training; None of one that was measured at a single step."""
    own = steps[np.logical_and.reduce([steps[key] == getattr(row, key) for key in CURVE])].sort_values("step")
    g = own["unseen"].dropna()
    return (float(g.iloc[0]), float(g.iloc[-1])) if len(own) > 1 and len(g) else None


def infer_power(networks: Sequence[MeasuredNetwork]) -> list[Power]:
    """Infer what a study of this design shows of other classes, network by network.

    Returns:
        Nothing of a network of which it is not known, nor by a score of no proven level.
    """
    found = []
    for network in networks:
        row, refits = network.row, network.at(network.row.step)
        if refits is not None and is_proven(row.metric, "classes"):
            classes = int(unseen_rows(network.data.layers, row.metric, row.step)["n_classes"].max())
            found.append(power_of(refits, (row.dataset, row.model), classes))
    return [power for power in found if power]
