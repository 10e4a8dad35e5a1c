"""How alike the layers of one network represent the same images: linear CKA of every pair of layers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.aggregate.charts.frame import EDGE, GAP, WIDTH, Words, figure, heading, panel
from stages.aggregate.charts.theme import Spec, layer
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import numbered
from stages.shared.embeddings.split_names import SEEN, UNSEEN

TITLES = {SEEN: "seen classes", UNSEEN: "unseen classes"}
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
        matrices = {str(split): matrix(rows) for split, rows in own.groupby("split") if split in TITLES}
        if matrices:
            split = UNSEEN if UNSEEN in matrices else SEEN
            layers, values = matrices[split]
            neighbours = list(np.diag(values, 1))[layers[0] == "pixels" :]
            caption = (
                f"{model} on {dataset}, step {own.iloc[0]['step']}; {means}. Linear CKA, debiased: 1 "
                "where two layers represent the same images alike up to rotation and scale. No intervals."
            )
            text = Words(words.pairs_title(neighbours, TITLES[split]), caption)
            specs[f"layer_pairs-{dataset}-{model}"] = layer_pairs_figure(matrices, text)
    return specs


def layer_pairs_figure(matrices: Mapping[str, tuple[list[str], Matrix]], text: Words) -> Spec:
    """Draw the matrix of each split, under what the figure says."""
    panels, size = [], (WIDTH - 2 * EDGE - GAP - 62) / 2 - NAMES
    for i, (split, (layers, values)) in enumerate(matrices.items()):
        own = [name for name in layers if name != "pixels"]
        names = ["raw pixels"] * (len(own) < len(layers)) + numbered(own)
        cells = [{"a": a, "b": b, "value": v} for (b, a), v in np.ndenumerate(values) if not np.isnan(v)]
        sets = {"cells": cells, "numbers": cells if len(layers) <= MAX_NUMBERS else []}
        drawn = layer_pair_layers(str(names), legend=i == len(matrices) - 1)
        panels.append(panel(drawn, sets, (size, size), heading(i, len(matrices), f"images of {TITLES[split]}")))
    return figure(panels, text, columns=2, axis=NAMES)


def matrix(rows: pd.DataFrame) -> tuple[list[str], Matrix]:
    """Fill the symmetric matrix of one split's pairs, mean over folds and seeds; NaN for a pair that is missing.

    Returns:
        The layers by depth; (L, L) float64.
    """
    ends = [rows[[f"depth_{end}", f"layer_{end}"]].set_axis(["depth", "layer"], axis=1) for end in "ab"]
    layers = list(pd.concat(ends).drop_duplicates().sort_values("depth")["layer"])
    means = rows.pivot_table(index="layer_a", columns="layer_b", values="cka").reindex(index=layers, columns=layers)
    return layers, means.fillna(means.T).to_numpy(dtype=np.float64)
