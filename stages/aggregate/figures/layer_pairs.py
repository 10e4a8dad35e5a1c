"""How alike the layers of one network represent the same images: linear CKA of every pair of layers."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stages.aggregate.figures import style
from stages.aggregate.formatting import short_names
from stages.shared.split_names import SEEN, UNSEEN

TITLES = {SEEN: "images of seen classes", UNSEEN: "images of unseen classes"}

MOST_NUMBERS = 12
"""Layers up to which every cell shows its number."""

MOST_NAMES = 40
"""Layer names beside a matrix; deeper networks show every second, third, ... name."""


def layer_pairs_figure(rows: pd.DataFrame, averages: style.Averages) -> Figure:
    """Draw a matrix of all pairs of layers, from input to output, per split.

    Args:
        rows: rows of layer_pairs.csv of one dataset and model, at one step and of one embedding per depth; the mean
            over its folds and seeds is shown.
        averages: how many these are.
    """
    splits = [split for split in TITLES if (rows["split"] == split).any()]
    figure = Figure(figsize=(style.WIDTH if len(splits) == 2 else 4.4, 3.75))
    grid = figure.subplots(1, len(splits), squeeze=False)[0]
    low = min(0.0, float(rows["cka"].min()))
    for ax, split in zip(grid, splits, strict=True):
        image = _matrix(ax, rows[rows["split"] == split], low, named=split == splits[0])
        ax.set_title(TITLES[split])
    figure.colorbar(image, ax=list(grid), shrink=0.6, pad=0.02, label="linear CKA, debiased")
    name = rows.iloc[0]
    where = f"{name['dataset']} · {name['model']} · step {name['step']}"
    style.caption(figure, f"{where} · similarity of layers · {averages.words()}")
    return figure


def matrix(rows: pd.DataFrame) -> tuple[list[str], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
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


def _matrix(ax: Axes, rows: pd.DataFrame, low: float, *, named: bool) -> AxesImage:
    layers, values = matrix(rows)
    ax.grid(visible=False)
    image = ax.imshow(values, vmin=low, vmax=1.0, cmap="cividis", origin="lower", interpolation="nearest")
    stride = math.ceil(len(layers) / MOST_NAMES)
    names = _names(layers)
    ax.set_xticks(range(0, len(layers), stride), names[::stride])
    ax.set_yticks(range(0, len(layers), stride), names[::stride] if named else [""] * len(names[::stride]))
    style.tilt_names(ax, len(layers))
    if len(layers) <= MOST_NUMBERS:
        for (i, j), value in np.ndenumerate(values):
            color = "white" if value < (low + 1) / 2 else style.BLACK
            ax.text(j, i, "" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=5, color=color)
    return image


def _names(layers: list[str]) -> list[str]:
    """Shorten the layers' names, apart from the raw pixels, which share no prefix with them."""
    own = [layer for layer in layers if layer != "pixels"]
    short = dict(zip(own, short_names(own), strict=True)) if own else {}
    return [short.get(layer, "raw pixels") for layer in layers]
