"""Makes figures under the common style, and reads what was drawn."""

from matplotlib import rc_context
from matplotlib.colors import to_rgb

from stages.aggregate.figures import style


def drawn(make, *args):
    with rc_context(style.RC):
        return make(*args)


def lines_of(ax, color):
    """The data of every line of one colour, longest first."""
    lines = [line for line in ax.lines if to_rgb(line.get_color()) == to_rgb(color)]
    return sorted(lines, key=lambda line: -len(line.get_xdata()))
