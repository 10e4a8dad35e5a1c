import itertools

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE

from stages.aggregate.charts.dataset_figures import LINE_LOOKS
from stages.aggregate.charts.theme import (
    COLORS,
    GREY,
    PRINT,
    SEEN,
    SHAPES,
    SOFT,
    TEXT,
    UNSEEN,
    model_looks,
)

FIGURES = {
    "overview": (*COLORS, GREY),
    "depth": (UNSEEN, SEEN),
    "steps": tuple(look.color for look in LINE_LOOKS.values()),
}
"""The colours that stand beside each other in one figure."""


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("kind", ["protanomaly", "deuteranomaly", "tritanomaly", None])
def test_every_two_colours_of_a_figure_are_distinguishable_with_colour_blindness(kind, figure):
    """Machado (2009) at full severity; differences in CAM02-UCS, where 1 is about the least that an eye can see."""

    def seen(color):
        rgb = [int(PRINT.get(color, color)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
        return np.clip(cspace_convert(rgb, space, "sRGB1"), 0, 1) if kind else rgb

    for first, second in itertools.combinations(FIGURES[figure], 2):
        assert deltaE(seen(first), seen(second), input_space="sRGB1") > 10, (first, second)


def test_no_two_of_three_palettes_of_models_look_alike_and_colours_come_with_shapes():
    looks = list(model_looks([f"net{i}" for i in range(3 * len(COLORS))]).values())
    assert len({(look.color, look.dash) for look in looks}) == len(looks)
    assert len({look.shape for look in looks}) == len({look.color for look in looks}) == len(COLORS) == len(SHAPES)


def contrast(color):
    """Contrast of a colour with white, from 1 to 21 (WCAG 2.2, relative luminance)."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@pytest.mark.parametrize("color", [TEXT, UNSEEN, SOFT])
def test_the_colours_of_text_can_be_read(color):
    assert contrast(PRINT.get(color, color)) >= 4.5
