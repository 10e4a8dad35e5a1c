from dataclasses import replace

import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.figures.overview import BRACKET, Networks, overview_figure
from stages.aggregate.figures.style import Averages
from stages.aggregate.tables.depth import depth_table
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of


def overview(scores, averages, levels=None, aside=None, models=("small", "small_scratch")):
    """The overview of NMI, and the rows that sum its curves up."""
    rows = [row for row in summarize(scores, "nmi") if row.main and row.model in models]
    points = depth_table(scores)
    points = points[(points["metric"] == "nmi") & (points["fold"] == "mean") & points["model"].isin(models)]
    networks = Networks(rows, ["small", "small_scratch"], aside or {})
    figure = drawn(overview_figure, points, levels or {}, networks, averages, "what it says")
    check_layout(figure)
    return figure, rows


def bars_of(figure):
    found = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    return [tuple(segment[:, 1]) for bars in found for segment in bars.get_segments()]


def test_the_overview_rings_every_networks_best_layer_and_names_it_in_the_legend(scores):
    figure, best = overview(scores, Averages(1, 2), {"chance": 0.01})
    rings = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [line.get_ydata()[0] for line in rings] == pytest.approx([row.unseen for row in best])
    assert [line.get_xdata()[0] for line in rings] == pytest.approx([row.best_depth for row in best], abs=0.05)
    named = [
        f"{row.model}: best at layer {row.best_depth + 1} of 4 ({row.best_layer}), {row.unseen:.3f}" for row in best
    ]
    assert legend_of(figure) == [*named, "chance, unseen classes: 0.010"]
    assert figure.axes[0].get_ylabel() == "NMI on unseen classes"
    assert message_of(figure) == "what it says"


@pytest.mark.parametrize(
    ("kind", "half", "words"),
    [
        ("one_score", 0.05, "intervals of no proven level for these classes and trained networks"),
        ("wider", 0.1, "95 % intervals on other classes of this domain, training repeated"),
    ],
)
def test_bars_at_the_best_and_the_last_layer_are_intervals_in_the_wider_scope(scores, request, kind, half, words):
    figure, (row,) = overview(replace(scores, curves=request.getfixturevalue(kind)), Averages(1, 2), models=["small"])
    ends = [end for value in (row.unseen, row.last_value) for end in (value - half, value + half)]
    assert [end for bar in bars_of(figure) for end in bar] == pytest.approx(ends)
    assert f"Bars at the best and the last layer: {words}" in details_of(figure)


def test_without_intervals_bars_are_the_spread(folded):
    figure, _ = overview(folded, Averages(3, 1), models=["small"])
    assert "mean of 3 folds, one seed each. Bars at the best and the last layer: ± 1 standard" in details_of(figure)
    assert "Bars" not in details_of(overview(folded, Averages(1, 1), models=["small"])[0])


def test_a_bracket_joins_the_heights_of_the_best_and_the_last_layer_and_gives_the_bounds(scores, wider):
    known = wider.assign(lead_classes_at_least=0.0123, lead_classes_at_most=0.2)
    figure, (row,) = overview(replace(scores, curves=known), Averages(1, 2), models=["small"])
    (bracket,) = [line for line in figure.axes[0].lines if line.get_gid() == BRACKET]
    assert {*bracket.get_ydata()} == {row.unseen, row.last_value}
    assert min(bracket.get_xdata()) > row.last_depth
    assert figure.axes[0].texts[0].get_text() == "+0.012\nto +0.200"
    assert legend_of(figure)[0].endswith("; over the last by +0.012 to +0.200")
    assert "one-sided bounds (95 %) on other classes" in details_of(figure)


def test_networks_that_are_set_aside_are_grey_thin_and_without_bar_or_bracket(scores):
    plain, _ = overview(scores, Averages(1, 2))
    figure, _ = overview(scores, Averages(1, 2), aside={"small": "not above raw pixels"})
    grey = [line for line in figure.axes[0].lines if to_rgb(line.get_color()) == to_rgb(style.ASIDE)]
    assert max(line.get_linewidth() for line in grey if len(line.get_xdata()) == 4) < 1
    assert len(bars_of(figure)) == len(bars_of(plain)) / 2 == 2
    assert legend_of(figure)[-1] == "small, in grey: not above raw pixels"
    assert sum(line.get_markerfacecolor() == "none" for line in figure.axes[0].lines) == 1
    assert sum(line.get_gid() == BRACKET for line in figure.axes[0].lines) == 1


def test_networks_of_unlike_depth_share_an_axis_of_relative_positions(scores):
    curves = scores.curves[(scores.curves["model"] == "small") | (scores.curves["depth"] < 3)]
    figure, _ = overview(replace(scores, curves=curves), Averages(1, 2))
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["first layer", "0.25", "0.5", "0.75", "last layer"]
