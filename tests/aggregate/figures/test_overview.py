from dataclasses import replace

import pytest
from matplotlib import rc_context
from matplotlib.collections import LineCollection

from stages.aggregate.figures import style
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.tables.depth import last_step
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.drawing import drawn


def test_the_overview_rings_every_networks_best_layer(scores):
    points = last_step(scores)
    points = points[points["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = overview_figure(points, {"chance": 0.01}, ["small", "small_scratch"], 2)
    rings = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    best = [row for row in summarize(scores, "nmi") if row.main]
    assert [line.get_ydata()[0] for line in rings] == pytest.approx([row.unseen for row in best])
    assert [line.get_xdata()[0] for line in rings] == pytest.approx([row.best_depth / 3 for row in best], abs=1e-6)
    named = [f"{row.model}: {row.best_depth + 1} of 4 ({row.best_layer})" for row in best]
    assert [text.get_text() for text in figure.axes[0].texts[:2]] == named


def test_the_overviews_bar_is_the_best_layers_interval(scores, one_score):
    points = last_step(replace(scores, curves=one_score))
    figure = drawn(overview_figure, points, {}, ["small"], 2)
    (bar,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    ((low, high),) = [segment[:, 1] for segment in bar.get_segments()]
    top = points[points["split"] == "unseen"]["value"].max()
    assert (low, high) == pytest.approx((top - 0.05, top + 0.05))
    assert "bars: 95 % intervals over images" in figure.get_suptitle().replace("\n", " ")
