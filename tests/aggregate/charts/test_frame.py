import subprocess
import sys

import pytest

from stages.aggregate.charts.frame import _fill, figure, panel, write_figure
from stages.aggregate.charts.theme import layer
from tests.aggregate.charts.drawing import Drawing

WORDS = "one two three four five six seven eight nine ten " * 6


def made():
    """A figure with a gradient, a clip path, a legend and characters that markup would take for its own."""
    color = {"field": "x", "type": "quantitative", "scale": {"scheme": "cividis"}}
    place = {"x": {"field": "x", "type": "quantitative", "title": None}}
    place |= {"y": {"field": "y", "type": "quantitative", "title": None}}
    layers = [layer("points", {"type": "point", "clip": True}, place | {"color": color})]
    chart = panel(layers, {"points": [{"x": i / 7, "y": i * i / 3} for i in range(9)]}, (300, 100))
    return figure([chart], ("less < more & 95%", WORDS.strip()))


def test_the_same_figure_gives_the_same_bytes_again_and_in_another_process(tmp_path):
    for name in ("one", "two"):
        write_figure(tmp_path / f"{name}.png", tmp_path / f"{name}.svg", made())
    again = "from pathlib import Path; import sys; from tests.aggregate.charts.test_frame import made, write_figure; "
    again += "write_figure(Path(sys.argv[1] + '.png'), Path(sys.argv[1] + '.svg'), made())"
    subprocess.run([sys.executable, "-c", again, tmp_path / "three"], check=True)
    for kind in ("png", "svg"):
        first, *others = [(tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two", "three")]
        assert [other == first for other in others] == [True, True]
    assert first.startswith(b"<svg")


def test_a_figure_can_be_read_out():
    drawing = Drawing(made())
    assert 'role="img"><title>less &lt; more &amp; 95' in drawing.svg
    assert drawing.message == "less < more & 95%"
    assert drawing.caption == f"less < more & 95%. {WORDS.strip()}"


def test_text_breaks_into_lines_but_within_no_number_and_its_unit():
    for length in range(40, 140):
        lines = _fill(f"{'x ' * (length // 2)}95% and (ddof = 1) and CKA 0.64", 99)
        text = "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
        assert all(whole in text for whole in ("95%", "(ddof = 1)", "CKA 0.64"))


@pytest.mark.parametrize("words", ["lm m " * 40, "iW w " * 40, WORDS])
def test_no_line_is_wider_than_the_figure(words):
    Drawing(figure([], (words, words)))
