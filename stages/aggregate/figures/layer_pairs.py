"""How alike the layers of one network represent the same images: linear CKA of every pair of layers."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import framed, head
from stages.aggregate.figures.messages import pairs_message
from stages.aggregate.words.formatting import short_names
from stages.shared.embeddings.split_names import SEEN, UNSEEN

TITLES = {SEEN: "images of seen classes", UNSEEN: "images of unseen classes"}

MOST_NUMBERS = 12
"""Layers up to which every cell shows its number."""

NUMBER = 6.0
"""Points: the numbers in cells."""

MOST_NAMES = 32
"""Layer names beside a matrix; deeper networks show every second, third, ... name."""

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def layer_pairs_figure(rows: pd.DataFrame, averages: style.Averages) -> Figure:
    """Draw a matrix of all pairs of layers, from input to output, per split.

    Args:
        rows: rows of layer_pairs.csv of one dataset and model, at one step and of one embedding per depth; the mean
            over its folds and seeds is shown.
        averages: how many these are.
    """
    splits = [split for split in TITLES if (rows["split"] == split).any()]
    name = rows.iloc[0]
    figure = framed(
        _message(rows[rows["split"] == splits[-1]], "seen" if splits[-1] == SEEN else "unseen"),
        f"{name['model']} on {name['dataset']}, step {name['step']}; {averages.words()}. Linear CKA, debiased: 1 where "
        "two layers represent the same images alike up to rotation and scale. No intervals.",
        3.15,
        width=style.WIDTH if len(splits) == 2 else 4.6,
    )
    grid = figure.subplots(1, len(splits), squeeze=False)[0]
    low = min(0.0, float(rows["cka"].min()))
    for i, (ax, split) in enumerate(zip(grid, splits, strict=True)):
        image = _matrix(ax, rows[rows["split"] == split], low, named=i == 0)
        head(ax, i, len(splits), TITLES[split], style.BLACK)
    figure.colorbar(image, ax=list(grid), shrink=0.7, pad=0.02, label="linear CKA")
    return figure


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


def _message(rows: pd.DataFrame, classes: str) -> str:
    own = rows[(rows["depth_a"] >= 0) & (rows["depth_b"] >= 0)]
    depths = sorted({int(depth) for end in "ab" for depth in own[f"depth_{end}"]})
    return pairs_message(depths, list(np.diag(matrix(own)[1], 1)), classes)


def _matrix(ax: Axes, rows: pd.DataFrame, low: float, *, named: bool) -> AxesImage:
    layers, values = matrix(rows)
    ax.grid(visible=False)
    image = ax.imshow(values, vmin=low, vmax=1.0, cmap="cividis", origin="lower", interpolation="nearest")
    stride = math.ceil(len(layers) / MOST_NAMES)
    numbers, names = _names(layers)
    ax.set_xticks(range(0, len(layers), stride), numbers[::stride])
    ax.set_yticks(range(0, len(layers), stride), names[::stride] if named else numbers[::stride])
    ax.set_xlabel("layer")
    ax.set_ylabel("layer" if named else "")
    if len(layers) <= MOST_NUMBERS:
        for (i, j), value in np.ndenumerate(values):
            color = "white" if value < (low + 1) / 2 else style.BLACK
            words = "" if np.isnan(value) else f"{value:.2f}"
            ax.text(j, i, words, ha="center", va="center", fontsize=NUMBER, color=color)
    return image


def _names(layers: list[str]) -> tuple[list[str], list[str]]:
    """Number the layers, the raw pixels as `px`; and the same with their names, shortened."""
    own = [layer for layer in layers if layer != "pixels"]
    short = dict(zip(own, short_names(own), strict=True)) if own else {}
    numbers = {layer: str(i + 1) for i, layer in enumerate(own)}
    named = [f"{short[layer]}  {numbers[layer]}" if layer in short else "raw pixels  px" for layer in layers]
    return [numbers.get(layer, "px") for layer in layers], named
