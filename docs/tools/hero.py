"""Draw README's picture: font by font, what a layer chosen without that font finds, against the last layer.

Reads docs/study/fonts.csv: MAP@R of each font of `handwriting`, rows of length 1, of a frozen EfficientNet-Lite0,
and the share of the parameters that is kept, at inputs of 64 px. The gain after fine-tuning is that of
data/results/metrics.json, the gain at 224 px that of docs/study/cells.csv.

    python -m docs.tools.hero docs/images
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import vl_convert

from docs.study import tables
from docs.tools.sources import ROOT, label
from stages.aggregate.charts.frame import draw_svg, figure, legend_of, panel, records
from stages.aggregate.charts.theme import BLUE, GREY, GROUND, SKY, SOFT, TEXT, UNSEEN, Look, Spec, dumbbell_layers
from stages.aggregate.words.formatting import percent

FONTS = ROOT / "docs" / "study" / "fonts.csv"
TUNED = ROOT / "data" / "results" / "metrics.json"
WIDTH, HEIGHT, DPI = 520, 96, 240
"""Points of the chart; pixels per inch, for dense screens."""

PAGES = {
    "hero": {GROUND: "#ffffff", TEXT: "#1f2328", SOFT: "#59636e", GREY: "#59636e", UNSEEN: BLUE},
    "hero-dark": {GROUND: "#0d1117", TEXT: "#e6edf3", SOFT: "#9198a1", GREY: "#9198a1", UNSEEN: SKY},
}
"""Colours of the theme by the picture's name, for light and for dark pages."""


def draw(fonts: pd.DataFrame, tuned: float, large: float) -> Spec:
    """Draw an upright line for each font, from the last layer's score to the chosen layer's.

    Args:
        fonts: font, layer, layers, last, chosen, kept.
        tuned: gain over the last layer after fine-tuning.
        large: the same of the frozen network at 224 px.
    """
    own = fonts.assign(gain=fonts["chosen"] - fonts["last"], name=fonts["font"].str.replace("_", " "))
    own = own.sort_values("gain", ascending=False)
    (layer,), (layers,), (kept,) = (own[column].unique() for column in ("layer", "layers", "kept"))
    looks = {"last layer": Look(GREY, "square"), f"layer {layer}": Look(UNSEEN)}
    points = [own.assign(at=at, value=own[column]) for at, column in zip(looks, ("last", "chosen"), strict=True)]
    better, mean = int((own["gain"] > 0).sum()), own["gain"].mean()
    text = (
        f"Layer {layer} of {layers} beats the last layer for {better} of {len(own)} fonts",
        f"A line per font: how well other words in this font are found (MAP@R, 1 is perfect). On average {mean:+.2f}, "
        f"with {percent(kept)} of the parameters of a frozen network at 64 px. The layer was chosen without the font. "
        f"After fine-tuning the gain is {tuned:+.2f}, at 224 px {large:+.2f}.",
    )
    chart = panel(
        [upright(layer) for layer in dumbbell_layers("name", "at", looks, legend_of(1) | {"orient": "right"})],
        {"points": records(pd.concat(points), ["name", "at", "value"])},
        (WIDTH, HEIGHT),
    )
    return figure([chart], text) | {"background": GROUND}


def upright(layer: Spec) -> Spec:
    """Exchange the axes of a layer of dumbbells; the fonts' names, which would take most of the height, go."""
    own = layer["encoding"]
    return layer | {"encoding": own | {"x": own["y"] | {"axis": None}, "y": own["x"]}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw both pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    args = parser.parse_args(arguments)
    uses = json.loads(TUNED.read_text())["handwriting"]["efficientnet_lite0"]["uses"]
    large = tables.RULES["last"](tables.curves_by_size("map_at_r")[224]["handwriting", "Lite0"])
    spec = json.dumps(draw(pd.read_csv(FONTS), uses["retrieval"]["gain_over_last"]["estimate"], large))
    for name, colors in PAGES.items():
        drawn = spec
        for color, own in colors.items():
            drawn = drawn.replace(f'"{color}"', f'"{own}"')
        (args.images / f"{name}.png").write_bytes(vl_convert.svg_to_png(draw_svg(json.loads(drawn)), ppi=DPI))
        label(args.images / f"{name}.png", FONTS)


if __name__ == "__main__":
    main()
