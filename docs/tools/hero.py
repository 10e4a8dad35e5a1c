"""Draw README's picture: font by font, what a layer chosen without that font finds, against the last layer.

Reads docs/evidence/fonts.csv: MAP@R of each font of `handwriting`, rows of length 1, of a frozen EfficientNet-Lite0.

    python -m docs.tools.hero docs/images
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from docs.tools.sources import label

FONTS = Path(__file__).parents[1] / "evidence" / "fonts.csv"
WIDTH, HEIGHT, DPI = 8.3, 4.6, 200
"""Inches, and pixels per inch: twice those of a page 830 px wide, for dense screens."""

LOOKS = {
    "hero": {"page": "#ffffff", "text": "#1f2328", "muted": "#656d76", "line": "#d0d7de", "best": "#0072b2"},
    "hero-dark": {"page": "#0d1117", "text": "#e6edf3", "muted": "#8d96a0", "line": "#30363d", "best": "#56b4e9"},
}
"""Colours by the picture's name, for light and for dark pages."""


def draw(fonts: pd.DataFrame, look: dict[str, str]) -> Figure:
    """Draw a line for each font, from the last layer's score to the chosen layer's.

    Args:
        fonts: font, layer, layers, last, chosen.
        look: colours of the page, text, muted text, lines and the chosen layer.
    """
    own = fonts.assign(gain=fonts["chosen"] - fonts["last"]).sort_values("gain", ignore_index=True)
    (layer,), (layers,) = own["layer"].unique(), own["layers"].unique()
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=look["page"])
    better = int((own["gain"] > 0).sum())
    found = f"Layer {layer} of {layers} finds words in the same font better than the last layer"
    figure.text(
        0.02,
        0.955,
        f"{found}, for {better} of {len(own)} fonts",
        size=11.5,
        weight="bold",
        color=look["text"],
        va="center",
    )
    ax = figure.add_axes((0.185, 0.115, 0.795, 0.75), facecolor=look["page"])
    ax.hlines(own.index, own["last"], own["chosen"], color=look["line"], linewidth=2.2, zorder=1)
    ax.plot(own["last"], own.index, "o", color=look["muted"], markersize=5.5, label="last layer", zorder=2)
    ax.plot(own["chosen"], own.index, "o", color=look["best"], markersize=7, label=f"layer {layer}", zorder=3)
    ax.set_yticks(own.index, own["font"].str.replace("_", " "), size=8.5, color=look["text"])
    ax.tick_params(length=0, colors=look["text"], labelsize=8.5)
    ax.set_xlim(0, 0.8)
    ax.set_ylim(-0.7, len(own) - 0.3)
    ax.grid(axis="x", color=look["line"], linewidth=0.5)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("MAP@R by cosine similarity, among words in five fonts", size=8.5, color=look["muted"])
    ax.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=look["text"], handletextpad=0.2)
    mean = own["gain"].mean()
    ax.annotate(
        f"{mean:+.2f} on average", (0.99, 0.30), xycoords="axes fraction", ha="right", size=11, weight="bold",
        color=look["best"],
    )  # fmt: skip
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw both pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    args = parser.parse_args(arguments)
    fonts = pd.read_csv(FONTS)
    for name, look in LOOKS.items():
        draw(fonts, look).savefig(args.images / f"{name}.png", metadata={"Software": None})
        label(args.images / f"{name}.png", FONTS)


if __name__ == "__main__":
    main()
