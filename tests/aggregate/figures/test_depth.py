from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D

from stages.aggregate.curves import curves
from stages.aggregate.figures import depth, style
from stages.aggregate.figures.depth import FOLD, TIED
from stages.aggregate.figures.depth_legend import level_look
from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of, lines_of
from tests.aggregate.figures.made import METRICS


def bands_of(ax):
    """Bottom and top of every band."""
    boxes = [c.get_datalim(ax.transData) for c in ax.collections if isinstance(c, PolyCollection)]
    return [(box.y0, box.y1) for box in boxes]


def means(scores, *metrics):
    """The means over folds of one network's scores."""
    curves = scores.curves[(scores.curves["fold"] == "mean") & (scores.curves["model"] == "small")]
    return curves[curves["metric"].isin(metrics)] if metrics else curves


def depth_figure(scores, chosen):
    """The figure of some curves, with the rows that sum them up."""
    rows = summarize(replace(scores, curves=pd.concat(chosen, ignore_index=True)), "nmi")
    return depth.depth_figure(scores, chosen, rows)


def test_the_depth_figure_shows_the_curves_and_rings_the_best_layer(scores):
    chosen = means(scores)
    figure = drawn(depth_figure, scores, list(curves(chosen)))
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "NMI",
        "k-NN purity",
        "1-NN accuracy",
        "linear probe accuracy",
    ]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b", "c", "d"]
    nmi = chosen[(chosen["metric"] == "nmi") & (chosen["split"] == "unseen") & (chosen["step"] == 100)]
    ax = figure.axes[0]
    assert lines_of(ax, style.UNSEEN)[0].get_ydata() == pytest.approx(nmi["value"].to_numpy())
    ring = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in ring] == [nmi["value"].to_numpy().argmax()]
    assert "best at layer 3 of 4 (blocks.1)" in ax.texts[0].get_text()
    assert message_of(figure) == "By 4 scores, layer 3 of 4 is best on unseen classes; no interval is known"
    check_layout(figure)


def test_every_panel_numbers_the_layers_and_the_lowest_name_them(scores):
    figure = drawn(depth_figure, scores, list(curves(means(scores))))
    numbers = [[label.get_text() for label in ax.get_xticklabels()] for ax in figure.axes]
    names = [[label.get_text() for label in ax.get_xticklabels(minor=True)] for ax in figure.axes]
    assert numbers == [["1", "2", "3", "4"]] * 4
    assert names == [[], [], *[["stem", "blocks.0", "blocks.1", "head_conv"]] * 2]
    assert figure.axes[2].get_xlabel() == "layer, from input (1) to output (4)"


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
    figure = drawn(depth_figure, scores, [chosen])
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
        "one_score": "Bands and ties: intervals of no proven level for these classes and trained networks",
        "wider": "Bands and ties: 95 % intervals on other classes of this domain, training",
    }
    assert words[kind] in details_of(figure)


def test_the_caption_says_which_bands_have_another_scope_or_no_proven_level(scores, wider, one_score):
    curves = [wider, one_score.assign(metric="knn_purity"), wider.assign(metric="ood_auroc_knn")]
    assert (
        "Bands and ties: 95 % intervals on other classes of this domain, training repeated (OOD AUROC (k-NN): "
        "intervals of no proven level); k-NN purity: 95 % intervals for these classes and trained networks"
    ) in details_of(drawn(depth_figure, scores, curves))
    assert "95 %" not in details_of(drawn(depth_figure, scores, [wider.assign(metric="ood_auroc_knn")]))


def test_thin_lines_are_single_folds_in_the_place_of_bars(folded):
    curve = means(folded, "nmi")
    figure = drawn(depth_figure, folded, [curve])
    thin = [line.get_ydata() for line in figure.axes[0].lines if line.get_gid() == FOLD]
    unseen = curve[(curve["step"] == 100) & (curve["split"] == "unseen")]["value"].to_numpy()
    assert np.array(thin) == pytest.approx(unseen + np.array([[-0.02], [0], [0.02]]))
    assert "mean of 3 folds, 2 seeds each" in details_of(figure)
    assert "unseen classes of one fold" in legend_of(figure)
    assert not any(isinstance(c, LineCollection) and len(c.get_segments()) == 4 for c in figure.axes[0].collections)


def test_one_fold_has_no_thin_lines(scores):
    figure = drawn(depth_figure, scores, [means(scores, "nmi")])
    assert not any(line.get_gid() == FOLD for line in figure.axes[0].lines)
    assert "mean of 2 seeds, bars ± 1 standard deviation over seeds (ddof = 1)" in details_of(figure)


def test_without_intervals_there_are_no_bands_and_no_word_of_them(scores):
    chosen = means(scores, "nmi")
    figure = drawn(depth_figure, scores, [chosen])
    assert bands_of(figure.axes[0]) == []
    assert "ands" not in details_of(figure)
    assert not {"interval of unseen classes", "ties with the best"} & set(legend_of(figure))


def test_dots_are_filled_at_layers_that_tie_in_the_wider_scope_and_hollow_elsewhere(scores, one_score, wider):
    for curve, filled in ((one_score, [1, 2]), (wider, [1, 2, 3])):
        figure = drawn(depth_figure, scores, [curve])
        (dots,) = [line for line in figure.axes[0].lines if line.get_gid() == TIED]
        (hollow,) = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
        assert list(dots.get_xdata()) == filled
        assert sorted([*dots.get_xdata(), *hollow.get_xdata()]) == [0, 1, 2, 3]
        assert {"ties with the best", "worse than the best"} <= set(legend_of(figure))


@pytest.mark.parametrize(
    ("better", "subtitle"),
    [
        ("lower", "best at layer 1 of 4 (stem): "),
        ("neither", "neither high nor low"),
        ("higher", "best at layer 3 of 4 (blocks.1): "),
    ],
)
def test_the_best_layer_follows_the_scores_direction(scores, one_score, better, subtitle):
    figure = drawn(depth_figure, scores, [one_score.assign(better=better)])
    ax = figure.axes[0]
    unseen = one_score[(one_score["split"] == "unseen") & (one_score["step"] == 100)]["value"]
    ring = [line.get_ydata()[0] for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert ring == {"lower": [unseen.min()], "higher": [unseen.max()], "neither": []}[better]
    assert any(text.get_text().startswith(subtitle) for text in ax.texts)
    assert ("(lower is better)" in ax.get_ylabel()) == (better == "lower")


def test_a_score_without_any_finite_value_leaves_an_empty_panel(scores, one_score):
    figure = drawn(depth_figure, scores, [one_score.assign(value=np.nan, ci_images_low=np.nan, ci_images_high=np.nan)])
    assert "undefined on unseen classes" in [text.get_text() for text in figure.axes[0].texts]


def test_the_legend_shows_every_look_once_and_levels_in_the_colours_of_their_splits(scores, one_score):
    figure = drawn(depth_figure, scores, [one_score.assign(metric=metric) for metric in METRICS])
    (legend,) = figure.legends
    assert sorted(legend_of(figure)) == sorted(
        [
            *("unseen classes", "seen classes", "unseen classes at step 0", "best layer", "ties with the best"),
            *("worse than the best", "interval of unseen classes", "raw pixels, unseen and seen"),
            "chance, unseen and seen",
        ]
    )
    dashed = [line.get_color() for line in legend.findobj(Line2D) if line.get_linestyle() == "--"]
    assert dashed == [style.UNSEEN, style.SEEN] * 2
    check_layout(figure)


@pytest.mark.parametrize("name", style.LEVELS)
def test_where_the_lines_of_two_splits_coincide_both_colours_are_seen(name):
    def inked(split):
        offset, (on, off) = level_look(name, split)["linestyle"]
        return (np.linspace(0, 100, 10_001) + offset) % (on + off) < on

    seen_on_top = inked("test")
    assert seen_on_top.mean() > 0.3
    assert (inked("unseen") & ~seen_on_top).mean() > 0.3


def test_a_single_checkpoint_has_no_first_one_in_the_legend(scores, one_score):
    last = one_score[one_score["step"] == one_score["step"].max()]
    figure = drawn(depth_figure, scores, [last])
    assert "step" not in " ".join(legend_of(figure))


def test_scores_of_which_neither_high_nor_low_is_better_are_described(scores, one_score):
    curve = one_score.assign(better="neither", metric="rankme")
    ends = one_score[(one_score["step"] == 100) & (one_score["split"] == "unseen")]["value"].iloc[[0, -1]]
    figure = drawn(depth_figure, scores, [curve])
    assert message_of(figure) == (
        f"RankMe / min(N, D) of unseen classes goes from {ends.iloc[0]:.3g} at the first layer to {ends.iloc[1]:.3g} "
        "at the last"
    )
    assert "best layer" not in legend_of(figure)
