import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_rgb

from stages.aggregate.cells import read_layers
from stages.aggregate.figures import style
from stages.aggregate.figures.depth import depth_figure
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.scores import average
from stages.aggregate.tables import curves, follow_steps, last_step, summarize


@pytest.fixture
def scores(grid, run):
    return average(read_layers(grid / "measures", run), run)


def lines_of(ax, color):
    """The data of every line of one colour, longest first."""
    lines = [line for line in ax.lines if to_rgb(line.get_color()) == to_rgb(color)]
    return sorted(lines, key=lambda line: -len(line.get_xdata()))


def test_spread_moves_only_what_overlaps():
    assert style.spread([0.1, 0.5, 0.9], 0.1, 0, 1) == pytest.approx([0.1, 0.5, 0.9])
    assert style.spread([0.5, 0.5], 0.1, 0, 1) == pytest.approx([0.45, 0.55])
    assert style.spread([0.0, 0.01, 0.9], 0.1, 0, 1) == pytest.approx([0.0, 0.1, 0.9])


def test_spread_keeps_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = style.spread(sorted(rng.random(8)), 0.1, 0, 1)
        assert np.diff(moved).min() >= 0.1 - 1e-9
        assert min(moved) >= 0
        assert max(moved) <= 1 + 1e-9


def test_models_beyond_the_palette_differ_in_line_style():
    looks = [tuple(map(str, style.model_style(i).values())) for i in range(3 * len(style.MODELS))]
    assert len(set(looks)) == len(looks)


def test_the_depth_figure_shows_the_curves_and_rings_the_best_layer(scores):
    chosen = scores.curves[scores.curves["model"] == "small"]
    with rc_context(style.RC):
        figure = depth_figure(scores, list(curves(chosen)))
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "NMI",
        "k-NN purity",
        "1-NN accuracy",
        "linear probe accuracy",
    ]
    nmi = chosen[(chosen["metric"] == "nmi") & (chosen["split"] == "unseen") & (chosen["step"] == 100)]
    ax = figure.axes[0]
    assert lines_of(ax, style.UNSEEN)[0].get_ydata() == pytest.approx(nmi["value"].to_numpy())
    ring = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in ring] == [nmi["value"].to_numpy().argmax()]
    assert {text.get_text() for text in ax.texts} >= {"seen", "unseen", "unseen, step 0", "raw pixels", "chance"}
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == [
        "stem",
        "blocks.0",
        "blocks.1",
        "head_conv",
    ]


def test_error_bars_are_standard_deviations_over_seeds(scores):
    chosen = scores.curves[(scores.curves["model"] == "small") & (scores.curves["metric"] == "nmi")]
    with rc_context(style.RC):
        figure = depth_figure(scores, [chosen])
    bars = [c for c in figure.axes[0].collections if len(c.get_segments()) == 4]
    heights = [segment[1][1] - segment[0][1] for segment in bars[-1].get_segments()]
    unseen = chosen[(chosen["split"] == "unseen") & (chosen["step"] == 100)]
    assert heights == pytest.approx(2 * unseen["sd"].to_numpy())


def test_the_steps_figure_shows_accuracy_and_both_ways_of_choosing(scores):
    rows = follow_steps(scores)
    rows = rows[rows["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = steps_figure(rows, 2)
    small = rows[rows["model"] == "small"]
    ax = figure.axes[0]
    for column, color in (("accuracy", style.ACCURACY), ("seen", style.SEEN), ("unseen_fixed", style.FIRST)):
        assert lines_of(ax, color)[0].get_ydata() == pytest.approx(small[column].to_numpy())


def test_the_overview_rings_every_networks_best_layer(scores):
    points = last_step(scores)
    points = points[points["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = overview_figure(points, {"chance": 0.01}, ["small", "small_scratch"], 2)
    rings = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    best = summarize(scores, "nmi")
    best = best[best["main"]]
    assert [line.get_ydata()[0] for line in rings] == pytest.approx(best["unseen"].to_numpy())
    assert [line.get_xdata()[0] for line in rings] == pytest.approx((best["best_depth"] / 3).to_numpy(), abs=1e-6)
