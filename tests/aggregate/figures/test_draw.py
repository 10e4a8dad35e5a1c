from dataclasses import replace

import pandas as pd
import pytest

from stages.aggregate.figures.draw import draw_figures
from stages.aggregate.tables.depth import last_step
from stages.aggregate.tables.steps import follow_steps
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.test_layer_pairs import layer_pairs
from tests.aggregate.figures.test_robustness import corrupted


@pytest.fixture
def made(monkeypatch):
    """Name -> figure, made when it is asked for, of everything that was drawn; nothing is written."""
    figures = {}
    monkeypatch.setattr("stages.aggregate.figures.draw.draw", lambda folder, name, make: figures.update({name: make}))
    return figures


def draw(folder, scores, main_metric="nmi", models=("small", "small_scratch"), robustness=None, pairs=None):
    tables = {
        "depth.csv": last_step(scores),
        "steps.csv": follow_steps(scores),
        "robustness.csv": corrupted().head(0) if robustness is None else robustness,
        "layer_pairs.csv": layer_pairs().head(0) if pairs is None else pairs,
    }
    return draw_figures(folder, scores, summarize(scores, main_metric), tables, list(models))


def test_no_two_figures_share_a_name(scores, made, tmp_path):
    """A model `m_max` beside the pooling `max` of a model `m`, datasets `a_b` and `a` with models `c` and `b_c`."""
    one = scores.curves[scores.curves["model"] == "small"]
    grids = [
        one,
        one.assign(pooling="max", main=False),
        one.assign(model="small_max"),
        one.assign(model="handwriting_small"),
    ]
    grids += [one.assign(dataset="d_handwriting"), one.assign(dataset="d", model="handwriting_small")]
    curves = pd.concat(grids, ignore_index=True)
    count = draw(tmp_path, replace(scores, curves=curves), models=curves["model"].unique())
    assert len(made) == count == 2 * 3 + 6


@pytest.mark.parametrize(("better", "extreme"), [("higher", "highest"), ("lower", "lowest")])
def test_the_steps_figure_says_which_end_g_is(scores, made, tmp_path, better, extreme):
    curves = scores.curves[scores.curves["metric"] == "nmi"].assign(better=better)
    draw(tmp_path, replace(scores, curves=curves))
    assert f"g: {extreme} NMI of any layer" in made["steps-handwriting"]().get_suptitle()


def test_overview_and_steps_show_the_main_curve_alone(scores, made, tmp_path):
    low = scores.curves.assign(pooling="max", main=False, value=scores.curves["value"] / 10)
    draw(tmp_path, replace(scores, curves=pd.concat([scores.curves, low], ignore_index=True)))
    ends = [text.get_text() for text in made["overview-handwriting"]().axes[0].texts]
    assert [text.partition(":")[0] for text in ends] == ["small", "small_scratch", "raw pixels", "chance"]
    best = follow_steps(scores).set_index(["fold", "model", "metric"]).loc[("mean", "small", "nmi"), "unseen"]
    lines = made["steps-handwriting"]().axes[0].lines
    assert any(list(line.get_ydata()) == pytest.approx(list(best)) for line in lines if len(line.get_ydata()) == 3)


def test_every_figure_is_of_the_means_over_folds(folded, made, tmp_path):
    draw(tmp_path, folded, pairs=layer_pairs(), robustness=corrupted().replace({"l.0": "stem", "l.1": "blocks.0"}))
    figures = {name: make() for name, make in made.items()}
    assert len(figures) == 6
    assert all("mean of 3 folds, 2 seeds each" in f.get_suptitle().replace("\n", " ") for f in figures.values())
    (best,) = [row.unseen for row in summarize(folded, "nmi") if row.main and row.model == "small"]
    ring, *_ = [li for li in figures["overview-handwriting"].axes[0].lines if li.get_markerfacecolor() == "none"]
    assert list(ring.get_ydata()) == pytest.approx([best])
    assert max(len(line.get_xdata()) for line in figures["steps-handwriting"].axes[0].lines) == 3


def test_which_figures_are_drawn(scores, made, tmp_path):
    nmi = scores.curves[(scores.curves["metric"] == "nmi") & (scores.curves["model"] == "small")]
    more = replace(scores, curves=pd.concat([scores.curves, nmi.assign(metric="ami")]))
    pairs = layer_pairs()
    pairs["layer_a"], pairs["layer_b"] = (pairs[f"layer_{end}"].replace({"stem": "stem@max"}) for end in "ab")
    assert draw(tmp_path, more) == len(made) == 5
    assert list(made) == [
        "overview-handwriting",
        "steps-handwriting",
        "depth-handwriting-small",
        "depth_more-handwriting-small",
        "depth-handwriting-small_scratch",
    ]
    made.clear()
    robust = corrupted().replace({"l.0": "stem", "l.1": "elsewhere"})
    assert draw(tmp_path, more, "ami", ["small"], robust, pairs) == len(made)
    assert [name for name in made if "small_scratch" not in name][2:] == [
        "depth-handwriting-small",
        "robustness-handwriting",
        "layer_pairs-handwriting-small",
    ]
