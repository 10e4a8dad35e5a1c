from dataclasses import replace

import pytest
from matplotlib import rc_context
from matplotlib.collections import LineCollection

from stages.aggregate.figures import style
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.style import Averages
from stages.aggregate.tables.depth import last_step
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.drawing import drawn


def test_the_overview_rings_every_networks_best_layer(scores):
    points = last_step(scores)
    points = points[(points["metric"] == "nmi") & (points["fold"] == "mean")]
    with rc_context(style.RC):
        figure = overview_figure(points, {"chance": 0.01}, ["small", "small_scratch"], Averages(1, 2))
    rings = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    best = [row for row in summarize(scores, "nmi") if row.main]
    assert [line.get_ydata()[0] for line in rings] == pytest.approx([row.unseen for row in best])
    assert [line.get_xdata()[0] for line in rings] == pytest.approx([row.best_depth / 3 for row in best], abs=1e-6)
    named = [f"{row.model}: {row.best_depth + 1} of 4 ({row.best_layer})" for row in best]
    assert [text.get_text() for text in figure.axes[0].texts[:2]] == named


@pytest.mark.parametrize(
    ("kind", "half", "words"),
    [
        ("one_score", 0.05, "bars: intervals of no proven level for these classes and trained networks"),
        ("wider", 0.1, "bars: 95 % intervals on other classes of this domain, training repeated"),
    ],
)
def test_the_bar_is_the_best_layers_interval_in_the_wider_scope(scores, request, kind, half, words):
    points = last_step(replace(scores, curves=request.getfixturevalue(kind)))
    figure = drawn(overview_figure, points, {}, ["small"], Averages(1, 2))
    (bar,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    ((low, high),) = [segment[:, 1] for segment in bar.get_segments()]
    top = points[points["split"] == "unseen"]["value"].max()
    assert (low, high) == pytest.approx((top - half, top + half))
    assert words in figure.get_suptitle().replace("\n", " ")


def test_without_intervals_the_bar_is_the_spread(folded):
    points = last_step(folded)
    points = points[(points["metric"] == "nmi") & (points["fold"] == "mean") & (points["model"] == "small")]
    figure = drawn(overview_figure, points, {}, ["small"], Averages(3, 1))
    assert "mean of 3 folds, one seed each · bars: ± 1 standard deviation over folds" in figure.get_suptitle().replace(
        "\n", " "
    )
    assert "bars" not in drawn(overview_figure, points, {}, ["small"], Averages(1, 1)).get_suptitle()
