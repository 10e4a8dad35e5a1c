"""Draw the pictures of the published curves, one for each network, and that of how few labels choose a layer.

python -m docs.study.pictures docs/images
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from docs.study.paper import DOCS, NAMES, ONE_TRIAL, PAPER, TITLES, Curve, Key, measured_curves
from docs.tools.sources import label

CURVES = DOCS / "published_curves.json"
COLORS = {"nmi": "#0072B2", "knn_purity": "#009E73", "probe_accuracy": "#D55E00"}
"""By score: Okabe and Ito's colours, known apart with every common kind of colour blindness."""

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
        for rows, style in (("raw", "-"), ("length 1", "--")):
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


def _draw(panel: object, curve: Curve, **look: object) -> None:
    panel.plot(np.linspace(0, 1, len(curve.values)), curve.values, markersize=3, **look)  # type: ignore[attr-defined]


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


if __name__ == "__main__":
    main()
