"""The picture of a study: the method in one row, the main score against layers below."""

from collections import Counter

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from stages.aggregate.figures import style
from stages.aggregate.figures.bands import explain_intervals
from stages.aggregate.figures.frame import EDGE, PLAIN, fill
from stages.aggregate.figures.messages import layer_message
from stages.aggregate.formatting import joined
from stages.aggregate.metric_info import metric_name
from stages.commands.study.hero.contents import Hero
from stages.commands.study.hero.curve_panel import draw_curve
from stages.commands.study.hero.layout import DPI, HEIGHT, TITLE, WIDTH, axes_at
from stages.commands.study.hero.method_row import MOST_DOTS, draw_method
from stages.shared.embeddings.split_names import UNSEEN


def hero_figure(hero: Hero) -> Figure:
    """Draw the picture."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    figure.set_layout_engine("none")  # every place is given
    title = FontProperties(size=TITLE, weight="bold")
    message = fill(layer_message(hero.row), WIDTH, title)
    figure.text(EDGE / WIDTH, 1 - 0.12 / HEIGHT, message, fontproperties=title, va="top")
    draw_method(figure, hero)
    draw_curve(axes_at(figure, 0.72, 1.4, 5.75, 2.0), hero)
    figure.text(EDGE / WIDTH, 0.1 / HEIGHT, _details(hero), size=PLAIN.get_size(), va="bottom", color=style.DETAILS)
    return figure


def _details(hero: Hero) -> str:
    cell, metric = hero.cell, metric_name(hero.row.metric)
    folds = [f"{value:.2f}" for value in sorted(hero.by_fold.values())]
    several = f" (best layer's {metric} by fold: {joined(folds)})" if len(folds) > 1 else ""
    shown, all_classes = len(hero.unseen), len(set(hero.labels))
    some = "" if shown == all_classes else f" of {shown} of {all_classes} classes"
    some += f", at most {MOST_DOTS} a class" if max(Counter(hero.labels).values()) > MOST_DOTS else ""
    parts = [
        f"{cell.dataset}, {cell.model}, step {hero.row.step}",
        f"a: fold {cell.fold}{several}, first two principal components of the unseen images{some}",
    ]
    bands = explain_intervals(hero.points[hero.points["split"] == UNSEEN], "b: bands")
    parts += [f"{bands}; bracket: one-sided bounds, layers compared on the same classes"] if bands else []
    return fill(". ".join(parts) + ".", WIDTH, PLAIN)
