import pytest
from matplotlib import rc_context

from stages.aggregate.figures import style
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.tables.steps import follow_steps
from tests.aggregate.figures.drawing import lines_of


def test_the_steps_figure_shows_accuracy_and_both_ways_of_choosing(scores):
    rows = follow_steps(scores)
    rows = rows[rows["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = steps_figure(rows, 2)
    small = rows[rows["model"] == "small"]
    ax = figure.axes[0]
    for column, color in (("accuracy", style.ACCURACY), ("seen", style.SEEN), ("unseen_fixed", style.FIRST)):
        assert lines_of(ax, color)[0].get_ydata() == pytest.approx(small[column].to_numpy())
