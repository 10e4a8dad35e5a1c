import pytest

from stages.aggregate.figures import style
from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import Averages
from stages.aggregate.tables.steps import steps_table
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of, lines_of


def means(scores):
    """The means over folds; the layer that is best at the first step is not the best one later."""
    rows = steps_table(scores)
    later = rows["step"] > rows["step"].min()
    return rows.assign(unseen_fixed=rows["unseen_fixed"] - 0.01 * later)[rows["fold"] == "mean"]


def test_the_steps_figure_shows_accuracy_and_both_ways_of_choosing(scores):
    rows = means(scores)
    rows = rows[rows["metric"] == "nmi"]
    figure = drawn(steps_figure, rows, Averages(1, 2), "a message")
    small = rows[rows["model"] == "small"]
    ax = figure.axes[0]
    for column, color in (("accuracy", style.ACCURACY), ("seen", style.SEEN), ("unseen_fixed", style.FIRST)):
        assert lines_of(ax, color)[0].get_ydata() == pytest.approx(small[column].dropna().to_numpy())


def frozen(rows, model):
    """The rows with one model measured at the first step alone, without an accuracy."""
    own = rows["model"] == model
    return rows[~own | (rows["step"] == 0)].assign(accuracy=rows["accuracy"].mask(own))


@pytest.mark.parametrize("model", ["small", "small_scratch"])
def test_a_frozen_network_is_a_point_beside_lines(scores, model):
    rows = means(scores)
    figure = drawn(steps_figure, frozen(rows[rows["metric"] == "nmi"], model), Averages(1, 2), "a message")
    point, lines = figure.axes if model == "small" else figure.axes[::-1]
    assert not lines_of(point, style.ACCURACY)
    assert {tuple(line.get_xdata()) for line in lines_of(point, style.UNSEEN)} == {(0,)}
    assert list(lines_of(lines, style.ACCURACY)[0].get_xdata()) == [50, 100]
    assert point.get_xlim() == lines.get_xlim()


def test_every_panel_has_its_labels_and_all_share_a_legend_below(scores):
    rows = means(scores)
    figure = drawn(steps_figure, rows[rows["metric"] == "nmi"], Averages(1, 2), "a message")
    assert [ax.get_xlabel() for ax in figure.axes] == ["optimizer step"] * 2
    assert figure.axes[0].get_ylabel() == "accuracy, g (NMI)"
    assert message_of(figure) == "a message"
    assert sorted(legend_of(figure)) == [
        "accuracy, seen classes",
        "g, seen classes",
        "g, unseen classes",
        "g, unseen: layer of the first step",
    ]
    check_layout(figure)


def test_a_line_that_would_lie_below_another_is_left_out_and_the_caption_says_so(scores):
    rows = means(scores)
    rows = rows[rows["metric"] == "nmi"]
    same = rows.assign(unseen_fixed=rows["unseen"])
    figure = drawn(steps_figure, same, Averages(1, 2), "")
    assert "g, unseen: layer of the first step" not in legend_of(figure)
    assert details_of(figure).endswith(" The layer that is best at the first step stays the best.")
    assert not lines_of(figure.axes[0], style.FIRST)
    mixed = rows.assign(unseen_fixed=rows["unseen_fixed"].where(rows["model"] == "small", rows["unseen"]))
    figure = drawn(steps_figure, mixed, Averages(1, 2), "")
    assert "g, unseen: layer of the first step" in legend_of(figure)
    assert " Without a light line: the layer that is best " in details_of(figure)


def test_networks_that_are_set_aside_come_last(scores):
    rows = means(scores)
    rows, names = rows[rows["metric"] == "nmi"], lambda figure: [ax.texts[0].get_text() for ax in figure.axes]
    assert names(drawn(steps_figure, rows, Averages(1, 2), "")) == ["small", "small_scratch"]
    figure = drawn(steps_figure, rows, Averages(1, 2), "", aside=["small"])
    assert names(figure) == ["small_scratch", "small"]
    assert details_of(figure).endswith("of any layer. Not counted above, since they say little: small.")


def test_frozen_networks_alone_have_no_word_of_accuracy(scores):
    rows = means(scores)
    rows = frozen(frozen(rows[rows["metric"] == "nmi"], "small"), "small_scratch")
    figure = drawn(steps_figure, rows, Averages(1, 2), "a message")
    assert sorted(legend_of(figure)) == ["g, seen classes", "g, unseen classes"]
