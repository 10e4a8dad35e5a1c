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


def test_a_caption_breaks_no_line_within_a_number_and_its_unit():
    for length in range(60, 120):
        figure = style.Figure(figsize=(style.WIDTH, 1))
        style.caption(figure, f"{'x ' * (length // 2)}95 % and (ddof = 1)")
        assert "95 %" in figure.get_suptitle()
        assert "ddof = 1" in figure.get_suptitle()
