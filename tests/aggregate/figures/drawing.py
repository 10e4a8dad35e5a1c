"""Makes figures under the common style, and reads what was drawn."""

from unittest.mock import patch

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from stages.aggregate.figures import style


def drawn(make, *args, **options):
    with rc_context(style.RC):
        figure = make(*args, **options)
        style.lay_out(figure)
    return figure


def lines_of(ax, color):
    """The data of every line of one colour, longest first."""
    lines = [line for line in ax.lines if to_rgb(line.get_color()) == to_rgb(color)]
    return sorted(lines, key=lambda line: -len(line.get_xdata()))


def legend_of(figure):
    """The words of a figure's legend."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def texts_of(figure):
    """Every text that is shown, with its box in pixels."""
    renderer, found, draw = FigureCanvasAgg(figure).get_renderer(), [], Text.draw

    def record(text, renderer):
        found.append(text)
        return draw(text, renderer)

    with patch.object(Text, "draw", record):
        figure.draw(renderer)
    return [
        (text, text.get_window_extent(renderer)) for text in found if text.get_visible() and text.get_text().strip()
    ]


def check_layout(figure):
    """No text is smaller than 9 px where a page shows the figure, or cut off, or on top of another."""
    shown = texts_of(figure)
    smallest = 9 / 830 * figure.get_figwidth() * 72
    for text, box in shown:
        assert text.get_fontsize() >= min(smallest, style.SMALLEST), text
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    level = [(text, box) for text, box in shown if text.get_rotation() in (0, 90)]
    for i, (text, box) in enumerate(level):
        for other, its in level[:i]:
            assert not box.shrunk(0.96, 0.9).overlaps(its.shrunk(0.96, 0.9)), (text, other)
