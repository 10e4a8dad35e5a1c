"""How often statements hold over the data sets of one design, and how wide intervals are against the ideal."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from stages.aggregate.findings.outcomes import Status, lead_status
from stages.core.inference.best import best_candidate
from stages.core.inference.contrasts import Inference
from stages.core.inference.gain import Payoff, gain_over
from stages.core.inference.layer_comparison import (
    best_against,
    best_of_two,
    losses_at_most,
    score_intervals,
)
from stages.core.inference.refitted import Groups, Refits, find_groups
from stages.core.inference.scopes import Scope, fold_inference, infer
from stages.core.scores.description import BOTH, Score, sign_of
from tests.bench.simulation.data_set import draw
from tests.bench.simulation.designs import Design

Row = dict[str, float]

NORMAL = 1.96
"""Of the ideal interval: the true standard deviation of an estimate is known, and its error normal."""

WORTHWHILE = 0.02
"""Gain up to which choosing does not pay."""

ROUNDING = 1e-9

COMPARED = ("nmi", "map_at_r", "probe_accuracy")
"""Scores that lead a use, whose layers are compared in full: gains and losses take most of the time."""


def truth_of(values: Any, alike: Sequence[int] | None) -> Any:
    """Mean of every layer over all data sets, (L,), and over the layers that are alike by construction.

    Args:
        values: (R, J, S, L).
        alike: a label for each layer.
    """
    means = values.mean(axis=(0, 1, 2))
    if alike is None:
        return means
    return np.array([means[np.array(alike) == label].mean() for label in alike])


def one_network(arrays: dict[str, Any], design: Design, score: Score, *, compare: bool) -> Row:
    """Coverage of every statement about one score of one design.

    Args:
        arrays: `values` (R, J, S, L), and `without` or `halves`.
        design: what was drawn.
        score: the facts of the score.
        compare: whether gains and losses are asked for.
    """
    sign, values = sign_of(score.better), arrays["values"]
    truth = truth_of(values, design.alike)
    judged: list[dict[str, Any]] = []
    for r in range(len(values)):
        (refits,) = refits_from(arrays, r, design, score, [slice(None)])
        inference = infer(refits).get(scope_of(design))
        if inference is not None:
            judged.append(layers_of(inference, truth, score))
            if len(truth) > 1:
                judged[-1] |= leads_of(inference, sign * truth)
                judged[-1] |= {"losses": losses_hold(inference, sign * truth)} if compare else {}
                judged[-1] |= gain_of([refits], sign * truth[None]) if compare else {}
    ideal = 2 * NORMAL * values.mean(axis=(1, 2)).std(axis=0, ddof=1)
    row: Row = {"data sets": len(values), "given": len(judged) / len(values)}
    row["best layer"] = float(sign * max(sign * truth))
    if len(truth) > 1:
        row["true lead"] = float(_lead(sign * truth))
    if design.folds > 1:
        row |= _folds_alone(values, truth)
    if judged:
        columns = {name: np.array([each[name] for each in judged], float) for name in judged[0]}  # (R,) or (R, L)
        row |= {name: _mean(column) for name, column in columns.items() if name != "width"}
        row["coverage, worst layer"] = min(_mean(layer) for layer in columns["coverage"].T)
        row["width / ideal"] = _ratio(np.array([_mean(layer) for layer in columns["width"].T]), ideal)
    return row


def refits_from(
    arrays: dict[str, Any], r: int, design: Design, score: Score, networks: Sequence[slice]
) -> list[Refits]:
    """Take the refits of these networks, each some of the layers, from data set `r`."""
    refits = []
    for layers in networks:
        parts = {name: sign_of(score.better) * part[r][..., layers] for name, part in arrays.items()}
        refits.append(refits_of(parts, score, groups_of(design), frozen=design.target == "frozen"))
    return refits


def scope_of(design: Design) -> Scope:
    """The scope that a design is about."""
    return "images" if design.target == "images" else "classes"


def refits_of(gains: dict[str, Any], score: Score, groups: tuple[Groups, ...] | None = None, *, frozen: bool) -> Refits:
    """One network's refits, from `values`, and `without` or `halves` where there are any, all turned."""
    keys = tuple((f"layer{layer}", "mean") for layer in range(gains["values"].shape[2]))
    none = gains["values"][:, :, None][:, :, :0]
    return Refits(keys, gains["values"], gains.get("without", none), gains.get("halves", none), score, groups, frozen)


@cache
def groups_of(design: Design) -> tuple[Groups, ...] | None:
    """The groups of the images of each fold, which are as many in every data set; None where there are none."""
    fold = draw(design, np.random.default_rng(0))
    found = None if fold.groups is None else find_groups(fold.y.astype(str), fold.groups.astype(str))
    return None if found is None else (found,) * design.folds


def layers_of(inference: Inference, truth: Any, score: Score) -> dict[str, Any]:
    """Whether the intervals of the layers' scores hold, and that of the layer that was chosen."""
    (low, high), best = score_intervals(inference, score)
    holds, chosen = _hold(low, high, truth), inference.mean.argmax()
    return {
        "coverage": holds,
        "width": high - low,
        "chosen": _hold(best.low, best.high, truth[chosen]),
        "chosen, alone": holds[chosen],
        "chosen, bias": best.value - truth[chosen],
    }


def leads_of(inference: Inference, gains: Any) -> dict[str, Any]:
    """Whether the bounds of the best layer against the last hold, and what they say."""
    lead, true = best_against(inference), _lead(gains)
    if lead is None:
        return dict.fromkeys(("estimate", "at least", "at most", "supported", "false supported"), np.nan)
    supported = lead_status(lead) == Status.SUPPORTED
    return {
        "estimate": lead.value,
        "at least": lead.low <= true,
        "at most": lead.high >= true,
        "supported": supported,
        "false supported": supported if true <= 0 else np.nan,
    }


def gain_of(checkpoints: Sequence[Refits], truth: Any, by: Sequence[Refits] | None = None) -> dict[str, Any]:
    """What is said of the gain over the last layer of the last checkpoint, and whether it holds; `truth` is (T, L).

    Where the last layer itself is named there is nothing to hold; a wrong statement is counted over all studies. `by`
    is of the score that names the layer.
    """
    gains, naming = (
        np.stack([refits.values.mean(axis=1) for refits in each], axis=1) for each in (checkpoints, by or checkpoints)
    )
    named_by = (naming, by) if by else None
    found = gain_over((-1, -1), gains, checkpoints, proven=BOTH, worthwhile=WORTHWHILE, by=named_by)
    over_last, named = truth - truth[-1, -1], best_candidate(naming.mean(axis=0))
    assert named is not None
    gain, largest = over_last[named], np.delete(over_last.ravel(), -1).max()
    known = found.low is not None and found.high is not None and found.estimate is not None
    pays, does_not = (found.status == status for status in (Payoff.PAYS, Payoff.DOES_NOT_PAY))
    return {
        "gain": (found.low <= gain + ROUNDING and gain - ROUNDING <= found.high) if known else 1.0,
        "gain at most": np.nan if found.at_most is None else found.at_most >= largest - ROUNDING,
        "gain named": known,
        "gain error": found.estimate - gain if known else np.nan,
        "gain width": found.high - found.low if known else np.nan,
        "cross-validated error": np.nan if found.crossvalidated is None else found.crossvalidated - gain,
        "detectable": np.nan if found.detectable is None else found.detectable,
        "pays": pays,
        "falsely pays": pays and gain <= ROUNDING,
        "does not pay": does_not,
        "falsely does not": does_not and largest > WORTHWHILE + ROUNDING,
    }


def losses_hold(inference: Inference, gains: Any) -> bool:
    """Whether all layers lose at most what is said; `gains` are true scores, higher being better."""
    return bool((losses_at_most(inference) >= gains.max() - gains - 1e-12).all())


def two_networks(arrays: dict[str, Any], design: Design, score: Score) -> Row:
    """The difference of two networks' g: coverage, and how often it is said to differ."""
    first, values = design.first_network, arrays["values"]
    gains = sign_of(score.better) * truth_of(values, design.alike)
    truth = gains[:first].max() - gains[first:].max()
    parts = [slice(first), slice(first, None)]
    refits = [refits_from(arrays, r, design, score, parts) for r in range(len(values))]
    inferences = [infer(*each).get(scope_of(design)) for each in refits]
    differences = [inference and best_of_two(inference, first) for inference in inferences]
    known = [each for each in differences if each is not None]
    bounds = np.array([each.interval() for each in known]).reshape(-1, 2)
    row = {
        "data sets": len(values),
        "given": len(known) / len(values),
        "true difference": float(truth),
        "estimate": _mean([each.value for each in known]),
        "coverage": _mean((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])),
        "first better": _mean(bounds[:, 0] > 0),
        "second better": _mean(bounds[:, 1] < 0),
        "width / ideal": _mean(bounds[:, 1] - bounds[:, 0]) / (2 * NORMAL * _sd([each.value for each in known])),
    }
    wrong = {"first better": truth <= 1e-12, "second better": truth >= -1e-12}
    return row | {"false better": max(row[name] for name, is_wrong in wrong.items() if is_wrong)}


def _lead(gains: Any) -> Any:
    return gains[:-1].max() - gains[-1]


def _folds_alone(values: Any, truth: Any) -> Row:
    """Student's t over folds, for scores without refits."""
    found = [inference.contrasts(np.eye(len(truth))) for each in values if (inference := fold_inference(each))]
    return {"t over folds": _mean([_hold(*contrasts.intervals().T, truth) for contrasts in found if contrasts])}


def _hold(low: Any, high: Any, truth: Any) -> Any:
    """Which intervals hold the truth, as 0 and 1; NaN where there is none."""
    return np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high))


def _mean(flags: Any) -> float:
    """Mean of what is known; NaN of nothing."""
    known = np.asarray(flags, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else np.nan


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def _ratio(width: Any, ideal: Any) -> float:
    varying = ideal > 0
    return float(np.median(width[varying] / ideal[varying])) if varying.any() else np.nan
