import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.aggregate.__main__ import main
from stages.aggregate.facts_file import read_facts
from stages.aggregate.render.page.page import vega_bundle
from stages.aggregate.words.verdict import verdict
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import ANALYSIS_TABLES, COLUMNS, write_versions
from tests.aggregate.synthetic import freeze, write_cells, write_params
from tests.sealed import seal

ROOT = Path(__file__).parents[2]
PIPELINE = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")


def paths_of(outputs):
    """Paths in dvc.yaml, some of which carry options."""
    return [path if isinstance(path, str) else next(iter(path)) for path in outputs]


OUTS, METRICS = (paths_of(PIPELINE["stages"]["aggregate"][key]) for key in ("outs", "metrics"))
MODELS = ["small", "small_scratch"]
FURTHER = ("classes", "k_sensitivity", "layer_pairs", "scalings")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small grid with its results, written twice: `results` and `again`, and what was printed."""
    root = tmp_path_factory.mktemp("whole")
    write_cells(
        root, ["handwriting"], MODELS, [0, 1], analyses=True, layers=("stem", "blocks.0", "head_conv"),
        metrics=("nmi", "knn_purity", "probe_accuracy"),
    )  # fmt: skip
    write_params(root / "params.yaml", ["handwriting"], MODELS, [0, 1], analyses=ANALYSIS_TABLES)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        aggregate(patch, root, figures=True)
        aggregate(patch, root, "again", figures=True)
    return root, printed.getvalue()


@pytest.fixture
def results(whole):
    return whole[0] / "results"


def aggregate(monkeypatch, root, out="results", *, figures=False):
    """Run the stage, by default without figures, which take half of the time."""
    if not figures:
        monkeypatch.setattr("stages.aggregate.render.write.draw_figures", lambda *_: 0)
    argv = ["--measures", root / "measures", "--training", root / "training", "--out", root / out]
    argv += ["--thumbnails", root / "thumbnails", "--prepared", root / "prepared"]
    argv += ["--params", root / "params.yaml", "--log", root / "durations.jsonl"]
    monkeypatch.setattr(sys, "argv", ["aggregate", *map(str, argv)])
    main()


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def test_two_runs_write_identical_bytes(whole):
    first, second = whole[0] / "results", whole[0] / "again"
    assert files(first) == files(second)
    assert [f for f in files(first) if (first / f).read_bytes() != (second / f).read_bytes()] == []


def test_cells_that_were_made_with_several_versions_of_a_library_are_named(tmp_path, monkeypatch, capsys):
    write_cells(tmp_path, ["handwriting"], ["small"], [0, 1, 2])
    write_params(tmp_path / "params.yaml", ["handwriting"], ["small"], [0, 1, 2])
    found = {0: {"embed": "1.0"}, 1: {"embed": "1.0", "measure": "1.0"}, 2: {"finetune": "1.0", "embed": "1.1"}}
    for seed, stages in found.items():
        (cell,) = (tmp_path / "measures").glob(f"*/*/*/{seed}")
        write_versions(cell, {stage: {"torch": "2.0", "timm": version} for stage, version in stages.items()})
        seal(cell)
    aggregate(monkeypatch, tmp_path)
    name = "/".join(cell.parts[-4:])
    told = f"several library versions, which may move their scores: timm 1.0 (3 cells) and 1.1 ({name}). `dvc repro -f`"
    for file in ("report.html", "summary.md", "facts.json"):
        assert told in (tmp_path / "results" / file).read_text(encoding="utf-8")
    assert "torch" not in read_facts(tmp_path / "results").notice
    assert told in " ".join(capsys.readouterr().out.split())


def test_what_is_written_is_what_dvc_expects(results):
    assert {f"data/results/{f.parts[0]}" for f in files(results)} == {*OUTS, *METRICS}
    names = ["overview-handwriting", "steps-handwriting"]
    names += [f"{figure}-handwriting-{model}" for figure in ("depth", "layer_pairs") for model in MODELS]
    assert {f.name for f in files(results / "figures")} == {f"{name}.png" for name in names}
    assert {f.name for f in files(results / "figures_svg")} == {f"{name}.svg" for name in names}


def test_the_verdict_ends_the_stage(whole):
    root, printed = whole
    assert "aggregate: wrote 264 scores of 2 networks, 6 figures, " in printed
    assert f"\n{verdict(read_facts(root / 'results'))}\n" in printed


def test_nothing_written_holds_a_time_or_an_absolute_path(whole):
    root, _ = whole
    for file in files(root / "results"):
        content = (root / "results" / file).read_bytes().replace(vega_bundle().encode(), b"")
        assert str(root).encode() not in content, file
        assert not re.search(rb"20\d\d-\d\d-\d\dT|<dc:date>|tIME", content), file


def test_tables_have_the_contracts_columns_and_agree(whole):
    root, _ = whole
    layers, summary, steps = (pd.read_csv(root / "results" / f"{name}.csv") for name in ("layers", "summary", "steps"))
    assert list(layers.columns[: len(COLUMNS)]) == list(COLUMNS)
    measured = sum(len(pd.read_csv(p)) for p in (root / "measures").rglob("layers.csv"))
    assert len(layers) == measured - 4  # random heads at step 0
    nmi = layers[(layers["metric"] == "nmi") & (layers["split"] == "unseen") & (layers["depth"] >= 0)]
    nmi = nmi[(nmi["step"] == 100) & (nmi["model"] == "small")].groupby("layer")["value"].mean()
    row = summary[(summary["model"] == "small") & (summary["metric"] == "nmi")].iloc[0]
    assert (row["unseen"], row["best_layer"]) == (pytest.approx(nmi.max()), nmi.idxmax())
    metrics = json.loads((root / "results/metrics.json").read_text())
    assert metrics["handwriting"]["small"]["g_unseen"] == pytest.approx(nmi.max(), abs=1e-6)
    last = steps[(steps["model"] == "small") & (steps["metric"] == "nmi") & (steps["step"] == 100)].iloc[0]
    assert (last["unseen"], last["seen"]) == (pytest.approx(row["unseen"]), pytest.approx(row["seen"]))


def test_every_unseen_score_at_its_last_step_says_how_sure_it_is(results):
    depth, summary = (pd.read_csv(results / f"{name}.csv") for name in ("depth", "summary"))
    unseen = depth["split"] == "unseen"
    fitted_again = unseen & (depth["metric"] != "probe_accuracy")
    for name in ("ci_images_low", "ci_images_high", "tied_images"):
        assert depth[name].notna().equals(fitted_again)
    assert depth["ci_classes_low"].isna().all()
    assert (depth["ci_images_low"] < depth["ci_images_high"])[fitted_again].all()
    own = summary[summary["metric"] != "probe_accuracy"]
    assert (own["lead_images_at_least"] <= own["lead_images_at_most"]).all()
    assert own[["lead_images", "tied_images"]].notna().all(axis=None)
    keys = ["model", "fold", "metric"]
    best = depth[unseen].merge(summary, left_on=[*keys, "layer"], right_on=[*keys, "best_layer"])
    best = best[best["metric"] != "probe_accuracy"]
    assert best["tied_images_x"].astype(bool).all()
    assert (best["ci_images_low_x"] == best["ci_images_low_y"]).all()


def test_four_folds_speak_of_other_classes(tmp_path, monkeypatch, capsys):
    folds = ["0", "1", "2", "3"]
    write_cells(tmp_path, ["handwriting"], MODELS, [0], folds=folds, analyses=True, metrics=("nmi",))
    write_params(tmp_path / "params.yaml", ["handwriting"], MODELS, [0], folds="[0, 1, 2, 3]")
    aggregate(monkeypatch, tmp_path)
    summary = pd.read_csv(tmp_path / "results/summary.csv", dtype={"fold": str})
    assert summary["fold"].unique().tolist() == [*folds, "mean"]
    assert summary["ci_classes_low"].notna().equals(summary["fold"] == "mean")
    assert summary["ci_images_low"].notna().all()
    claims = json.loads((tmp_path / "results/findings.json").read_text())
    assert len(claims) == 3
    regret = pd.read_csv(tmp_path / "results/regret.csv").query("fold == 'mean' and criterion == 'other_folds'")
    assert len(regret) == len(MODELS)
    advised = json.loads((tmp_path / "results/recommendation.json").read_text())
    assert [(each["model"], each["shortlist_scope"]) for each in advised] == [(model, "classes") for model in MODELS]
    summary_md = (tmp_path / "results/summary.md").read_text()
    assert "## What choosing a layer costs" in summary_md
    sentences = re.findall(r"^- (\w+), discovery \(NMI\): layer .* over the last layer", summary_md, re.MULTILINE)
    assert sentences == MODELS
    assert "[ ]: 95% for other unseen classes and retraining." in capsys.readouterr().out


def test_of_one_use_the_verdict_and_the_page_speak_alone(grid, monkeypatch, capsys):
    params = grid / "params.yaml"
    whole = params.read_text()
    params.write_text(whole.replace("main_metric: nmi", "main_metric: nmi, use: retrieval"))
    aggregate(monkeypatch, grid)
    assert re.findall(r"^(\w+) \(", capsys.readouterr().out, re.MULTILINE) == ["retrieval"]
    page = (grid / "results/report.html").read_text()
    assert set(re.findall(r'data-use="(\w+)"', page)) == {"retrieval"}
    advised = json.loads((grid / "results/recommendation.json").read_text())
    assert [each["use"] for each in advised] == ["classifier", "retrieval", "discovery"] * 2
    params.write_text(whole.replace("main_metric: nmi", "main_metric: nmi, use: detection"))
    with pytest.raises(UserError, match="here classifier, discovery, retrieval, found 'detection'"):
        aggregate(monkeypatch, grid)


def test_the_page_has_images_unless_they_are_to_stay(results, grid, monkeypatch):
    params, picture = grid / "params.yaml", '"images":["'
    assert picture in (results / "report.html").read_text()
    params.write_text(params.read_text().replace("main_metric: nmi", "main_metric: nmi, images: false"))
    aggregate(monkeypatch, grid)
    assert picture not in (grid / "results/report.html").read_text()


def test_tables_of_further_analyses_hold_every_cell(results):
    tables = {name: pd.read_csv(results / f"{name}.csv") for name in FURTHER}
    assert {name: len(table) for name, table in tables.items()} == {
        "classes": 2 * (2 * 2 * 4 * 5 + 5),  # models; scores, splits, layers and pixels, classes; the head
        "k_sensitivity": 4 * 2 * 3 * 3,  # cells, splits, layers, numbers of clusters
        "layer_pairs": 4 * 6,
        "scalings": 4 * 2 * 3 * 3,  # cells, splits, layers, scalings
    }


def test_cells_of_which_nothing_was_fitted_again_have_no_intervals(grid, monkeypatch):
    write_params(grid / "params.yaml", ["handwriting"], ["small"], [0])
    aggregate(monkeypatch, grid)
    summary = pd.read_csv(grid / "results/summary.csv")
    assert summary["unseen"].notna().all()
    assert summary[["ci_images_low", "lead_images", "tied_images"]].isna().all(axis=None)
    assert [len(pd.read_csv(grid / f"results/{name}.csv")) for name in FURTHER[1:]] == [0] * 3


def test_fold_all_says_nothing_of_generalization(tmp_path, monkeypatch):
    """It stands in the tables of cells and of training, and changes no other."""
    shape = {"analyses": True, "layers": ("stem", "blocks.0"), "metrics": ("nmi", "knn_purity")}
    write_cells(tmp_path, ["handwriting"], ["small"], [0, 1], **shape)
    tables = {}
    for folds in ("[0]", "[0, all]"):
        if "all" in folds:
            write_cells(tmp_path, ["handwriting"], ["small"], [0, 1], folds=["all"], **(shape | {"analyses": False}))
        write_params(
            tmp_path / "params.yaml", ["handwriting"], ["small"], [0, 1], folds=folds, analyses=ANALYSIS_TABLES
        )
        aggregate(monkeypatch, tmp_path)
        tables[folds] = {path: (tmp_path / "results" / path).read_bytes() for path in files(tmp_path / "results")}
    before, after = tables.values()
    assert {path.name for path in after if after[path] != before.get(path)} == {
        "digests.json",
        "facts.json",  # its cell
        "layers.csv",
        "training.csv",
        "report.html",
    }
    for table in ("layers.csv", "training.csv"):
        lines = after[Path(table)].splitlines()
        own = [line for line in lines if b",all," not in line]
        assert 1 < len(own) < len(lines)
        assert own == before[Path(table)].splitlines()


def test_two_folds_are_averaged_without_a_word_on_other_classes(tmp_path, monkeypatch):
    shape = {"analyses": True, "layers": ("stem", "blocks.0"), "metrics": ("nmi",)}
    write_cells(tmp_path, ["handwriting"], ["small"], [0], folds=["0", "1"], **shape)
    write_params(tmp_path / "params.yaml", ["handwriting"], ["small"], [0], folds="[0, 1]", analyses=ANALYSIS_TABLES)
    aggregate(monkeypatch, tmp_path)
    layers = pd.read_csv(tmp_path / "results/layers.csv")
    last = layers[(layers["step"] == 100) & (layers["split"] == "unseen") & (layers["depth"] >= 0)]
    row = pd.read_csv(tmp_path / "results/summary.csv").set_index("fold").loc["mean"]
    assert row["unseen"] == pytest.approx(last.groupby("layer")["value"].mean().max())
    assert pd.isna(row["ci_classes_low"])
    assert row["ci_images_low"] < row["unseen"] < row["ci_images_high"]


def test_a_frozen_network_has_no_accuracy_anywhere(grid, monkeypatch):
    freeze(grid, "small")
    aggregate(monkeypatch, grid)
    summary, steps, training = (pd.read_csv(grid / f"results/{name}.csv") for name in ("summary", "steps", "training"))
    for table in (summary, steps, training):
        assert table.groupby("model")["accuracy"].any().to_dict() == {"small": False, "small_scratch": True}
    assert summary.groupby("model")["step"].first().to_dict() == {"small": 0, "small_scratch": 100}
    metrics = json.loads((grid / "results/metrics.json").read_text())["handwriting"]
    assert metrics["small"]["accuracy"] is None
    assert metrics["small_scratch"]["accuracy"] > 0
    summary_md = (grid / "results/summary.md").read_text()
    assert "Left out, having no fine-tuned head: small." in summary_md
    assert re.search(r"^\| `small` +\| mean +\| NMI +\| +– \|", summary_md, re.MULTILINE)


def test_a_main_metric_that_was_not_measured_is_an_error(grid, monkeypatch):
    write_params(grid / "params.yaml", ["handwriting"], ["small"], [0], metric="knn_purty")
    with pytest.raises(UserError, match="did you mean 'knn_purity'"):
        aggregate(monkeypatch, grid)
    assert not (grid / "results").exists()


def test_a_wrong_section_is_an_error_before_anything_is_read(grid, monkeypatch):
    text = (grid / "params.yaml").read_text()
    (grid / "params.yaml").write_text(text.replace("main_metric: nmi", "main_metric: 3"))
    (grid / "measures/handwriting/small/0/0/layers.csv").unlink()
    with pytest.raises(UserError, match=r"aggregate\.main_metric: .*found 3 \(int\)"):
        aggregate(monkeypatch, grid)


def test_torch_is_not_imported():
    code = "import stages.aggregate.__main__, stages.commands.results, sys; "
    code += "print('torch' in sys.modules, 'zarr' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


PICTURES = [plot for plot in PIPELINE["plots"] if isinstance(plot, str)]
PLOTS = [plot for plot in PIPELINE["plots"] if plot not in PICTURES]


def test_dvc_shows_the_figures_once_each(results):
    assert PICTURES == ["data/results/figures"]
    assert {path.suffix for path in files(results / "figures")} == {".png"}


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: next(iter(plot)))
def test_every_dvc_plot_draws_columns_that_its_file_has(results, plot):
    """The template exists, and every field that it names is a column of the file, computed in it, or given by DVC."""
    ((_, properties),) = plot.items()
    ((file, y),) = properties["y"].items()
    assert file in OUTS
    template = (ROOT / f".dvc/plots/{properties['template']}.json").read_text()
    columns = set(pd.read_csv(results / Path(file).name).columns)
    assert {properties["x"], y} <= columns
    fields = {f for f in re.findall(r'"fields?": \[?\s*"([^"]+)"', template) if not f.startswith("<DVC_METRIC_")}
    computed = set(re.findall(r'"as": "([^"]+)"', template))
    assert fields <= columns | computed | {"rev"}
    assert "<DVC_METRIC_DATA>" in template
