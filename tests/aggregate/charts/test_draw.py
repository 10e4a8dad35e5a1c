import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from stages.aggregate.charts.draw import draw_figures, make_figures
from stages.aggregate.compute import Results
from stages.aggregate.facts import Facts
from stages.aggregate.findings.outcomes import AccuracyFinding, DatasetFindings, NetworkFindings, Status
from stages.aggregate.tables.score_tables import depth_table, steps_table
from stages.aggregate.tables.summary import summarize
from stages.core.scores.catalogue import SCORES
from tests.aggregate.charts.drawing import Drawing
from tests.aggregate.charts.made import shown
from tests.aggregate.charts.test_layer_pairs import layer_pairs

MODELS = ["small", "small_scratch"]


def made(scores, main_metric="nmi", pairs=None):
    tables = {
        "depth.csv": depth_table(scores),
        "steps.csv": steps_table(scores),
        "layer_pairs.csv": layer_pairs().head(0) if pairs is None else pairs,
    }
    summary = summarize(scores, main_metric)
    datasets = dict.fromkeys(row.dataset for row in summary)
    findings = [findings_of([row for row in summary if row.main and row.dataset == dataset]) for dataset in datasets]
    return Results(
        pd.DataFrame(),
        scores,
        summary,
        Facts(main_uses(summary), findings),
        pd.DataFrame(),
        tables,
        shown(scores, summary),
    )


def main_uses(summary):
    """What is recommended by the main score, as far as figures ask."""
    return [
        SimpleNamespace(dataset=row.dataset, use=SCORES[row.metric].use, metric=row.metric)
        for row in summary
        if row.main
    ]


def make(scores, *args, models=MODELS, **options):
    return make_figures(made(scores, *args, **options), models)


def findings_of(rows, accuracy=None, beaten=()):
    """What is known of networks without intervals, of which some may be known not to beat raw pixels."""
    accuracy = accuracy or AccuracyFinding(Status.UNKNOWN, {})
    networks = [NetworkFindings(row, row.model not in beaten, None, (0.1, 0.2)) for row in rows]
    return DatasetFindings(networks, accuracy)


def test_every_figure_is_written_as_png_and_svg(scores, tmp_path):
    results = made(scores, pairs=layer_pairs())
    rows = [row for row in results.summary if row.model == "small"]
    results = replace(results, summary=rows, shown=shown(scores, rows))
    count = draw_figures(tmp_path, results, MODELS)
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert len(names) == count == 7
    assert {path.name for path in (tmp_path / "figures_svg").iterdir()} == {f"{name}.svg" for name in names}


def test_no_two_figures_share_a_name(scores):
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
    assert len(make(replace(scores, curves=curves), models=curves["model"].unique())) == 2 * 3 + 2 * 6


def test_overview_and_steps_show_the_main_curve_alone(scores):
    low = scores.curves.assign(pooling="max", main=False, value=scores.curves["value"] / 10)
    figures = make(replace(scores, curves=pd.concat([scores.curves, low], ignore_index=True)))
    overview = Drawing(figures["overview-handwriting"])
    assert [text.partition(":")[0] for text in overview.texts if ": best" in text] == ["small", "small_scratch"]
    (best,) = [row.unseen for row in summarize(scores, "nmi") if row.main and row.model == "small"]
    assert overview.rings()[0]["value"] == pytest.approx(best)


def test_every_figure_is_of_the_means_over_folds_and_says_something(folded):
    figures = {name: Drawing(spec) for name, spec in make(folded, pairs=layer_pairs()).items()}
    assert len(figures) == 7
    assert all("mean over 3 folds, 2 seeds each" in figure.caption and figure.message for figure in figures.values())
    assert figures["appendix-handwriting-small"].message == "1-NN accuracy seems best at layer 3 of 4"
    assert all(3 < len(figure.message.split()) <= 12 for figure in figures.values())
    bars = "Bars at the best and the last layer: ± 1 standard deviation over folds (ddof = 1)"
    assert bars in figures["overview-handwriting"].caption
    assert "Bands: ± 1 standard deviation over folds (ddof = 1)" in figures["depth-handwriting-small"].caption


def test_the_caption_says_which_bands_have_another_scope_or_no_proven_level(scores, wider, one_score):
    curves = pd.concat([wider, one_score.assign(metric="nn1_accuracy"), wider.assign(metric="silhouette")])
    caption = Drawing(make(replace(scores, curves=curves), models=["small"])["appendix-handwriting-small"]).caption
    assert "Bands and ties: for other unseen classes and retraining (unproven: silhouette)" in caption
    assert "; 1-NN accuracy: 95% for other images of these classes." in caption
    other = wider.assign(metric="ood_auroc_mahalanobis")
    alone = make(replace(scores, curves=pd.concat([wider, other])), models=["small"])
    assert "95%" not in Drawing(alone["appendix-handwriting-small"]).caption


def test_which_figures_are_drawn(scores):
    nmi = scores.curves[(scores.curves["metric"] == "nmi") & (scores.curves["model"] == "small")]
    more = replace(scores, curves=pd.concat([scores.curves, nmi.assign(metric="ami")]))
    pairs = layer_pairs()
    pairs["layer_a"], pairs["layer_b"] = (pairs[f"layer_{end}"].replace({"stem": "stem@max"}) for end in "ab")
    kinds = ["overview", "steps", "depth", "appendix", "layer_pairs"]
    of_small = [name for name in make(more, "ami", pairs=pairs) if "small_scratch" not in name]
    assert sorted(of_small) == sorted(f"{kind}-handwriting{'' if kind in kinds[:2] else '-small'}" for kind in kinds)


def test_the_score_that_leads_each_use_has_a_panel_in_the_order_of_uses(scores):
    nmi = scores.curves[(scores.curves["metric"] == "nmi") & (scores.curves["model"] == "small")]
    more = [nmi.assign(metric=metric) for metric in ("map_at_r", "rankme", "nn1_accuracy", "r_precision")]
    more[1] = more[1].assign(better="neither")
    results = made(replace(scores, curves=pd.concat([nmi, *more])))
    leads = [SimpleNamespace(dataset="handwriting", use="retrieval", metric="map_at_r")]
    results = replace(results, facts=replace(results.facts, recommendations=leads + main_uses(results.summary)))
    figures = {name: Drawing(spec) for name, spec in make_figures(results, ["small"]).items()}
    heads = {name: [text for text in each.texts if re.match(r"\([a-z]\) ", text)] for name, each in figures.items()}
    assert heads["depth-handwriting-small"] == ["(a) MAP@R", "(b) NMI"]
    assert heads["appendix-handwriting-small"] == ["(a) 1-NN accuracy", "(b) RankMe / min(N, D)"]
    assert "MAP@R on unseen classes" in figures["overview-handwriting"].texts


def test_networks_that_are_set_aside_are_named(scores):
    results = made(scores)
    facts = Facts(main_uses(results.summary), [findings_of(results.facts.findings[0].rows, beaten=["small"])])
    figures = make_figures(replace(results, facts=facts), MODELS)
    assert (
        "small, in grey: no layer is shown to beat chance and raw pixels"
        in Drawing(figures["overview-handwriting"]).texts
    )
