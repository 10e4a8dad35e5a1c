import pytest

from stages.aggregate.charts.datasets import LINES, steps_figure
from stages.aggregate.charts.frame import Words
from stages.aggregate.charts.theme import PRINT
from stages.aggregate.tables.score_tables import steps_table
from stages.aggregate.words.figure_titles import STEP_LINES
from tests.aggregate.charts.drawing import Drawing

FIRST = STEP_LINES["unseen_fixed"]


@pytest.fixture
def rows(scores):
    """The means over folds of NMI; the layer that is best at the first step is not the best one later."""
    rows = steps_table(scores)
    later = rows["step"] > rows["step"].min()
    rows = rows.assign(unseen_fixed=rows["unseen_fixed"] - 0.01 * later)
    return rows[(rows["fold"] == "mean") & (rows["metric"] == "nmi")]


def draw(rows, aside=()):
    return Drawing(steps_figure(rows, aside, Words("a message", "details"), title="g (NMI)"))


def color(column):
    own = LINES[column].color
    return PRINT.get(own, own)


def frozen(rows, model):
    """The rows with one model measured at the first step alone, without an accuracy."""
    own = rows["model"] == model
    return rows[~own | (rows["step"] == 0)].assign(accuracy=rows["accuracy"].mask(own))


def test_a_panel_for_each_network_shows_accuracy_both_gs_and_the_layer_of_the_first_step(rows):
    drawing = draw(rows)
    for column, words in STEP_LINES.items():
        expected = [
            value for model in ("small", "small_scratch") for value in rows[rows["model"] == model][column].dropna()
        ]
        assert [row["value"] for row in drawing.points(fill=color(column))] == pytest.approx(expected)
        assert words in drawing.texts
    assert drawing.texts.count("optimizer step") == drawing.texts.count("g (NMI)") == 2


def test_bars_are_one_standard_deviation_and_the_light_line_has_none(rows):
    drawing = draw(rows)
    small = rows[rows["model"] == "small"]
    ends = [(row["low"], row["high"]) for row in drawing.rules(stroke=color("accuracy"))][:2]
    expected = small[small["accuracy"].notna()]
    assert [high - low for low, high in ends] == pytest.approx([*(2 * expected["accuracy_sd"])])
    assert not drawing.rules(stroke=color("unseen_fixed"))


def test_a_frozen_network_is_a_point_beside_lines(rows):
    drawing = draw(frozen(rows, "small"))
    assert [row["optimizer step"] for row in drawing.points(fill=color("accuracy"))] == [50, 100]
    assert [row["optimizer step"] for row in drawing.points(fill=color("unseen"))] == [0, 0, 50, 100]
    alone = draw(frozen(frozen(rows, "small"), "small_scratch"))
    assert not {"accuracy, seen classes", FIRST} & set(alone.texts)


def test_a_line_that_would_lie_below_another_is_left_out(rows):
    assert FIRST not in draw(rows.assign(unseen_fixed=rows["unseen"])).texts
    mixed = rows.assign(unseen_fixed=rows["unseen_fixed"].where(rows["model"] == "small", rows["unseen"]))
    assert len(draw(mixed).points(fill=color("unseen_fixed"))) == 3


def test_networks_that_are_set_aside_come_last(rows):
    def heads(drawing):
        return [text for text in drawing.texts if text.startswith("(")]

    assert heads(draw(rows)) == ["(a) small", "(b) small_scratch"]
    assert heads(draw(rows, ["small"])) == ["(a) small_scratch", "(b) small"]
