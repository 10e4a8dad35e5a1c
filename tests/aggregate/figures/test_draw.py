from dataclasses import replace

import pandas as pd
import pytest

from stages.aggregate.figures.draw import Drawn, draw_figures, set_aside
from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.findings.accuracy_rule import AccuracyFinding, AccuracyResult
from stages.aggregate.findings.facts import DatasetFindings, DepthFinding
from stages.aggregate.tables.depth import depth_table
from stages.aggregate.tables.steps import steps_table
from stages.aggregate.tables.summary import summarize
from tests.aggregate.figures.drawing import check_layout, drawn, legend_of
from tests.aggregate.figures.test_layer_pairs import layer_pairs
from tests.aggregate.figures.test_robustness import corrupted


@pytest.fixture
def made(monkeypatch):
    """Name -> figure, made when it is asked for, of everything that was drawn; nothing is written."""
    figures = {}
    monkeypatch.setattr("stages.aggregate.figures.draw.draw", lambda png, svg, make: figures.update({png.stem: make}))
    return figures


def draw(folder, scores, main_metric="nmi", models=("small", "small_scratch"), robustness=None, pairs=None):
    tables = {
        "depth.csv": depth_table(scores),
        "steps.csv": steps_table(scores),
        "robustness.csv": corrupted().head(0) if robustness is None else robustness,
        "layer_pairs.csv": layer_pairs().head(0) if pairs is None else pairs,
    }
    summary = summarize(scores, main_metric)
    datasets = dict.fromkeys(row.dataset for row in summary)
    evidence = [evidence_of([row for row in summary if row.main and row.dataset == dataset]) for dataset in datasets]
    return draw_figures(folder, Drawn(scores, summary, evidence, tables, list(models)))


def evidence_of(rows, accuracy=None, beaten=()):
    """What is known of networks without intervals, of which some may be known not to beat raw pixels."""
    accuracy = accuracy or AccuracyFinding("cannot be judged", None, None)
    depth = [DepthFinding(row.model, None, None, row.model not in beaten) for row in rows]
    return DatasetFindings(rows, [], accuracy, depth, [], [], [])


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
    assert f"g: {extreme} NMI of any layer" in details_of(made["steps-handwriting"]())


def test_overview_and_steps_show_the_main_curve_alone(scores, made, tmp_path):
    low = scores.curves.assign(pooling="max", main=False, value=scores.curves["value"] / 10)
    draw(tmp_path, replace(scores, curves=pd.concat([scores.curves, low], ignore_index=True)))
    named = [text.partition(":")[0] for text in legend_of(made["overview-handwriting"]())]
    assert named == ["small", "small_scratch", "raw pixels, unseen classes", "chance, unseen classes"]
    best = steps_table(scores).set_index(["fold", "model", "metric"]).loc[("mean", "small", "nmi"), "unseen"]
    lines = made["steps-handwriting"]().axes[0].lines
    assert any(list(line.get_ydata()) == pytest.approx(list(best)) for line in lines if len(line.get_ydata()) == 3)


def test_every_figure_is_of_the_means_over_folds(folded, made, tmp_path):
    draw(tmp_path, folded, pairs=layer_pairs(), robustness=corrupted().replace({"l.0": "stem", "l.1": "blocks.0"}))
    figures = {name: drawn(make) for name, make in made.items()}
    assert len(figures) == 6
    assert all("mean of 3 folds, 2 seeds each" in details_of(figure) for figure in figures.values())
    assert all(message_of(figure) for figure in figures.values())
    for figure in figures.values():
        check_layout(figure)
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
        "depth_clustering-handwriting-small",
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


def test_every_use_that_a_score_tells_of_has_a_figure(scores, made, tmp_path):
    nmi = scores.curves[(scores.curves["metric"] == "nmi") & (scores.curves["model"] == "small")]
    more = [nmi.assign(metric=metric) for metric in ("map_at_r", "rankme", "of_tomorrow", "r_precision")]
    draw(tmp_path, replace(scores, curves=pd.concat([nmi, *more])), models=["small"])
    assert list(made)[2:] == [
        f"{name}-handwriting-small" for name in ("depth", "depth_retrieval", "depth_geometry", "depth_other")
    ]
    assert [ax.get_ylabel() for ax in made["depth_retrieval-handwriting-small"]().axes] == ["MAP@R", "R-precision"]


def test_networks_that_findings_leave_out_of_scope_are_set_aside_unless_all_are(scores):
    rows = [row for row in summarize(scores, "nmi") if row.main]
    result = AccuracyResult(("small",), {"small_scratch": "less accurate than the best"}, (), 0, None, 0.95)
    assert set_aside(evidence_of(rows)) == {}
    assert set_aside(evidence_of(rows, AccuracyFinding("cannot be judged", None, result))) == {
        "small_scratch": "less accurate than the best"
    }
    assert set_aside(evidence_of(rows, beaten=["small"])) == {"small": "no layer is shown to beat raw pixels"}
    assert set_aside(evidence_of(rows, beaten=["small", "small_scratch"])) == {}
