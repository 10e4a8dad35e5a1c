"""How alike the layers of one network represent the same images: linear CKA of every pair of layers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.aggregate.charts.frame import EDGE, GAP, WIDTH, Words, figure, heading, panel
from stages.aggregate.charts.theme import Spec, layer
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import short_names
from stages.shared.embeddings.split_names import SEEN, UNSEEN

TITLES = {SEEN: "images of seen classes", UNSEEN: "images of unseen classes"}
MAX_NUMBERS = 12
"""Layers up to which every cell shows its number."""
NAMES = 64
"""Points of the names beside a matrix."""

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def layer_pair_layers(names: str, *, legend: bool = True) -> list[Spec]:
    """Draw the similarity of every two layers; the input is at the top and at the left.

    Data sets: cells (a, b, value, tip), of which numbers are written.

    Args:
        names: an expression: the names of the layers, at whose places a and b are.
    """
    axis: Spec = {"labelExpr": f"{names}[datum.value]", "labelLimit": NAMES, "labelOverlap": True, "ticks": False}
    axis |= {"domain": False, "grid": False}
    place: Spec = {"type": "ordinal", "title": None}
    x, y = place | {"field": "a", "axis": axis | {"labelAngle": -90}}, place | {"field": "b", "axis": axis}
    color: Spec = {"field": "value", "type": "quantitative", "scale": {"scheme": "cividis", "domain": [0, 1]}}
    color["scale"]["clamp"] = True
    color["legend"] = {"title": "linear CKA", "gradientLength": 140} if legend else None
    dark = {"condition": {"test": "datum.value < 0.5", "value": "white"}, "value": "#222222"}
    text = {"field": "value", "type": "quantitative", "format": ".2f"}
    return [
        layer("cells", {"type": "rect"}, {"x": x, "y": y, "color": color, "tooltip": {"field": "tip"}}),
        layer("numbers", {"type": "text", "fontSize": 6}, {"x": x, "y": y, "text": text, "color": dark}),
    ]


def layer_pairs(results: Results) -> dict[str, Spec]:
    """Draw the matrices of every network, by the name of the figure."""
    specs, means = {}, words.averages(results.scores).words
    for (dataset, model), own in results.tables["layer_pairs.csv"].groupby(["dataset", "model"], sort=False):
        own = own[results.scores.on_main_curve(own, "_a") & results.scores.on_main_curve(own, "_b")]
        if len(own):
            split = UNSEEN if (own["split"] == UNSEEN).any() else SEEN
            of_layers = own[(own["split"] == split) & (own["depth_a"] >= 0) & (own["depth_b"] >= 0)]
            depths = sorted({int(depth) for end in "ab" for depth in of_layers[f"depth_{end}"]})
            title = words.pairs_title(
                depths, list(np.diag(matrix(of_layers)[1], 1)), "unseen" if split == UNSEEN else "seen"
            )
            caption = (
                f"{model} on {dataset}, step {own.iloc[0]['step']}; {means}. Linear CKA, debiased: 1 "
                "where two layers represent the same images alike up to rotation and scale. No intervals."
            )
            specs[f"layer_pairs-{dataset}-{model}"] = layer_pairs_figure(own, Words(title, caption))
    return specs


def layer_pairs_figure(rows: pd.DataFrame, text: Words) -> Spec:
    """Draw a matrix per split.

    Args:
        rows: rows of layer_pairs.csv of one dataset and model, at one step and of one embedding per depth; the mean
            over its folds and seeds is shown.
        text: what the figure says.
    """
    splits = [split for split in TITLES if (rows["split"] == split).any()]
    panels = []
    size = (WIDTH - 2 * EDGE - GAP - 62) / 2 - NAMES
    for i, split in enumerate(splits):
        layers, values = matrix(rows[rows["split"] == split])
        cells = [{"a": a, "b": b, "value": v} for (b, a), v in np.ndenumerate(values) if not np.isnan(v)]
        sets = {"cells": cells, "numbers": cells if len(layers) <= MAX_NUMBERS else []}
        panels.append(
            panel(
                layer_pair_layers(str(_names(layers)), legend=i == len(splits) - 1),
                sets,
                (size, size),
                heading(i, len(splits), TITLES[split]),
            )
        )
    return figure(panels, text, columns=2, axis=NAMES)


def matrix(rows: pd.DataFrame) -> tuple[list[str], Matrix]:
    """Fill the symmetric matrix of one split's pairs, mean over folds and seeds; NaN for a pair that is missing.

    Returns:
        The layers by depth; (L, L) float64.
    """
    ends = [rows[[f"depth_{end}", f"layer_{end}"]].set_axis(["depth", "layer"], axis=1) for end in "ab"]
    layers = list(pd.concat(ends).drop_duplicates().sort_values("depth")["layer"])
    place = {layer: i for i, layer in enumerate(layers)}
    values = np.full((len(layers), len(layers)), np.nan)
    means = rows.groupby(["layer_a", "layer_b"], as_index=False)["cka"].mean()
    for a, b, cka in zip(means["layer_a"], means["layer_b"], means["cka"], strict=True):
        values[place[a], place[b]] = values[place[b], place[a]] = cka
    return layers, values


def _names(layers: Sequence[str]) -> list[str]:
    """Number and name the layers."""
    own = [name for name in layers if name != "pixels"]
    numbered = [f"{number} {name}" for number, name in enumerate(short_names(own), 1)] if own else []
    return [*(["raw pixels"] if len(own) < len(layers) else []), *numbered]
