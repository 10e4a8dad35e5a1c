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
LEFT, ROW, TOP, BELOW = 110, 20, 90, 28
"""Pixels of the kinds' names, of a row, above the rows of a panel, and below them."""

WIDE, NARROW = 860, 360
"""Pixels of the picture's width: panels side by side, and for phones one below another."""


def draw(colors: dict[str, str], width: int = WIDE) -> str:
    """Draw a panel for each step, in which every kind has a bar (mean over networks) and a dot for each network."""
    each = gains(by_kind(steps("map_at_r")))
    mean = each.groupby("kind", observed=True).mean()
    ends = floor(each.min().min() * 20) / 20, ceil(each.max().max() * 20) / 20
    names = [*each.index.get_level_values("network").unique()]
    enlarging, layer, joined = (signed(mean.mean()[step]) for step in TITLES)
    title = [
        f"A larger input gains {enlarging} MAP@R,",
        f"a chosen layer {layer} more,",
        f"joined and whitened layers {joined} more",
    ]
    words = [
        "Gain on unseen classes.",
        "Bars: mean of two frozen networks",
        f"(dots: {', '.join(names)}).",
        "Layers are chosen on other classes.",
    ]
    lines = [" ".join(title), " ".join(words)] if width == WIDE else [*title, *words]
    bold, down = 1 if width == WIDE else len(title), 22 * (len(lines) - 2)
    span = (width - LEFT - 10) / 3 - 30 if width == WIDE else width - LEFT - 40
    each_height = TOP - 40 + ROW * len(KINDS) + BELOW
    height = down + TOP + ROW * len(KINDS) + BELOW + (0 if width == WIDE else 2 * each_height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="14" fill="{colors["text"]}" role="img" aria-label="{" ".join(title)}">',
        f'<rect width="{width}" height="{height}" fill="{colors["ground"]}"/>',
    ]
    for number, line in enumerate(lines):
        look = 'font-size="16" font-weight="bold"' if number < bold else f'fill="{colors["soft"]}"'
        parts.append(f'<text x="10" y="{24 + 22 * number}" {look}>{line}</text>')
    for number, step in enumerate(TITLES):
        left, top = (LEFT + 10, down + TOP + number * each_height)
        if width == WIDE:
            left, top = LEFT + number * (span + 30) + 10, TOP
        if number == 0 or width != WIDE:
            parts += (
                f'<text x="{LEFT - 10}" y="{top + ROW * row + 15}" text-anchor="end">{kind}</text>'
                for row, kind in enumerate(KINDS)
            )
        parts += panel((left, top, span), TITLES[step], mean[step], each[step], ends, colors)
    return "\n".join([*parts, "</svg>\n"])


def panel(
    place_of: tuple[float, int, float],
    title: str,
    mean: pd.Series,
    each: pd.Series,
    ends: tuple[float, float],
    colors: dict[str, str],
) -> Iterator[str]:
    """Yield one step, from the left and upper end of its rows on, so wide: its title, axis, bars and dots."""
    (left, top, span), (low, high) = place_of, ends

    def place(value: float) -> float:
        return round(left + (value - low) / (high - low) * span, 1)

    bottom = top + ROW * len(KINDS)
    yield f'<text x="{left:.1f}" y="{top - 18}" font-weight="bold">{title}</text>'
    ticks = [tick / 10 for tick in range(ceil(low * 10), floor(high * 10) + 1)]
    for tick in ticks:
        yield f'<path d="M{place(tick)} {top}V{bottom}" stroke="{colors["soft" if tick == 0 else "line"]}"/>'
        yield (
            f'<text x="{place(tick)}" y="{bottom + 18}" text-anchor="middle" font-size="13" fill="{colors["soft"]}">'
            f"{'0' if tick == 0 else f'{tick:+.1f}'}</text>"
        )
    for row, kind in enumerate(KINDS):
        middle, value = top + ROW * row + ROW / 2, float(mean[kind])
        start = place(min(value, 0))
        yield (
            f'<rect x="{start}" y="{middle - 6}" width="{max(place(max(value, 0)) - start, 0.5):.1f}" height="12" '
            f'fill="{colors["bar"]}"/>'
        )
        for found in each[kind]:
            yield (
                f'<circle cx="{place(found)}" cy="{middle}" r="3.5" fill="{colors["ground"]}" '
                f'stroke="{colors["text"]}" stroke-width="1.5"/>'
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pictures, wide and narrow, light and dark, into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    folder = parser.parse_args(arguments).images
    for name, colors in COLORS.items():
        for ending, width in (("", WIDE), ("-narrow", NARROW)):
            (folder / f"{name}{ending}.svg").write_text(draw(colors, width), encoding="utf-8")


if __name__ == "__main__":
    main()
