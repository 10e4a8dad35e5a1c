import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.collections import LineCollection, PolyCollection

from stages.aggregate.figures import style
from stages.aggregate.figures.depth import FOLD, MOST_LABELLED, TIED, depth_figure
from stages.aggregate.points import curves
from tests.aggregate.figures.drawing import drawn, lines_of


def bands_of(ax):
    """Bottom and top of every band."""
    boxes = [c.get_datalim(ax.transData) for c in ax.collections if isinstance(c, PolyCollection)]
    return [(box.y0, box.y1) for box in boxes]


def means(scores, *metrics):
    """The means over folds of one network's scores."""
    curves = scores.curves[(scores.curves["fold"] == "mean") & (scores.curves["model"] == "small")]
    return curves[curves["metric"].isin(metrics)] if metrics else curves


def caption(figure):
    return figure.get_suptitle().replace("\n", " ")


def test_the_depth_figure_shows_the_curves_and_rings_the_best_layer(scores):
    chosen = means(scores)
    with rc_context(style.RC):
        figure = depth_figure(scores, list(curves(chosen)))
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "NMI",
        "k-NN purity",
        "1-NN accuracy",
        "linear probe accuracy",
    ]
    nmi = chosen[(chosen["metric"] == "nmi") & (chosen["split"] == "unseen") & (chosen["step"] == 100)]
    ax = figure.axes[0]
    assert lines_of(ax, style.UNSEEN)[0].get_ydata() == pytest.approx(nmi["value"].to_numpy())
    ring = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in ring] == [nmi["value"].to_numpy().argmax()]
    assert {text.get_text() for text in ax.texts} >= {"seen", "unseen", "unseen, step 0", "raw pixels, unseen"}
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == [
        "stem",
        "blocks.0",
        "blocks.1",
        "head_conv",
    ]


def test_chance_and_raw_pixels_are_those_of_the_split_whose_colour_they_have(scores):
    chosen = means(scores, "nmi")
    chosen = chosen.assign(chance=chosen["split"].map({"unseen": 0.2, "test": 0.07}))
    ax = drawn(depth_figure, scores, [chosen]).axes[0]
    for split, color, chance in (("unseen", style.UNSEEN, 0.2), ("test", style.SEEN, 0.07)):
        pixels = scores.baseline[(scores.baseline["split"] == split) & (scores.baseline["metric"] == "nmi")]
        levels = {float(line.get_ydata()[0]) for line in lines_of(ax, color) if list(line.get_xdata()) == [0, 1]}
        assert sorted(levels) == pytest.approx(sorted({chance, *pixels["value"][:1]}))


def test_error_bars_are_standard_deviations_over_seeds(scores):
    chosen = means(scores, "nmi")
    with rc_context(style.RC):
        figure = depth_figure(scores, [chosen])
    bars = [c for c in figure.axes[0].collections if isinstance(c, LineCollection) and len(c.get_segments()) == 4]
    heights = [segment[1][1] - segment[0][1] for segment in bars[-1].get_segments()]
    unseen = chosen[(chosen["split"] == "unseen") & (chosen["step"] == 100)]
    assert heights == pytest.approx(2 * unseen["sd"].to_numpy())


@pytest.mark.parametrize(("kind", "half"), [("one_score", 0.05), ("wider", 0.1)])
def test_the_band_is_the_interval_of_the_wider_scope(scores, request, kind, half):
    curve = request.getfixturevalue(kind)
    figure = drawn(depth_figure, scores, [curve])
    unseen = curve[(curve["step"] == 100) & (curve["split"] == "unseen")]["value"]
    assert np.array(bands_of(figure.axes[0])) == pytest.approx(np.array([(unseen.min() - half, unseen.max() + half)]))
    words = {  # of NMI, whose level is proven over other classes alone
        "one_score": "bands: intervals of no proven level for these classes and trained networks",
        "wider": "bands: 95 % intervals on other classes of this domain, training",
    }
    assert words[kind] in caption(figure)


def test_the_caption_says_which_bands_have_another_scope_or_no_proven_level(scores, wider, one_score):
    curves = [wider, one_score.assign(metric="knn_purity"), wider.assign(metric="ood_auroc_knn")]
    assert (
        "bands: 95 % intervals on other classes of this domain, training repeated (OOD AUROC (k-NN): intervals of no "
        "proven level); k-NN purity: 95 % intervals for these classes and trained networks"
    ) in caption(drawn(depth_figure, scores, curves))
    assert "95 %" not in caption(drawn(depth_figure, scores, [wider.assign(metric="ood_auroc_knn")]))


def test_thin_lines_are_single_folds_in_the_place_of_bars(folded):
    curve = means(folded, "nmi")
    figure = drawn(depth_figure, folded, [curve])
    thin = [line.get_ydata() for line in figure.axes[0].lines if line.get_gid() == FOLD]
    unseen = curve[(curve["step"] == 100) & (curve["split"] == "unseen")]["value"].to_numpy()
    assert np.array(thin) == pytest.approx(unseen + np.array([[-0.02], [0], [0.02]]))
    assert "mean of 3 folds, 2 seeds each · thin lines: single folds" in caption(figure)
    assert not any(isinstance(c, LineCollection) and len(c.get_segments()) == 4 for c in figure.axes[0].collections)


def test_one_fold_has_no_thin_lines(scores):
    figure = drawn(depth_figure, scores, [means(scores, "nmi")])
    assert not any(line.get_gid() == FOLD for line in figure.axes[0].lines)
    assert "mean of 2 seeds, bars ± 1 standard deviation over seeds (ddof = 1)" in caption(figure)


def test_without_intervals_there_are_no_bands_and_no_word_of_them(scores):
    chosen = means(scores, "nmi")
    figure = drawn(depth_figure, scores, [chosen])
    assert bands_of(figure.axes[0]) == []
    assert "band" not in figure.get_suptitle()
    assert "thick" not in figure.get_suptitle()


def test_the_axis_is_thick_under_layers_that_tie_in_the_wider_scope(scores, one_score, wider):
    ends = one_score.assign(tied_images=one_score["tied_images"] | (one_score["depth"] == 0))
    gap = ends[ends["depth"] != 1]
    for curve, runs in ((one_score, [(0.5, 2.5)]), (wider, [(0.5, 3.5)]), (gap, [(-0.5, 0.5), (1.5, 2.5)])):
        figure = drawn(depth_figure, scores, [curve])
        pieces = [line for line in figure.axes[0].lines if line.get_gid() == TIED]
        assert [tuple(line.get_xdata()) for line in pieces] == runs
        assert "thick axis: layers not distinguishable from the best" in caption(figure)


@pytest.mark.parametrize(
    ("better", "subtitle"),
    [
        ("lower", "lower is better; best on unseen: "),
        ("neither", "neither high nor low"),
        ("higher", "best on unseen: "),
    ],
)
def test_the_best_layer_follows_the_scores_direction(scores, one_score, better, subtitle):
    figure = drawn(depth_figure, scores, [one_score.assign(better=better)])
    ax = figure.axes[0]
    unseen = one_score[(one_score["split"] == "unseen") & (one_score["step"] == 100)]["value"]
    ring = [line.get_ydata()[0] for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert ring == {"lower": [unseen.min()], "higher": [unseen.max()], "neither": []}[better]
    assert any(text.get_text().startswith(subtitle) for text in ax.texts)


def test_a_score_without_any_finite_value_leaves_an_empty_panel(scores, one_score):
    figure = drawn(depth_figure, scores, [one_score.assign(value=np.nan, ci_images_low=np.nan, ci_images_high=np.nan)])
    assert "undefined on unseen classes" in [text.get_text() for text in figure.axes[0].texts]


def test_many_scores_share_a_legend(scores, one_score):
    figure = drawn(depth_figure, scores, [one_score.assign(metric=f"score_{i}") for i in range(MOST_LABELLED + 1)])
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["unseen", "seen", "unseen, step 0", "raw pixels", "chance", "interval"]
    assert not any(text.get_text() == "seen" for text in figure.axes[0].texts)


def test_a_single_checkpoint_has_no_first_one_in_the_legend(scores, one_score):
    last = one_score[one_score["step"] == one_score["step"].max()]
    figure = drawn(depth_figure, scores, [last.assign(metric=f"score_{i}") for i in range(MOST_LABELLED + 1)])
    assert "unseen, step" not in " ".join(text.get_text() for text in figure.legends[0].get_texts())
