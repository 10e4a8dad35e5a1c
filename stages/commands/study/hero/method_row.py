"""The upper row of the picture of a study: images, the layers as blocks, and the planes of three layers."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from numpy.typing import NDArray

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import EDGE
from stages.aggregate.formatting import shorten
from stages.aggregate.metric_info import metric_name
from stages.commands.study.hero.contents import Hero, Plane
from stages.commands.study.hero.layout import BASE, HEAD, PICTURE, TEXT, TITLE, WIDTH, axes_at, text_at
from stages.shared.images.image_store import Pixels

MOST_DOTS = 120
"""Images of a class that are drawn in a plane; of more, every second, third, ... one."""

STRIP = "#DCE6EE"
"""Of a layer that is not shown below."""


def draw_method(figure: Figure, hero: Hero) -> None:
    """Draw the method in one row."""
    _images(figure, hero)
    _layers(figure, hero)


def _images(figure: Figure, hero: Hero) -> None:
    """Show images of seen and of unseen classes, a column for each class, under the marks of the planes."""
    tuned = hero.row.step > 0
    text_at(figure, EDGE, BASE + 2.5, "a", size=HEAD, weight="bold")
    if hero.seen:
        text_at(figure, EDGE + 0.2, BASE + 2.5, "Seen classes" + (": fine-tuned on" if tuned else ""), size=HEAD)
        _grid(figure, hero.seen, BASE + 1.6, [style.ASIDE] * len(hero.seen))
    text_at(figure, EDGE + 0.2, BASE + 1.12, "Unseen classes" + (": not fine-tuned on" if tuned else ""), size=HEAD)
    looks = [style.model_style(i) for i in range(len(hero.unseen))]
    _grid(figure, hero.unseen, BASE + 0.22, [str(look["color"]) for look in looks])
    for i, look in enumerate(looks):
        ax = axes_at(figure, EDGE + 0.2 + i * (PICTURE + 0.05), BASE, PICTURE, 0.2)
        ax.plot([0], [0], color=look["color"], marker=look["marker"], markersize=6)
        ax.set_axis_off()


def _grid(figure: Figure, images: dict[str, Pixels], bottom: float, colors: list[str]) -> None:
    for column, (pixels, color) in enumerate(zip(images.values(), colors, strict=True)):
        for line, image in enumerate(pixels):
            ax = axes_at(
                figure, EDGE + 0.2 + column * (PICTURE + 0.05), bottom + (1 - line) * (PICTURE + 0.05), PICTURE, PICTURE
            )
            ax.imshow(image)
            ax.grid(visible=False)
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)


def _layers(figure: Figure, hero: Hero) -> None:
    """Draw the layers as blocks, and below them the planes of some."""
    text_at(figure, 2.78, BASE + 2.19, "\N{RIGHTWARDS ARROW}", size=TITLE, va="center", ha="center")
    left, width, count = 3.1, WIDTH - 3.1 - 0.12, hero.row.last_depth + 1
    text_at(
        figure,
        left,
        BASE + 2.5,
        f"Every layer of {shorten(hero.cell.model, 26)} is scored: do unseen classes separate there?",
        size=HEAD,
    )
    strip = axes_at(figure, left, BASE + 2.0, width, 0.38)
    strip.set(xlim=(0, count), ylim=(0, 1))
    strip.set_axis_off()
    shown = {plane.depth for plane in hero.planes}
    for depth in range(count):
        color = _color(hero, depth) if depth in shown else STRIP
        strip.add_patch(Rectangle((depth + 0.08, 0), 0.84, 1, facecolor=color, edgecolor="none"))
        if count <= 26 or depth in shown:
            words = "white" if depth in shown else style.BLACK
            strip.text(depth + 0.5, 0.48, str(depth + 1), ha="center", va="center", size=TEXT, color=words)
    side = (width - 0.3 * (len(hero.planes) - 1)) / 3
    for i, plane in enumerate(hero.planes):
        x = left + i * (width - side) / max(len(hero.planes) - 1, 1)
        ax = axes_at(figure, x, BASE, side, 1.4)
        _plane(ax, hero, plane)
        joined = ConnectionPatch(
            (plane.depth + 0.5, 0.0), (0.5, 1.2), strip.transData, ax.transAxes, color=_color(hero, plane.depth)
        )
        figure.add_artist(joined)


def _color(hero: Hero, depth: int) -> str:
    return style.UNSEEN if depth == hero.row.best_depth else style.DETAILS


def _plane(ax: Axes, hero: Hero, plane: Plane) -> None:
    for i, label in enumerate(hero.unseen):
        look, own = style.model_style(i), _drawn(hero, label)
        ax.scatter(
            plane.places[own, 0],
            plane.places[own, 1],
            s=7,
            color=look["color"],
            marker=look["marker"],
            alpha=0.75,
            linewidth=0,
            zorder=3,
        )
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    color = _color(hero, plane.depth)
    for spine in ax.spines.values():
        spine.set(visible=True, color=color, linewidth=1.6 if plane.depth == hero.row.best_depth else 0.8)
    last = hero.row.last_depth
    name = "best, " if plane.depth == hero.row.best_depth else "last, " if plane.depth == last else ""
    name += f"layer {plane.depth + 1}"
    score = "" if plane.score is None else f": {metric_name(hero.row.metric)} {plane.score:.2f}"
    ax.set_title(name + score, size=TEXT, color=color, loc="center", pad=4, weight="bold")


def _drawn(hero: Hero, label: str) -> NDArray[np.int64]:
    """The rows of a class that are drawn."""
    own = np.flatnonzero(hero.labels == label)
    return own[:: math.ceil(len(own) / MOST_DOTS) or 1]
