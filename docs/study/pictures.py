"""Draw the pictures of the published curves, one for each network, of few labels, and of the size of the input.

python -m docs.study.pictures docs/images
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from docs.study import few_labels, kinds, label_tables
from docs.study.paper import DOCS, NAMES, ONE_TRIAL, PAPER, TITLES, Curve, Key, measured_curves
from docs.tools.sources import label

CURVES = DOCS / "published_curves.json"
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))
"""Colour (Okabe and Ito's) and marker, by kind of images or by score: colours alone are not told apart by everyone."""
SCORES = dict(zip(("nmi", "probe_accuracy", "knn_purity"), LOOKS, strict=True))
"""Look by published score."""

EACH = 10
"""Labelled images of a class in the picture of few labels."""

LABELS_WORDS = (
    "With five classes of ten images the chosen\nlayer is on average no worse than the last",
    f"classes of {EACH} images that the layer is chosen on",
    "1-NN accuracy",
)
SIZE_WORDS = ("The larger the input,\nthe less choosing a layer gains", "input in pixels", "MAP@R")
"""Title, words below, and score."""

Lines = Mapping[str, pd.DataFrame]
"""By kind of images: gains, a row for each place, a column for each dataset."""

GREY, WIDTH, HEIGHT, DPI = "#6C6C6C", 7.5, 2.7, 110
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
        for metric, (color, marker) in SCORES.items():
            key = dataset, network, metric
            for curves, style, release in ((PAPER, "-", "the paper"), (ONE_TRIAL, "--", "one trial")):
                if key in curves:
                    line = f"{TITLES[metric]}, {release}"
                    _draw(panel, curves[key], color=color, linestyle=style, label=line, marker=marker)
        for rows, style in (("unnormalized", "-"), ("L2-normalized", "--")):
            curve = ours[(dataset, OURS, "nmi"), rows]
            _draw(panel, curve, color=GREY, linestyle=style, label=f"NMI here, {rows}", linewidth=1)
        panel.set_title(f"{network}, {name}", size=10)
        panel.set_xticks([0, 0.5, 1], ["first", "middle", "last"])
        panel.set_xlabel("layer", size=9)
        panel.tick_params(labelsize=8.5)
        panel.set_ylim(0, 1)
        panel.grid(axis="y", linewidth=0.4)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("score on unseen classes", size=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8.5)
    return figure


def _draw(panel: Axes, curve: Curve, **look: Any) -> None:
    panel.plot(np.linspace(0, 1, len(curve.values)), curve.values, markersize=4.5, **look)


def label_gains() -> Lines:
    """Return how much a layer chosen on few labels beats the last one in 1-NN, by kind of images and dataset."""
    last, rows = label_tables.rule_losses("nn1_accuracy", "last layer"), []
    for (score, (classes, images)), losses in label_tables.read_losses().items():
        if (score, images) == ("nn1_accuracy", EACH):
            rows += [(pair[0], classes, last[pair].mean() - own.mean()) for pair, own in losses.items()]
    other = pd.read_csv(few_labels.TABLE).query("use == 'nn1_accuracy' and images == @EACH")
    rows += [*zip(other["dataset"], other["classes"], other["last"] - other["own"], strict=True)]
    return lines(pd.DataFrame(rows, columns=["dataset", "at", "gain"]))


def size_gains() -> Lines:
    """Return the first network's gain of the chosen layer in MAP@R by size of input, by kind of images and dataset."""
    own = kinds.read().query("score == 'map_at_r' and network == @kinds.NETWORKS[0]")
    return lines(own.assign(at=own["size"], gain=own["layer"] - own["habit"]))


def lines(rows: pd.DataFrame) -> Lines:
    """Sort gains (dataset, at, gain) into strokes, photos and all other kinds: a column for each dataset."""
    each = rows.groupby(["at", "dataset"])["gain"].mean().unstack()
    found = {kind: each[[*kinds.KINDS[kind]]] for kind in ("strokes", "photos")}
    names = {dataset for own in found.values() for dataset in own}
    return found | {"six other kinds": each[[name for name in each if name not in names]].dropna()}


def draw_gains(gains: Lines, title: str, below: str, score: str) -> Figure:
    """Draw gains over the last layer: a thick line for the mean of each kind, a thin one for each dataset."""
    figure = Figure(figsize=(5.6, 3.6), dpi=200, layout="constrained")
    panel = figure.subplots()
    panel.axhline(0, color="black", linewidth=1)
    for (kind, own), (color, marker) in zip(gains.items(), LOOKS, strict=True):
        panel.plot(own.index, own, color=color, linewidth=0.8, alpha=0.45)
        panel.plot(own.index, own.mean(axis=1), color=color, marker=marker, markersize=6, linewidth=2.4, label=kind)
    ticks = sorted({int(at) for own in gains.values() for at in own.index})
    panel.set_xscale("log")
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.yaxis.set_major_locator(MultipleLocator(0.05))
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:+.2f}" if round(value, 9) else "0")
    panel.set_xlabel(below)
    panel.set_title(f"{title}\n", loc="left", size=12, weight="bold")
    panel.text(0, 1.02, f"Gain over the last layer in {score}", transform=panel.transAxes)
    panel.grid(axis="y", linewidth=0.4)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    figure.legend(loc="outside lower left", ncols=len(gains), frameon=False)
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
        ("few_labels", draw_gains(label_gains(), *LABELS_WORDS), "labels_chosen.csv"),
        ("input_size", draw_gains(size_gains(), *SIZE_WORDS), "by_axis.csv"),
    ):
        figure.savefig(args.images / f"{name}.png", metadata={"Software": None})
        label(args.images / f"{name}.png", label_tables.HERE / source)


if __name__ == "__main__":
    main()
