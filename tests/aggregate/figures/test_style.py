import itertools

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.aggregate.figures import style
from stages.aggregate.figures.robustness import CLEAN, SHADES
from stages.aggregate.figures.steps import LINES


class Unsettled(ConstrainedLayoutEngine):
    """A solver whose last digits are not always the same."""

    def __init__(self, noise):
        super().__init__()
        self.noise = noise

    def execute(self, fig):
        super().execute(fig)
        for ax in fig.axes:
            ax._set_position([part + self.noise for part in ax.get_position(original=True).bounds], which="original")


def test_the_last_digits_of_the_layout_leave_no_trace_in_a_file(tmp_path):
    def make(noise):
        figure = style.Figure(layout=Unsettled(noise))
        for ax in figure.subplots(2, 2).flat:
            ax.plot([0, 1], [0.3, 0.6])
        return figure

    for name, noise in (("one.svg", 0), ("another.svg", 3e-16)):
        style.draw(tmp_path / f"{name}.png", tmp_path / name, lambda noise=noise: make(noise))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "another.svg").read_bytes()


def test_models_beyond_the_palette_differ_in_line_style():
    looks = [tuple(map(str, style.model_style(i).values())) for i in range(3 * len(style.MODELS))]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize(("high", "scale"), [(1.0, "linear"), (90.0, "log"), (20.0, "linear")])
def test_only_a_score_that_is_no_share_and_spans_far_gets_a_logarithmic_axis(high, scale):
    with rc_context(style.RC):
        ax = style.Figure().subplots()
        style.score_axis(ax, 0.02 if high == 1.0 else 1.0, high)
    assert ax.get_yscale() == scale
    assert ax.get_ylim()[1] > high


@pytest.mark.parametrize(
    ("n_folds", "n_seeds", "words", "over"),
    [
        (1, 1, "one seed", "seeds"),
        (1, 3, "mean of 3 seeds, bars", "seeds"),
        (4, 1, "mean of 4 folds, one seed each, bars", "folds"),
        (4, 2, "mean of 4 folds, 2 seeds each, bars", "folds"),
    ],
)
def test_a_caption_says_what_values_are_means_of(n_folds, n_seeds, words, over):
    averages = style.Averages(n_folds, n_seeds)
    assert averages.words(", bars") == words
    assert averages.vary == ("bars" in words)
    assert averages.bars == f"± 1 standard deviation over {over} (ddof = 1)"


FIGURES = {
    "overview": (*style.MODELS, style.ASIDE),
    "depth": (style.UNSEEN, style.SEEN, style.FIRST),
    "steps": tuple(line.color for line in LINES),
    "robustness": (*SHADES, CLEAN, style.CHANCE),
}
"""The colours that stand beside each other in one figure."""


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("kind", ["protanomaly", "deuteranomaly", "tritanomaly", None])
def test_every_two_colours_of_a_figure_are_distinguishable_with_colour_blindness(kind, figure):
    """Machado (2009) at full severity; differences in CAM02-UCS, where 1 is about the least that an eye can see."""

    def seen(color):
        space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
        return np.clip(cspace_convert(to_rgb(color), space, "sRGB1"), 0, 1) if kind else to_rgb(color)

    for first, second in itertools.combinations(FIGURES[figure], 2):
        assert deltaE(seen(first), seen(second), input_space="sRGB1") > 10, (first, second)


def test_models_differ_in_marker_as_well_as_in_colour():
    looks = [style.model_style(i) for i in range(len(style.MODELS))]
    assert len({look["marker"] for look in looks}) == len({look["color"] for look in looks}) == len(looks)


def test_contrast_is_that_of_known_greys():
    assert style.contrast("#000000") == pytest.approx(21)
    assert style.contrast("#FFFFFF") == pytest.approx(1)
    assert style.contrast("#767676") == pytest.approx(4.54, abs=0.005)  # the lightest grey that WCAG's AA allows


@pytest.mark.parametrize("color", [*style.MODELS, style.FIRST, style.CHANCE, style.BASELINE, style.DETAILS])
def test_text_in_a_lines_colour_can_be_read(color):
    text = style.text_color(color)
    assert style.contrast(text) >= 4.5
    assert text == color.lower() or style.contrast(color) < 4.5
