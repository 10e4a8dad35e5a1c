import pytest
from matplotlib import rc_context

from stages.aggregate.figures import style
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import Averages
from stages.aggregate.tables.steps import follow_steps
from tests.aggregate.figures.drawing import drawn, lines_of


def means(scores):
    rows = follow_steps(scores)
    return rows[rows["fold"] == "mean"]


def test_the_steps_figure_shows_accuracy_and_both_ways_of_choosing(scores):
    rows = means(scores)
    rows = rows[rows["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = steps_figure(rows, Averages(1, 2))
    small = rows[rows["model"] == "small"]
    ax = figure.axes[0]
    for column, color in (("accuracy", style.ACCURACY), ("seen", style.SEEN), ("unseen_fixed", style.FIRST)):
        assert lines_of(ax, color)[0].get_ydata() == pytest.approx(small[column].dropna().to_numpy())


def frozen(rows, model):
    """The rows with one model measured at the first step alone, without an accuracy."""
    own = rows["model"] == model
    return rows[~own | (rows["step"] == 0)].assign(accuracy=rows["accuracy"].mask(own))


def test_labels_stand_at_the_lines_where_all_networks_have_the_same(scores):
    rows = means(scores)
    figure = drawn(steps_figure, rows[rows["metric"] == "nmi"], Averages(1, 2))
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert texts[0] == []
    assert sorted(texts[1]) == ["accuracy", "g seen", "g unseen", "g unseen, layer of the first step"]
    assert not figure.legends


@pytest.mark.parametrize("model", ["small", "small_scratch"])
def test_a_frozen_network_is_a_point_beside_lines_that_a_legend_names(scores, model):
    rows = means(scores)
    figure = drawn(steps_figure, frozen(rows[rows["metric"] == "nmi"], model), Averages(1, 2))
    point, lines = figure.axes if model == "small" else figure.axes[::-1]
    assert not lines_of(point, style.ACCURACY)
    assert {tuple(line.get_xdata()) for line in lines_of(point, style.UNSEEN)} == {(0,)}
    assert list(lines_of(lines, style.ACCURACY)[0].get_xdata()) == [50, 100]
    assert point.get_xlim() == lines.get_xlim()
    (legend,) = figure.legends
    assert "accuracy" in [text.get_text() for text in legend.get_texts()]
    assert not point.texts
    assert not lines.texts


def test_frozen_networks_alone_have_no_word_of_accuracy(scores):
    rows = means(scores)
    rows = frozen(frozen(rows[rows["metric"] == "nmi"], "small"), "small_scratch")
    figure = drawn(steps_figure, rows, Averages(1, 2))
    assert sorted(text.get_text() for text in figure.axes[1].texts) == ["g seen", "g unseen"]
    assert not figure.legends
