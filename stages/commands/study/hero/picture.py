"""The picture of a study: the method in one row, the main score against layers below."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch, Rectangle

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import draw_band, explain_intervals, interval_scope, limits
from stages.aggregate.figures.frame import EDGE, PLAIN, fill
from stages.aggregate.figures.layer_axis import number_layers
from stages.aggregate.figures.messages import layer_message
from stages.aggregate.formatting import decimals, joined, shorten
from stages.aggregate.metric_info import metric_name
from stages.aggregate.report.scopes import SCOPES, lead_bounds, level
from stages.commands.study.hero.contents import Hero, Plane
from stages.shared.image_store import Pixels
from stages.shared.split_names import SEEN, UNSEEN

WIDTH, HEIGHT = 8.3, 7.1
"""Inches: 830 px in a page of that width."""

DPI = 200
"""Twice the page's pixels, for dense screens."""

TITLE, HEAD, TEXT = 13.0, 9.5, 8.5
"""Points: the message, the heads of panels, and the rest."""

BASE = 3.8
"""Inches: the lower end of the upper row."""

PICTURE = 0.4
"""Inches: the side of a shown image."""

STRIP = "#DCE6EE"
"""Of a layer that is not shown below."""


def hero_figure(hero: Hero) -> Figure:
    """Draw the picture."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    figure.set_layout_engine("none")  # every place is given
    title = FontProperties(size=TITLE, weight="bold")
    message = fill(layer_message(hero.row), WIDTH, title)
    figure.text(EDGE / WIDTH, 1 - 0.12 / HEIGHT, message, fontproperties=title, va="top")
    _images(figure, hero)
    _layers(figure, hero)
    _curve(_axes(figure, 0.72, 1.4, 5.75, 2.0), hero)
    figure.text(EDGE / WIDTH, 0.1 / HEIGHT, _details(hero), size=PLAIN.get_size(), va="bottom", color=style.DETAILS)
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    return figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))


def _text(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Text at a place given in inches."""
    figure.text(x / WIDTH, y / HEIGHT, text, {"size": TEXT, "va": "bottom"} | look)


def _images(figure: Figure, hero: Hero) -> None:
    """Show images of seen and of unseen classes, a column for each class, under the marks of the planes."""
    _text(figure, EDGE, BASE + 2.5, "a", size=HEAD, weight="bold")
    _text(figure, EDGE + 0.2, BASE + 2.5, "Seen classes: fine-tuned on", size=HEAD)
    _grid(figure, hero.seen, BASE + 1.6, [style.ASIDE] * len(hero.seen))
    _text(figure, EDGE + 0.2, BASE + 1.12, "Unseen classes: never trained on", size=HEAD)
    looks = [style.model_style(i) for i in range(len(hero.unseen))]
    _grid(figure, hero.unseen, BASE + 0.22, [str(look["color"]) for look in looks])
    for i, look in enumerate(looks):
        ax = _axes(figure, EDGE + 0.2 + i * (PICTURE + 0.05), BASE, PICTURE, 0.2)
        ax.plot([0], [0], color=look["color"], marker=look["marker"], markersize=6)
        ax.set_axis_off()


def _grid(figure: Figure, images: dict[str, Pixels], bottom: float, colors: list[str]) -> None:
    for column, (pixels, color) in enumerate(zip(images.values(), colors, strict=True)):
        for line, image in enumerate(pixels):
            ax = _axes(
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
    _text(figure, 2.78, BASE + 2.19, "\N{RIGHTWARDS ARROW}", size=TITLE, va="center", ha="center")
    left, width, count = 3.1, WIDTH - 3.1 - 0.12, hero.row.last_depth + 1
    _text(
        figure,
        left,
        BASE + 2.5,
        f"Every layer of {shorten(hero.cell.model, 26)} is scored: do unseen classes separate there?",
        size=HEAD,
    )
    strip = _axes(figure, left, BASE + 2.0, width, 0.38)
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
        ax = _axes(figure, x, BASE, side, 1.4)
        _plane(ax, hero, plane)
        joined = ConnectionPatch(
            (plane.depth + 0.5, 0.0), (0.5, 1.2), strip.transData, ax.transAxes, color=_color(hero, plane.depth)
        )
        figure.add_artist(joined)


def _color(hero: Hero, depth: int) -> str:
    return style.UNSEEN if depth == hero.row.best_depth else style.DETAILS


def _plane(ax: Axes, hero: Hero, plane: Plane) -> None:
    for i, label in enumerate(hero.unseen):
        look, own = style.model_style(i), hero.labels == label
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


def _curve(ax: Axes, hero: Hero) -> None:
    """Draw the main score against layers: unseen classes with their interval, seen ones thin."""
    seen, unseen = (hero.points[hero.points["split"] == split].sort_values("depth") for split in (SEEN, UNSEEN))
    values = [unseen["value"], seen["value"], *limits(unseen)]
    levels = {"raw pixels": hero.row.baseline, "chance": hero.row.chance}
    known = {name: level for name, level in levels.items() if level is not None}
    reached = np.concatenate([*(v.dropna().to_numpy(dtype=float) for v in values), [*known.values()]])
    style.score_axis(ax, float(reached.min()), float(reached.max()))
    x = unseen["depth"].astype(float)
    draw_band(ax, x, *limits(unseen), style.UNSEEN)
    ax.plot(seen["depth"].astype(float), seen["value"], color=style.ASIDE, linewidth=1.0, zorder=2)
    ax.plot(x, unseen["value"], color=style.UNSEEN, linewidth=2.2, marker="o", markersize=5, zorder=3)
    ax.plot([hero.row.best_depth], [hero.row.unseen], "o", markersize=12, color=style.UNSEEN, mfc="none", mew=1.8)
    for name, height in known.items():
        ax.axhline(height, zorder=1, **style.LEVELS[name])
    number_layers(ax, [*x.astype(int)], [*unseen["layer"]], named=False)
    ax.tick_params(labelsize=TEXT)
    ax.set_xlabel(
        f"layer of {shorten(hero.cell.model, 40)}, from input (1) to output ({hero.row.last_depth + 1})", size=TEXT
    )
    ax.set_ylabel(metric_name(hero.row.metric), size=TEXT)
    ax.set_title(" ")
    ax.annotate(
        "b", (0, 1), xytext=(-46, 8), xycoords="axes fraction", textcoords="offset points", size=HEAD, weight="bold"
    )
    head = f"Score of every layer, mean of {_folds(hero)}"
    ax.annotate(head, (0, 1), xytext=(-32, 8), xycoords="axes fraction", textcoords="offset points", size=HEAD)
    _bracket(ax, hero)
    ax.legend(
        *_legend(hero, known), loc="upper left", bbox_to_anchor=(-0.08, -0.2), frameon=False, fontsize=TEXT,
        handlelength=2.2, borderaxespad=0.0, ncols=3, columnspacing=2.0,
    )  # fmt: skip


def _legend(hero: Hero, known: dict[str, float]) -> tuple[list[Any], list[str]]:
    entries: list[tuple[Any, str]] = [
        (Line2D([], [], color=style.UNSEEN, linewidth=2.2, marker="o", markersize=5), "unseen classes")
    ]
    if interval_scope(hero.points):
        entries.append((Patch(color=style.UNSEEN, alpha=style.BAND_ALPHA, linewidth=0), "interval"))
    entries.append(
        (Line2D([], [], color=style.UNSEEN, marker="o", markersize=9, mfc="none", mew=1.6, ls=""), "best layer")
    )
    if (hero.points["split"] == SEEN).any():
        entries.append((Line2D([], [], color=style.ASIDE, linewidth=1.0), "seen classes"))
    entries += [(Line2D([], [], **style.LEVELS[name]), f"{name}, unseen") for name in known]
    handles, words = zip(*entries, strict=True)
    return list(handles), list(words)


def _bracket(ax: Axes, hero: Hero) -> None:
    """Join the heights of the best and the last layer, and say by how much an earlier layer beats the last."""
    row = hero.row
    ax.set_xlim(-0.03 * row.last_depth - 0.1, row.last_depth * 1.06 + 0.1)
    if row.last_value is None or row.best_is_last:
        return
    x, arm = row.last_depth * 1.05, 0.012 * row.last_depth
    ends = [row.unseen, row.unseen, row.last_value, row.last_value]
    ax.plot([x - arm, x, x, x - arm], ends, color=style.UNSEEN, linewidth=1.4)
    scope = next((scope for scope in SCOPES if lead_bounds(row, scope)), None)
    lead = lead_bounds(row, scope) if scope else None
    if lead is not None and scope is not None:
        words = (
            f"an earlier layer beats\nthe last by {decimals(lead.low, sign=True)}\nto {decimals(lead.high, sign=True)}"
            f"{level(row.metric, scope)}"
        )
        ax.annotate(
            words, (x, (row.unseen + row.last_value) / 2), xytext=(8, 0), textcoords="offset points", va="center",
            color=style.UNSEEN, size=HEAD, annotation_clip=False,
        )  # fmt: skip


def _folds(hero: Hero) -> str:
    return style.Averages(hero.row.n_folds, hero.row.n_seeds).words().removeprefix("mean of ")


def _details(hero: Hero) -> str:
    cell, metric = hero.cell, metric_name(hero.row.metric)
    folds = [f"{value:.2f}" for value in sorted(hero.by_fold.values())]
    several = f" (best layer's {metric} by fold: {joined(folds)})" if len(folds) > 1 else ""
    shown, all_classes = len(hero.unseen), len(set(hero.labels))
    some = "" if shown == all_classes else f" of {shown} of {all_classes} classes"
    parts = [
        f"{cell.dataset}, {cell.model}, step {hero.row.step}",
        f"a: fold {cell.fold}{several}, first two principal components of the unseen images{some}",
    ]
    bands = explain_intervals(hero.points[hero.points["split"] == UNSEEN], "b: bands")
    parts += [f"{bands}; bracket: one-sided bounds"] if bands else []
    return fill(". ".join(parts) + ".", WIDTH, PLAIN)
