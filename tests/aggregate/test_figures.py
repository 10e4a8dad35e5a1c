from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb

from stages.aggregate.curves import average
from stages.aggregate.figures import style
from stages.aggregate.figures.depth import MOST_LABELLED, depth_figure
from stages.aggregate.figures.draw import draw_figures
from stages.aggregate.figures.layer_pairs import layer_pairs_figure, matrix
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.panel import BEST_SET
from stages.aggregate.figures.robustness import robustness_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.inputs import read_layers
from stages.aggregate.points import curves
from stages.aggregate.tables.summary import follow_steps, last_step, summarize


@pytest.fixture
def scores(grid, run):
    return average(read_layers(grid / "measures", run), run)


@pytest.fixture
def one_score(scores):
    """NMI of one network, with intervals of ± 0.05 and a best set of the depths 1 and 2 at the last step."""
    curve = scores.curves[(scores.curves["model"] == "small") & (scores.curves["metric"] == "nmi")]
    last = curve["step"] == 100
    return curve.assign(
        ci_images_low=np.where(last, curve["value"] - 0.05, np.nan),
        ci_images_high=np.where(last, curve["value"] + 0.05, np.nan),
        in_best_set=pd.array(
            np.where(last & (curve["split"] == "unseen"), curve["depth"].isin([1, 2]), None), "boolean"
        ),
    )


def drawn(make, *args):
    with rc_context(style.RC):
        return make(*args)


def bands_of(ax):
    """Bottom and top of every band."""
    boxes = [c.get_datalim(ax.transData) for c in ax.collections if isinstance(c, PolyCollection)]
    return [(box.y0, box.y1) for box in boxes]


def lines_of(ax, color):
    """The data of every line of one colour, longest first."""
    lines = [line for line in ax.lines if to_rgb(line.get_color()) == to_rgb(color)]
    return sorted(lines, key=lambda line: -len(line.get_xdata()))


def test_spread_moves_only_what_overlaps():
    assert style.spread([0.1, 0.5, 0.9], 0.1, 0, 1) == pytest.approx([0.1, 0.5, 0.9])
    assert style.spread([0.5, 0.5], 0.1, 0, 1) == pytest.approx([0.45, 0.55])
    assert style.spread([0.0, 0.01, 0.9], 0.1, 0, 1) == pytest.approx([0.0, 0.1, 0.9])


def test_spread_keeps_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = style.spread(sorted(rng.random(8)), 0.1, 0, 1)
        assert np.diff(moved).min() >= 0.1 - 1e-9
        assert min(moved) >= 0
        assert max(moved) <= 1 + 1e-9


def test_models_beyond_the_palette_differ_in_line_style():
    looks = [tuple(map(str, style.model_style(i).values())) for i in range(3 * len(style.MODELS))]
    assert len(set(looks)) == len(looks)


def test_the_depth_figure_shows_the_curves_and_rings_the_best_layer(scores):
    chosen = scores.curves[scores.curves["model"] == "small"]
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
    assert {text.get_text() for text in ax.texts} >= {"seen", "unseen", "unseen, step 0", "raw pixels", "chance"}
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == [
        "stem",
        "blocks.0",
        "blocks.1",
        "head_conv",
    ]


def test_error_bars_are_standard_deviations_over_seeds(scores):
    chosen = scores.curves[(scores.curves["model"] == "small") & (scores.curves["metric"] == "nmi")]
    with rc_context(style.RC):
        figure = depth_figure(scores, [chosen])
    bars = [c for c in figure.axes[0].collections if isinstance(c, LineCollection) and len(c.get_segments()) == 4]
    heights = [segment[1][1] - segment[0][1] for segment in bars[-1].get_segments()]
    unseen = chosen[(chosen["split"] == "unseen") & (chosen["step"] == 100)]
    assert heights == pytest.approx(2 * unseen["sd"].to_numpy())


def test_the_steps_figure_shows_accuracy_and_both_ways_of_choosing(scores):
    rows = follow_steps(scores)
    rows = rows[rows["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = steps_figure(rows, 2)
    small = rows[rows["model"] == "small"]
    ax = figure.axes[0]
    for column, color in (("accuracy", style.ACCURACY), ("seen", style.SEEN), ("unseen_fixed", style.FIRST)):
        assert lines_of(ax, color)[0].get_ydata() == pytest.approx(small[column].to_numpy())


def test_the_overview_rings_every_networks_best_layer(scores):
    points = last_step(scores)
    points = points[points["metric"] == "nmi"]
    with rc_context(style.RC):
        figure = overview_figure(points, {"chance": 0.01}, ["small", "small_scratch"], 2)
    rings = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    best = summarize(scores, "nmi")
    best = best[best["main"]]
    assert [line.get_ydata()[0] for line in rings] == pytest.approx(best["unseen"].to_numpy())
    assert [line.get_xdata()[0] for line in rings] == pytest.approx((best["best_depth"] / 3).to_numpy(), abs=1e-6)


def test_bands_are_the_intervals_over_images_of_both_splits(scores, one_score):
    figure = drawn(depth_figure, scores, [one_score])
    last = one_score[one_score["step"] == 100]
    expected = [
        (rows["value"].min() - 0.05, rows["value"].max() + 0.05)
        for rows in (last[last["split"] == "test"], last[last["split"] == "unseen"])
    ]
    assert np.array(bands_of(figure.axes[0])) == pytest.approx(np.array(expected))
    assert "bands: intervals over images" in figure.get_suptitle().replace("\n", " ")


def test_without_intervals_there_are_no_bands_and_no_word_of_them(scores):
    chosen = scores.curves[(scores.curves["model"] == "small") & (scores.curves["metric"] == "nmi")]
    figure = drawn(depth_figure, scores, [chosen])
    assert bands_of(figure.axes[0]) == []
    assert "band" not in figure.get_suptitle()
    assert "thick" not in figure.get_suptitle()


def test_the_axis_is_thick_under_the_best_set(scores, one_score):
    gaps = one_score.assign(in_best_set=one_score["in_best_set"] | (one_score["depth"] == 0) | one_score["depth"].eq(3))
    for curve, runs in ((one_score, [(0.5, 2.5)]), (gaps[gaps["depth"] != 1], [(-0.5, 0.5), (1.5, 3.5)])):
        figure = drawn(depth_figure, scores, [curve])
        pieces = [line for line in figure.axes[0].lines if line.get_gid() == BEST_SET]
        assert [tuple(line.get_xdata()) for line in pieces] == runs


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


@pytest.mark.parametrize(("high", "scale"), [(1.0, "linear"), (90.0, "log"), (20.0, "linear")])
def test_only_a_score_that_is_no_share_and_spans_far_gets_a_logarithmic_axis(high, scale):
    with rc_context(style.RC):
        ax = style.Figure().subplots()
        style.score_axis(ax, 0.02 if high == 1.0 else 1.0, high)
    assert ax.get_yscale() == scale
    assert ax.get_ylim()[1] > high


def test_the_overviews_bar_is_the_best_layers_interval(scores, one_score):
    points = last_step(replace(scores, curves=one_score))
    figure = drawn(overview_figure, points, {}, ["small"], 2)
    (bar,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    ((low, high),) = [segment[:, 1] for segment in bar.get_segments()]
    top = points[points["split"] == "unseen"]["value"].max()
    assert (low, high) == pytest.approx((top - 0.05, top + 0.05))
    assert "bars: 95 % intervals over images" in figure.get_suptitle().replace("\n", " ")


def corrupted(depths=(0, 1), severities=(1, 2), kinds=("blur", "noise"), models=("small",)):
    rows = [
        {"dataset": "handwriting", "model": model, "layer": f"l.{depth}", "depth": depth, "pooling": "mean"}
        | {"metric": "probe_accuracy", "corruption": kind, "severity": severity, "chance": 0.1}
        | {"relative": 1 - 0.1 * severity - 0.02 * depth - 0.3 * (kind == "noise")}
        for model in models
        for kind in kinds
        for severity in severities
        for depth in depths
    ]
    return pd.DataFrame(rows).astype({"depth": "Int64"}).assign(value=lambda table: 0.7 * table["relative"])


def test_robustness_has_a_row_per_network_a_column_per_corruption_a_line_per_severity():
    rows = corrupted(models=("small", "large"))
    head = rows[rows["depth"] == 0].assign(layer="head", metric="accuracy", relative=0.4, value=0.3)
    figure = drawn(robustness_figure, rows, head, 1)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["blur", "noise", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["small", "", "large", ""]
    curves_of_noise = [
        line.get_ydata() for line in figure.axes[1].lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    assert np.array(curves_of_noise) == pytest.approx(np.array([[0.6, 0.58], [0.5, 0.48]]))
    diamonds = [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert diamonds == [[[2, 0.4]], [[2, 0.4]]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "1", "head"]


def test_robustness_near_chance_is_hollow_and_does_not_set_the_scale():
    rows = corrupted()
    rows.loc[rows["depth"] == 1, ["value", "relative"]] = [0.38, 2.0]  # of 0.19 when clean, at a chance of 0.1
    figure = drawn(robustness_figure, rows, rows.iloc[:0], 1)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xydata().tolist() for line in hollow] == [[[1.0, 2.0]], [[1.0, 2.0]]]
    assert figure.axes[0].get_ylim()[1] < 1.5
    assert "below 2 times chance" in figure.get_suptitle()
    assert "chance" not in drawn(robustness_figure, corrupted(), rows.iloc[:0], 1).get_suptitle()


def test_robustness_labels_of_a_head_far_outside_the_axes_leave_room_for_the_panels():
    rows = corrupted()
    head = rows[rows["depth"] == 0].assign(layer="head", metric="accuracy", relative=6.0, value=0.12)  # clean: 0.02
    figure = drawn(robustness_figure, rows, head, 1)
    low, high = figure.axes[1].get_ylim()
    assert all(low <= text.xyann[1] <= high for text in figure.axes[1].texts)
    alone = drawn(robustness_figure, rows, head.assign(relative=0.4), 1)
    assert figure.axes[1].get_position().height == pytest.approx(alone.axes[1].get_position().height, rel=0.1)


def test_robustness_without_any_defined_value_is_an_empty_figure():
    rows = corrupted().assign(relative=np.nan)
    figure = drawn(robustness_figure, rows, rows.iloc[:0], 1)
    assert figure.axes[0].get_ylim()[1] > 1
    assert "diamonds" not in figure.get_suptitle()


def layer_pairs(seeds=(0, 1), splits=("test", "unseen")):
    names = ["pixels", "stem", "blocks.0"]
    rows = [
        {"dataset": "handwriting", "model": "small", "seed": seed, "step": 100, "split": split, "layer_a": names[a]}
        | {"depth_a": a - 1, "pooling_a": "mean" if a else "none", "layer_b": names[b], "depth_b": b - 1}
        | {"pooling_b": "mean" if b else "none", "cka": 1.0 if a == b else 0.1 * (a + b) + 0.02 * seed}
        for seed in seeds
        for split in splits
        for a in range(3)
        for b in range(a, 3)
    ]
    return pd.DataFrame(rows)


def test_the_matrix_of_layer_pairs_is_symmetric_and_the_mean_over_seeds():
    layers, values = matrix(layer_pairs(splits=["unseen"]).sample(frac=1, random_state=0))
    assert layers == ["pixels", "stem", "blocks.0"]
    assert values == pytest.approx(np.array([[1, 0.11, 0.21], [0.11, 1, 0.31], [0.21, 0.31, 1]]))


def test_layer_pairs_have_a_matrix_per_split_with_names_and_numbers():
    figure = drawn(layer_pairs_figure, layer_pairs())
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == [
        "images of seen classes",
        "images of unseen classes",
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["raw pixels", "stem", "blocks.0"]
    assert [text.get_text() for text in figure.axes[1].texts][:3] == ["1.00", "0.11", "0.21"]
    assert "mean of 2 seeds" in figure.get_suptitle()


def test_no_two_figures_share_a_name(scores, monkeypatch, tmp_path):
    """A model `m_max` beside the pooling `max` of a model `m`, datasets `a_b` and `a` with models `c` and `b_c`."""
    names = []
    monkeypatch.setattr("stages.aggregate.figures.draw.draw", lambda folder, name, make: names.append(name))
    one = scores.curves[scores.curves["model"] == "small"]
    grids = [
        one,
        one.assign(pooling="max", main=False),
        one.assign(model="small_max"),
        one.assign(model="handwriting_small"),
    ]
    grids += [one.assign(dataset="d_handwriting"), one.assign(dataset="d", model="handwriting_small")]
    curves = pd.concat(grids, ignore_index=True)
    count = draw_figures(
        tmp_path, replace(scores, curves=curves), "nmi", list(curves["model"].unique()), corrupted().iloc[:0],
        layer_pairs().iloc[:0],
    )  # fmt: skip
    assert len(set(names)) == count == 2 * 3 + 6


@pytest.mark.parametrize(("better", "extreme"), [("higher", "highest"), ("lower", "lowest")])
def test_the_steps_figure_says_which_end_g_is(scores, monkeypatch, tmp_path, better, extreme):
    titles = []
    monkeypatch.setattr(
        "stages.aggregate.figures.draw.draw", lambda folder, name, make: titles.append(make().get_suptitle())
    )
    curves = scores.curves[scores.curves["metric"] == "nmi"].assign(better=better)
    draw_figures(tmp_path, replace(scores, curves=curves), "nmi", ["small", "small_scratch"], corrupted().iloc[:0],
                 layer_pairs().iloc[:0])  # fmt: skip
    assert f"g: {extreme} NMI of any layer" in titles[1]


def test_which_figures_are_drawn(scores, monkeypatch, tmp_path):
    names = []
    monkeypatch.setattr("stages.aggregate.figures.draw.draw", lambda folder, name, make: names.append(name))
    nmi = scores.curves[(scores.curves["metric"] == "nmi") & (scores.curves["model"] == "small")]
    more = replace(scores, curves=pd.concat([scores.curves, nmi.assign(metric="ami")]))
    pairs = layer_pairs()
    pairs["layer_a"], pairs["layer_b"] = (pairs[f"layer_{end}"].replace({"stem": "stem@max"}) for end in "ab")
    models = ["small", "small_scratch"]
    empty = corrupted().iloc[:0]
    assert draw_figures(tmp_path, more, "nmi", models, empty, pairs.iloc[:0]) == len(names) == 5
    assert names == [
        "overview-handwriting",
        "steps-handwriting",
        "depth-handwriting-small",
        "depth_more-handwriting-small",
        "depth-handwriting-small_scratch",
    ]
    names.clear()
    robust = corrupted().replace({"l.0": "stem", "l.1": "elsewhere"})
    assert draw_figures(tmp_path, more, "ami", models[:1], robust, pairs) == len(names)
    assert [name for name in names if "small_scratch" not in name][2:] == [
        "depth-handwriting-small",
        "robustness-handwriting",
        "layer_pairs-handwriting-small",
    ]
