import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from stages.aggregate.figures.frame import fill, framed, message_of
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of

WORDS = "one two three four five six seven eight nine ten " * 6


def test_lines_are_as_wide_as_there_is_room_and_break_within_no_number_and_its_unit():
    for length in range(40, 100):
        text = fill(f"{'x ' * (length // 2)}95 % and (ddof = 1) and CKA 0.64", 3.0, FontProperties(size=8))
        assert all(whole in text for whole in ("95 %", "(ddof = 1)", "CKA 0.64"))
        assert text.replace("\n", " ") == f"{'x ' * (length // 2)}95 % and (ddof = 1) and CKA 0.64"
    narrow, wide = (fill(WORDS.strip(), width, FontProperties(size=8)) for width in (2.0, 4.0))
    assert narrow.count("\n") > 1.8 * wide.count("\n")


def test_no_line_is_cut_off_however_long_its_words_are():
    for length in range(30, 90, 5):
        check_layout(drawn(lambda n=length: framed("lm m " * n, "iW w " * n, 1.0)))


@pytest.mark.parametrize("long", [False, True])
def test_message_legend_and_details_stand_beside_nothing_else_however_long_they_are(long):
    words = WORDS if long else "short"
    legend = [(Line2D([], []), f"entry {i}") for i in range(7 if long else 1)]

    def make():
        figure = framed(words, words, 2.0, legend=legend)
        figure.subplots().set(xlabel="x", ylabel="y", title="a panel", yticks=[0, 0.5, 1])
        return figure

    figure = drawn(make)
    check_layout(figure)
    assert message_of(figure) == " ".join(words.split())
    assert figure.axes[0].get_position().height * figure.get_figheight() == pytest.approx(1.5, abs=0.2)


def test_a_legend_is_read_line_by_line():
    legend = [(Line2D([], []), f"entry {i}") for i in range(5)]
    figure = drawn(lambda: framed("", "", 1.0, legend=legend, columns=2))
    assert legend_of(figure) == ["entry 0", "entry 2", "entry 4", "entry 1", "entry 3"]  # column after column
