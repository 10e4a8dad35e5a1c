"""How often statements hold over the data sets of one design, and how wide intervals are against the ideal."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stages.aggregate.findings.status import Status, lead_status
from stages.aggregate.inference.contrasts import Estimate, Inference
from stages.aggregate.inference.layer_comparison import (
    best_against,
    best_of_two,
    cross_fitted_lead,
    cross_fitted_lead_on_halves,
    layer_estimates,
    ties,
)
from stages.aggregate.inference.other_classes import FoldScores, class_inference, fold_inference
from stages.aggregate.inference.other_images import HalfScores, image_inference
from stages.measure.metrics import SCORES

Row = dict[str, float]


def rows_of(arrays: dict[str, Any], metric: str, *, folds: int | None = None) -> Row:
    """Coverage of every statement about one score of one design.

    Args:
        arrays: `values` (R, J, S, L), and `without` or `halves`.
        metric: the score.
        folds: of every data set, the first ones are used; None: all.
    """
    values = arrays["values"][:, :folds]
    truth = arrays["values"].mean(axis=(0, 1, 2))
    better = SCORES[metric].better
    build = _builder(arrays, folds)
    row = _layers(build, values, truth)
    if len(truth) > 1:
        row |= _lead(build, values, truth, better, arrays)
    if values.shape[1] > 1:
        row |= _one_choice(build, arrays["values"], values.shape[1])
        row |= _folds_alone(values, truth)
    return row


def two_networks(arrays: dict[str, Any], metric: str, first_layers: int) -> Row:
    """The difference of two networks' g: coverage, and how often it is said to differ."""
    sign = 1.0 if SCORES[metric].better == "higher" else -1.0
    values = arrays["values"]
    means = sign * values.mean(axis=(0, 1, 2))
    truth = means[:first_layers].max() - means[first_layers:].max()
    kind, combine = (FoldScores, class_inference) if "without" in arrays else (HalfScores, image_inference)
    networks = [
        [kind(*each) for each in zip(*(part[..., own] for part in arrays.values()), strict=True)]
        for own in (slice(first_layers), slice(first_layers, None))
    ]
    pairs = [combine(first, second) for first, second in zip(*networks, strict=True)]
    found = [best_of_two(pair, first_layers, better=SCORES[metric].better) for pair in pairs if pair]
    bounds = np.array([each.interval() for each in found if each])
    return {
        "data sets": len(values),
        "true difference of g": truth,
        "mean estimate": float(np.mean([each.value for each in found if each])),
        "interval holds it": _share((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])),
        "width": float(np.diff(bounds).mean()),
        "says they differ": _share((bounds[:, 0] > 0) | (bounds[:, 1] < 0)),
        "one-sided 5 % says the first is better": _share([each.lower() > 0 for each in found if each]),
        "one-sided 5 % says the second is better": _share([each.upper() < 0 for each in found if each]),
    }


def _builder(arrays: dict[str, Any], folds: int | None) -> Callable[[int], Inference | None]:
    values = arrays["values"]
    if "without" in arrays:
        without = arrays["without"]
        return lambda r: class_inference(FoldScores(values[r, :folds], without[r, :folds]))
    return lambda r: image_inference(HalfScores(values[r], arrays["halves"][r]))


def _layers(build: Callable[[int], Inference | None], values: Any, truth: Any) -> Row:
    """Intervals of single layers."""
    means = values.mean(axis=(1, 2))  # (R, L)
    found = [layer_estimates(inference) if (inference := build(r)) else None for r in range(len(values))]
    known = [(estimates, mean) for estimates, mean in zip(found, means, strict=True) if estimates]
    bounds = np.array([[each.interval() for each in estimates] for estimates, _ in known])  # (R, L, 2)
    holds = (bounds[..., 0] <= truth) & (truth <= bounds[..., 1])
    errors = np.array([[each.standard_error for each in estimates] for estimates, _ in known])
    sd = means.std(axis=0, ddof=1)
    ideal = 2 * 1.96 * sd
    return {
        "data sets": len(known),
        "best layer": float(truth.max()),
        "coverage": float(holds.mean()),
        "worst layer": float(holds.mean(axis=0).min()),
        "error / true": float(np.median(np.sqrt((errors**2).mean(axis=0)) / np.where(sd > 0, sd, np.nan))),
        "width / ideal": float(np.median(np.diff(bounds)[..., 0].mean(axis=0) / np.where(ideal > 0, ideal, np.nan))),
    }


def _lead(
    build: Callable[[int], Inference | None], values: Any, truth: Any, better: Any, arrays: dict[str, Any]
) -> Row:
    """Best against last, and the layers that tie."""
    sign = -1.0 if better == "lower" else 1.0
    gains = sign * truth
    lead, best = gains[:-1].max() - gains[-1], int(gains.argmax())
    inferences = [inference for r in range(len(values)) if (inference := build(r))]
    found = [each for inference in inferences if (each := best_against(inference, better=better))]
    tied = np.array([ties(inference, better=better) for inference in inferences])
    fitted = np.mean([cross_fitted(values[r], arrays, r, better) for r in range(len(values))])
    return {
        "true lead": float(lead),
        "cross-fitted": float(fitted),
        "low holds": _share([each.low <= lead for each in found]),
        "high holds": _share([each.high >= lead for each in found]),
        "supported": _share([lead_status(each) == Status.SUPPORTED for each in found]),
        "contradicted": _share([lead_status(each) == Status.CONTRADICTED for each in found]),
        "mean low": float(np.mean([each.low for each in found])),
        "ties hold best": _share(tied[:, best]),
        "ties": float(tied.sum(axis=1).mean()),
        "ties hold last": _share(tied[:, -1]),
    }


def cross_fitted(values: Any, arrays: dict[str, Any], r: int, better: Any) -> float:
    """Point estimate of the lead of one data set, from its folds or from the halves of its one fold."""
    if len(values) > 1:
        return cross_fitted_lead(values.mean(axis=1), better=better)[0]
    return cross_fitted_lead_on_halves(arrays["halves"][r, 0].mean(axis=0), better=better)[0]


def _one_choice(build: Callable[[int], Inference | None], values: Any, folds: int) -> Row:
    """Predictions of one other choice of classes, held against the first fold of the next data set."""
    holds = []
    for r in range(len(values)):
        inference, other = build(r), values[(r + 1) % len(values), 0].mean(axis=0)
        for estimate, value in zip((layer_estimates(inference) or []) if inference else [], other, strict=False):
            one = Estimate(estimate.value, estimate.standard_error * np.sqrt(folds + 1), estimate.df)
            low, high = one.interval()
            holds.append(low <= value <= high)
    return {"one choice": _share(holds)}


def _folds_alone(values: Any, truth: Any) -> Row:
    """Student's t over folds, for scores without refits."""
    found = [layer_estimates(inference) for each in values if (inference := fold_inference(each))]
    bounds = np.array([[each.interval() for each in estimates] for estimates in found if estimates])
    ideal = 2 * 1.96 * values.mean(axis=(1, 2)).std(axis=0, ddof=1)
    widths = np.nanmean(np.diff(bounds)[..., 0], axis=0)  # NaN of a layer whose two folds scored the same
    return {
        "t over folds": float(((bounds[..., 0] <= truth) & (truth <= bounds[..., 1])).mean()),
        "its width / ideal": float(np.median(widths / np.where(ideal > 0, ideal, np.nan))),
    }


def _share(flags: Sequence[Any] | Any) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")
