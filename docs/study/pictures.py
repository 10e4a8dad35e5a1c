"""Draw the pictures of the published curves, one for each network, of few labels, and of the size of the input.

python -m docs.study.pictures docs/images
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.study import label_tables, tables
from docs.study.label_tables import Losses, Pair
from docs.study.paper import DOCS, NAMES, ONE_TRIAL, PAPER, TITLES, Curve, Key, measured_curves
from docs.tools.sources import label

CURVES = DOCS / "published_curves.json"
COLORS = {"nmi": "#0072B2", "knn_purity": "#009E73", "probe_accuracy": "#D55E00"}
"""By score: Okabe and Ito's colours, known apart with every common kind of colour blindness."""

SHADES = {2: "#56B4E9", 5: "#0072B2", 10: "#009E73", 20: "#E69F00", 50: "#D55E00"}
"""By the number of images of a class."""

GREY, WIDTH, HEIGHT, DPI = "#6C6C6C", 7.0, 2.7, 110
OURS = "efficientnet_lite0"


def draw_network(network: str, ours: Mapping[tuple[Key, str], Curve]) -> Figure:
    """Draw one network's published curves of unseen classes over relative depth, a panel for each dataset.

    Args:
        network: its name in the published curves.
        ours: the study's curves, of which EfficientNet-Lite0's NMI is drawn in both kinds of rows.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(NAMES), sharey=True)
    for panel, (dataset, name) in zip(panels, NAMES.items(), strict=True):
        for metric, color in COLORS.items():
            key = dataset, network, metric
            for curves, style, release in ((PAPER, "-", "the paper"), (ONE_TRIAL, "--", "one trial")):
                if key in curves:
                    line = f"{TITLES[metric]}, {release}"
                    _draw(panel, curves[key], color=color, linestyle=style, label=line, marker="o")
        for rows, style in (("unnormalized", "-"), ("L2-normalized", "--")):
            curve = ours[(dataset, OURS, "nmi"), rows]
            _draw(panel, curve, color=GREY, linestyle=style, label=f"NMI here, {rows}", linewidth=1)
        panel.set_title(f"{network}, {name}", size=9)
        panel.set_xlabel("relative depth", size=8)
        panel.tick_params(labelsize=7.5)
        panel.set_ylim(0, 1)
        panel.grid(axis="y", linewidth=0.4)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("score on unseen classes", size=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=7)
    return figure


def _draw(panel: Axes, curve: Curve, **look: Any) -> None:
    panel.plot(np.linspace(0, 1, len(curve.values)), curve.values, markersize=3, **look)


def draw_labels() -> Figure:
    """Draw what a layer chosen on few labels loses, over the number of classes: a column for each score.

    Above the mean with its interval over datasets, below the 95th percentile of each pair's draws, and their mean.
    """
    losses = label_tables.read_losses()
    figure = Figure(figsize=(9.2, 4.6), dpi=DPI, layout="constrained")
    titles = {score: title for score, title in label_tables.SCORES.items() if any(name == score for name, _ in losses)}
    panels = figure.subplots(2, len(titles), sharex=True, sharey="row")
    for column, (score, title) in zip(panels.T, titles.items(), strict=True):
        of_images: dict[int, dict[int, Mapping[Pair, Losses]]] = {}
        for (name, (classes, images)), own in sorted(losses.items()):
            if name == score:
                of_images.setdefault(images, {})[classes] = own
        for shift, (images, own) in enumerate(of_images.items()):
            _draw_losses(column, images, shift, own)
        last = label_tables.summarize(label_tables.rule_losses(score, "last layer"))
        column[0].axhline(last.mean, color=GREY, linewidth=1, linestyle="--", label="the last layer")
        column[0].set_title(title, size=9)
        column[1].set_xlabel("classes", size=8)
        column[1].set_xticks(sorted({classes for _, (classes, _) in losses}))
        for panel in column:
            panel.tick_params(labelsize=7.5)
            panel.grid(axis="y", linewidth=0.4)
            panel.spines[["top", "right"]].set_visible(False)
    for row in panels:
        row[0].set_ylim(0, None)
    panels[0, 0].set_ylabel("mean loss", size=8)
    panels[1, 0].set_ylabel("loss of 19 in 20 draws, by pair", size=8)
    handles, labels = panels[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=7.5, title="images of each")
    return figure


def _draw_losses(
    column: Sequence[Axes], images: int, shift: int, of_classes: Mapping[int, Mapping[Pair, Losses]]
) -> None:
    color, places = SHADES[images], [classes + 0.12 * (shift - 2) for classes in of_classes]
    found = [label_tables.summarize(losses) for losses in of_classes.values()]
    means = [each.mean for each in found]
    half = [each.high - each.mean for each in found]
    column[0].errorbar(places, means, half, color=color, marker="o", markersize=3, linewidth=1.3, elinewidth=0.6,
                       label=str(images))  # fmt: skip
    for place, losses in zip(places, of_classes.values(), strict=True):
        each = [float(np.quantile(own, 0.95)) for own in losses.values()]
        column[1].plot([place] * len(each), each, ".", color=color, markersize=2.5, alpha=0.35)
    column[1].plot(places, [each.of_pairs for each in found], color=color, marker="o", markersize=3, linewidth=1.3)


def draw_sizes() -> Figure:
    """Draw the last and the chosen layer's score of the frozen Lite0 over the size of its input, a panel per score."""
    figure = Figure(figsize=(9.2, 2.7), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(tables.GOALS), sharey=True)
    datasets = dict(zip((*tables.GLYPHS, *tables.PHOTOS), SHADES.values(), strict=True))
    for panel, score in zip(panels, tables.GOALS, strict=True):
        found = tables.curves_by_size(score)
        for dataset, color in datasets.items():
            at = {pixels: each[dataset, "Lite0"] for pixels, each in found.items() if (dataset, "Lite0") in each}
            fill = color if dataset in tables.GLYPHS else "white"
            for layer, style in ((None, "-"), (tables.LAYERS["last"], "--")):
                heights = [tables.height(curves, layer) for curves in at.values()]
                name = dataset if layer is None else None
                panel.plot([*at], heights, color=color, linestyle=style, label=name, marker="o", markersize=4,
                           markerfacecolor=fill, linewidth=1.3)  # fmt: skip
        panel.set_title(tables.TITLES[score], size=9)
        panel.set_xlabel("input in pixels", size=8)
        panel.set_xscale("log", base=2)
        panel.set_xticks([*found], [str(pixels) for pixels in found], minor=False)
        panel.tick_params(labelsize=7.5)
        panel.set_ylim(0, 1)
        panel.grid(axis="y", linewidth=0.4)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("score on unseen classes", size=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7.5)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    args = parser.parse_args(arguments)
    ours = measured_curves()
    for network in dict.fromkeys(name for _, name, _ in ONE_TRIAL):
        path = args.images / f"published_{network.lower()}.png"
        draw_network(network, ours).savefig(path, metadata={"Software": None})
        label(path, CURVES)
    for name, figure, source in (
        ("few_labels", draw_labels(), "labels_chosen.csv"),
        ("input_size", draw_sizes(), "cells.csv"),
    ):
        figure.savefig(args.images / f"{name}.png", metadata={"Software": None})
        label(args.images / f"{name}.png", label_tables.HERE / source)


if __name__ == "__main__":
    main()
