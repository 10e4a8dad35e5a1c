"""How sure every score at its last step is: intervals of every layer, which layers tie with the best, and the lead."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.aggregate.columns import frame
from stages.aggregate.curves import MEAN, POINT, Key, Name, Scores, each_curve, point_keys, sign_of
from stages.aggregate.inference.contrasts import Float64, Inference
from stages.aggregate.inference.layer_comparison import UNKNOWN, Bounds, best_against, is_above, score_intervals, ties
from stages.aggregate.inference.network_data import NetworkData, Refits, unseen_rows
from stages.aggregate.inference.power import Power, power_of
from stages.aggregate.inference.scopes import accuracy_intervals, over_classes, over_images
from stages.aggregate.scope import INTERVAL_ENDS, LEAD_ENDS, TIED, UNCERTAINTY, Scope, is_proven
from stages.shared.embeddings.split_names import UNSEEN

Statement = TypeVar("Statement")


@dataclass(frozen=True)
class LayerInference:
    """How sure the scores of L layers are in one scope.

    Attributes:
        low, high: (L,) ends of the layers' intervals, each to be read alone, within the score's limits; NaN of a layer
            that never varied.
        best: score of the layer that looks best, whose interval knows that it was chosen, within the limits as well;
            NaN where not known, as of a single layer, or of a score of which neither end is better.
        tied: (L,) whether each is not distinguishable from the best; None as well.
        lead: of the best earlier layer over the last; NaN as well.
    """

    low: Float64
    high: Float64
    best: Bounds
    tied: NDArray[np.bool_] | None
    lead: Bounds


def infer(*networks: Refits | None) -> dict[Scope, Inference]:
    """Infer about networks of the same folds in every scope that is known, the wider one first."""
    refits = [network for network in networks if network is not None]
    if not refits or len(refits) < len(networks):
        return {}
    known: dict[Scope, Inference | None] = {"classes": over_classes(*refits), "images": over_images(*refits)}
    return {scope: inference for scope, inference in known.items() if inference is not None}


def state_widest(
    statement: Callable[[Inference], Statement | None], *networks: Refits | None
) -> tuple[Scope, Statement] | None:
    """Make a statement about networks of the same folds in the wider scope in which it can be made."""
    stated = ((scope, statement(inference)) for scope, inference in infer(*networks).items())
    return next(((scope, made) for scope, made in stated if made is not None), None)


def beats_baselines(
    network: NetworkData,
    metric: str,
    steps: Sequence[int],
    keys: Sequence[Key],
    *,
    chance: float | None,
    pixels: float | None,
) -> bool | None:
    """Return whether some layer is shown to be better than chance, and than raw pixels; None where no bound is known.

    It is where neither was asked for.

    Args:
        network: its measured data.
        metric: the score.
        steps: the checkpoints, of which the best layer was chosen.
        keys: the layers.
        chance: score of an embedding that is unrelated to the classes; None: not asked for.
        pixels: score of the raw pixels; None: not asked for.
    """
    if chance is None and pixels is None:
        return True
    further = [network.pixels] if pixels is not None and network.pixels else []
    refits = [network.at(metric, step, keys) for step in steps]
    refits += [network.at(metric, steps[0], [key]) for key in further]
    gain = None if chance is None else sign_of(network.catalogue[metric].better) * chance
    index = len(keys) * len(steps) if further else None
    shown = state_widest(lambda inference: is_above(inference, chance=gain, pixels=index), *refits)
    return shown and shown[1]


def infer_layers(refits: Refits) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of layers at one step are, in every scope that is known, the wider one first.

    Args:
        refits: of the layers, by depth.
    """
    layers, directed = {}, refits.score.better != "neither"
    for scope, inference in infer(refits).items():
        (low, high), best = score_intervals(inference, refits.score)
        lead, tied = (best_against(inference), ties(inference)) if directed and len(low) > 1 else (None, None)
        layers[scope] = LayerInference(low, high, best if directed else UNKNOWN, tied, lead or UNKNOWN)
    return layers


def add_uncertainty(scores: Scores, networks: dict[Name, NetworkData]) -> Scores:
    """Put beside every score how sure it is (`UNCERTAINTY`); empty where that is not known."""
    with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
        intervals = infer_curves(scores, networks)
    points = scores.curves.merge(intervals, how="left", validate="many_to_one")
    of_accuracy = accuracy_intervals(scores, networks)
    return replace(scores, curves=points.merge(of_accuracy, how="left", validate="many_to_one"))


def infer_curves(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer how sure the unseen points of every curve at its last step are.

    Returns:
        Columns of `POINT` and `UNCERTAINTY`; no row where nothing can be said.
    """
    tables = []
    for (dataset, model, fold, _, metric), points in each_curve(scores.at_last(UNSEEN)):
        refits = networks[dataset, model].at(metric, int(points["step"].iloc[0]), point_keys(points))
        if refits is not None:
            known = infer_layers(refits if fold == MEAN else refits.of_fold(scores.folds.index(fold)))
            tables.append(points[list(POINT)].assign(**_columns(metric, known)))
    return frame(tables, POINT | UNCERTAINTY, optional=UNCERTAINTY)


def infer_power(scores: Scores, networks: dict[Name, NetworkData], metric: str) -> list[Power]:
    """Infer what a study of this design shows of other classes by one score, network by network.

    Returns:
        Nothing of a network of which it is not known, nor by a score of no proven level.
    """
    found = []
    for name, network in networks.items() if is_proven(metric, "classes") else ():
        points = scores.main_points(*name, metric)
        step = int(points["step"].iloc[-1])
        refits = network.at(metric, step, point_keys(points[points["step"] == step]))
        if refits is not None:
            classes = int(unseen_rows(network.layers, metric, step)["n_classes"].max())
            with threadpool_limits(1):
                power = power_of(refits, name, classes)
            found += [power] if power else []
    return found


def lead_of(metric: str, known: Mapping[Scope, LayerInference]) -> float | None:
    """Estimate of the lead in the widest scope of a proven level, whose bounds stand beside it, else in the widest."""
    scopes = sorted(known, key=lambda scope: not is_proven(metric, scope))
    leads = (known[scope].lead.value for scope in scopes)
    return next((lead for lead in leads if np.isfinite(lead)), None)


def _columns(metric: str, known: Mapping[Scope, LayerInference]) -> dict[str, Any]:
    columns: dict[str, Any] = {"lead": lead_of(metric, known)}
    for scope, layers in known.items():
        bounds = layers.low, layers.high, layers.lead.low, layers.lead.high
        columns |= zip((*INTERVAL_ENDS[scope], *LEAD_ENDS[scope]), bounds, strict=True)
        columns[TIED[scope]] = layers.tied
    return columns
