import pytest
from matplotlib import rc_context

from stages.aggregate.figures import style


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
