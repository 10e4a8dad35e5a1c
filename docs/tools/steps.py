"""Draw the study's picture: by kind of images, what a larger input, a layer and a representation gain.

Reads docs/study/by_axis.csv.

    python -m docs.tools.steps docs/images
"""

import argparse
from collections.abc import Iterator, Sequence
from math import ceil, floor
from pathlib import Path

import pandas as pd

from docs.study.kinds import KINDS, OWN, SMALL, by_kind, gains, steps
from docs.study.tables import signed

COLORS = {
    "steps": {"ground": "#ffffff", "text": "#1f2328", "soft": "#59636e", "line": "#d1d9e0", "bar": "#0072b2"},
    "steps-dark": {"ground": "#0d1117", "text": "#e6edf3", "soft": "#9198a1", "line": "#3d444d", "bar": "#56b4e9"},
}
"""Colours by the picture's name, for light and for dark pages."""

TITLES = {
    "enlarging": f"input of {OWN}, not {SMALL} px",
    "layer": "then a chosen layer",
    "representation": "then joined, whitened layers",
}
WIDTH, LEFT, GAP, ROW, TOP = 860, 110, 30, 26, 96
"""Pixels of the picture's width, of the kinds' names, between panels, of a row, and above the rows."""

PANEL = (WIDTH - LEFT - 10) / 3 - GAP


def draw(colors: dict[str, str]) -> str:
    """Draw a panel for each step, in which every kind has a bar (mean over networks) and a dot for each network."""
    each = gains(by_kind(steps("map_at_r")))
    mean = each.groupby("kind", observed=True).mean()
    low, high = floor(each.min().min() * 20) / 20, ceil(each.max().max() * 20) / 20
    overall, names = mean.mean(), [*each.index.get_level_values("network").unique()]
    height = TOP + ROW * len(KINDS) + 34
    enlarging, layer, joined = (signed(overall[step]) for step in TITLES)
    title = (
        f"A larger input gains {enlarging} MAP@R, a chosen layer {layer} more, joined and whitened layers {joined} more"
    )
    words = (
        f"Gain of each step on unseen classes. Bars: mean of the frozen networks; dots: {' and '.join(names)}. "
        "Chosen on other classes."
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14" fill="{colors["text"]}">',
        f'<rect width="{WIDTH}" height="{height}" fill="{colors["ground"]}"/>',
        f'<text x="10" y="24" font-size="16" font-weight="bold">{title}</text>',
        f'<text x="10" y="46" fill="{colors["soft"]}">{words}</text>',
    ]
    for number, kind in enumerate(KINDS):
        parts.append(f'<text x="{LEFT - 10}" y="{TOP + ROW * number + 18}" text-anchor="end">{kind}</text>')
    for number, step in enumerate(TITLES):
        left = LEFT + number * (PANEL + GAP) + 10
        parts += panel(left, TITLES[step], mean[step], each[step], (low, high), colors)
    return "\n".join([*parts, "</svg>\n"])


def panel(
    left: float, title: str, mean: pd.Series, each: pd.Series, ends: tuple[float, float], colors: dict[str, str]
) -> Iterator[str]:
    """Yield one step: its title, axis, bars and dots."""
    low, high = ends

    def place(value: float) -> float:
        return round(left + (value - low) / (high - low) * PANEL, 1)

    bottom = TOP + ROW * len(KINDS)
    yield f'<text x="{left:.1f}" y="78" font-weight="bold">{title}</text>'
    ticks = [tick / 10 for tick in range(ceil(low * 10), floor(high * 10) + 1)]
    for tick in ticks:
        yield f'<path d="M{place(tick)} {TOP}V{bottom}" stroke="{colors["soft" if tick == 0 else "line"]}"/>'
        yield (
            f'<text x="{place(tick)}" y="{bottom + 18}" text-anchor="middle" font-size="13" fill="{colors["soft"]}">'
            f"{'0' if tick == 0 else f'{tick:+.1f}'}</text>"
        )
    for row, kind in enumerate(KINDS):
        middle, value = TOP + ROW * row + ROW / 2, float(mean[kind])
        start = place(min(value, 0))
        yield (
            f'<rect x="{start}" y="{middle - 7}" width="{max(place(max(value, 0)) - start, 0.5):.1f}" height="14" '
            f'fill="{colors["bar"]}"/>'
        )
        for found in each[kind]:
            yield (
                f'<circle cx="{place(found)}" cy="{middle}" r="3.5" fill="{colors["ground"]}" '
                f'stroke="{colors["text"]}" stroke-width="1.5"/>'
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write steps.svg and steps-dark.svg into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    folder = parser.parse_args(arguments).images
    for name, colors in COLORS.items():
        (folder / f"{name}.svg").write_text(draw(colors), encoding="utf-8")


if __name__ == "__main__":
    main()
