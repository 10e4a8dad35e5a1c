import pandas as pd
import pytest

from stages.aggregate.charts.dataset_figures import ENDS, steps
from stages.aggregate.charts.theme import PRINT
from stages.aggregate.compute import Results
from stages.aggregate.facts import Facts
from stages.aggregate.tables.score_tables import steps_table
from stages.aggregate.words.figure_titles import STEP_LINES
from tests.aggregate.charts.drawing import Drawing
from tests.aggregate.charts.made import shown
from tests.aggregate.networks import evidence, network


@pytest.fixture
def rows(scores):
    """The means over folds of NMI, at the steps 0, 50 and 100."""
    rows = steps_table(scores)
    return rows[(rows["fold"] == "mean") & (rows["metric"] == "nmi")]


def draw(scores, rows):
    results = Results(pd.DataFrame(), scores, [], Facts([], []), pd.DataFrame(), {"steps.csv": rows}, shown(scores))
    return Drawing(steps(results, evidence(network("small"), network("small_scratch"))))


def dots(drawing, end):
    return [row["value"] for row in drawing.points(fill=PRINT.get(end.color, end.color))]


def test_a_panel_for_each_network_shows_accuracy_and_both_gs_at_the_first_and_the_last_step(scores, rows):
    drawing = draw(scores, rows)
    for step, end in zip((0, 100), ENDS, strict=True):
        own = rows[rows["step"] == step]
        assert sorted(dots(drawing, end)) == pytest.approx(sorted(own[[*STEP_LINES]].stack().dropna()))
    assert {*STEP_LINES.values(), "step 0", "step 100"} <= set(drawing.texts)
    assert [text for text in drawing.texts if text.startswith("(")] == ["(a) small", "(b) small_scratch"]


def test_a_frozen_network_has_single_dots_beside_lines(scores, rows):
    own = rows["model"] == "small"
    frozen = rows[~own | (rows["step"] == 0)].assign(accuracy=rows["accuracy"].mask(own))
    assert len(dots(draw(scores, frozen), ENDS[0])) == len(dots(draw(scores, rows), ENDS[0])) == 4
    assert len(dots(draw(scores, frozen), ENDS[1])) == 3
