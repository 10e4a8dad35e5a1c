"""DVC experiments side by side."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from stages.commands import ablate as module
from stages.commands.ablate import ablate, markdown, parse_summary
from stages.shared.runtime.errors import UserError
from tests.commands.summary_rows import further_pooling, rows
from tests.workflow import Workflow, tiny_images, tiny_params

SUMMARIES = {
    "HEAD": pd.concat([rows("d", "a", 2, 0.6, 0.5, 0.45, sd=0.05), rows("d", "b", 2, 0.6, 0.4, 0.3)]),
    "l2": pd.concat([rows("d", "a", 2, 0.6, 0.7, 0.6), rows("d", "b", 2, 0.6, 0.4, 0.2)]),
}


CELL = {f"{stage}@left-first-0-0" for stage in ("finetune", "embed", "measure")}


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "read_revision", lambda path, revision: SUMMARIES[revision].to_csv(index=False))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.usefixtures("experiments")
def test_experiments_are_lines_in_the_order_given(tmp_path: Path):
    args = ["l2", "HEAD", "--metric", "nmi", "--out", str(tmp_path / "table.csv")]
    printed = CliRunner().invoke(ablate, args, catch_exceptions=False).output
    a, b = printed.strip().split("\n\n**d, b**\n\n")
    assert a.startswith("**d, a**\n\n| experiment")
    header, _, first, second = a.splitlines()[2:]
    assert cells(header) == ["experiment", "nmi seen", "nmi unseen"]
    assert cells(first) == ["l2", "0.700 (2)", "0.600 (1)"]
    assert cells(second) == ["HEAD", "0.500 ± 0.050 (2)", "0.450 ± 0.050 (1)"]
    assert cells(b.splitlines()[-1]) == ["HEAD", "0.400 (2)", "0.300 (1)"]
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table)[:3] == ["experiment", "dataset", "model"]
    assert table["experiment"].tolist() == ["l2", "l2", "HEAD", "HEAD"]


@pytest.mark.usefixtures("experiments")
def test_out_replaces_nothing(tmp_path: Path):
    (tmp_path / "README.md").write_text("mine")
    for name in ("README.md", "."):
        with pytest.raises(UserError, match="must not exist"):
            CliRunner().invoke(ablate, ["HEAD", "--out", str(tmp_path / name)], catch_exceptions=False)
    assert (tmp_path / "README.md").read_text() == "mine"
    CliRunner().invoke(ablate, ["HEAD", "--out", str(tmp_path / "new" / "a.csv")], catch_exceptions=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.csv"]


def test_what_an_experiment_lacks_is_a_dash():
    full, partial = rows("d", "a", 1, 0.6, 0.5, 0.4), rows("d", "a", 1, 0.6, 0.5, 0.4)
    partial = partial[partial["metric"] == "nmi"]
    table = pd.concat([full.assign(experiment="x"), partial.assign(experiment="y")])
    assert cells(markdown(table, ["nmi", "knn_purity"]).splitlines()[-1])[-2:] == ["–", "–"]


def test_a_score_without_seen_classes_is_a_dash_alone():
    table = rows("d", "a", 1, 0.6, 0.5, 0.4).assign(experiment="x", seen=None, seen_depth=None)
    assert cells(markdown(table, ["nmi"]).splitlines()[-1]) == ["x", "–", "0.400 (1)"]


@pytest.mark.usefixtures("experiments")
def test_a_score_that_was_not_measured_is_an_error():
    with pytest.raises(UserError, match=r"--metric: must name scores .* found nmj: .*nmi"):
        CliRunner().invoke(ablate, ["HEAD", "--metric", "nmi", "--metric", "nmj"], catch_exceptions=False)


def test_of_the_default_scores_those_that_were_measured_are_shown(monkeypatch: pytest.MonkeyPatch):
    known = SUMMARIES["l2"].replace({"metric": {"nmi": "ami"}})
    monkeypatch.setattr(module, "read_revision", lambda path, revision: known.to_csv(index=False))
    printed = CliRunner().invoke(ablate, ["l2"], catch_exceptions=False).output
    assert cells(printed.splitlines()[3]) == ["experiment", "knn_purity seen", "knn_purity unseen"]
    none = known[known["metric"] == "ami"]
    monkeypatch.setattr(module, "read_revision", lambda path, revision: none.to_csv(index=False))
    with pytest.raises(UserError, match=r"--metric: must name a score, since .* have none of nmi, knn_purity"):
        CliRunner().invoke(ablate, ["l2"], catch_exceptions=False)


def test_only_the_main_pooling_of_a_network_counts():
    a, b = rows("cifar100", "a", 2, 0.6, 0.5, 0.4), rows("cifar100", "b", 2, 0.7, 0.3, 0.2)
    table = pd.concat([further_pooling(a), a, b, further_pooling(b)])
    found = parse_summary(table.to_csv(index=False), Path("summary.csv"))
    assert set(found["pooling"]) == {"mean"}
    assert found["model"].tolist() == ["a"] * 3 + ["b"] * 3


def test_without_the_main_score_the_first_pooling_is_the_main_one():
    a = rows("cifar100", "a", 2, 0.6, 0.5, 0.4).assign(main=False)
    found = parse_summary(pd.concat([a, further_pooling(a)]).to_csv(index=False), Path("summary.csv"))
    assert set(found["pooling"]) == {"mean"}


def test_a_model_may_be_called_na():
    assert set(parse_summary(rows("mine", "NA", 1, 0.6, 0.5, 0.4).to_csv(), Path("s"))["model"]) == {"NA"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "found no table"), ("dataset,model\na,b\n", "lacks metric, seen, .* fold, pooling, main")],
)
def test_another_table_is_an_error(text: str, found: str):
    with pytest.raises(UserError, match=found):
        parse_summary(text, Path("old.csv"))


def test_single_folds_are_left_out():
    mean, fold = (rows("d", "a", 2, 0.6, 0.5, 0.45).assign(fold=fold) for fold in ("mean", "0"))
    text = pd.concat([fold.assign(unseen=0.99, main=False), mean]).to_csv(index=False)
    assert parse_summary(text, Path("here"))["unseen"].tolist() == [0.45] * 3


@pytest.mark.slow
@pytest.mark.long
def test_real_experiments_are_read_from_dvcs_cache(tmp_path: Path):
    workflow = Workflow(tmp_path)
    tiny_params(workflow, ["left"], ["first"])
    tiny_images(tmp_path / "data" / "raw" / "left", seed=0)
    workflow.start_repository()
    workflow.run("dvc", "exp", "run", "-n", "default")
    workflow.run("dvc", "exp", "run", "-n", "stored", "-S", "measure.normalize=none")
    assert workflow.computed() == {"prepare@left", "aggregate"} | CELL
    command = [sys.executable, "-c", "from stages.commands.cli import main; main()", "ablate"]
    printed = workflow.run(*command, "default", "stored", "--out", "table.csv").stdout
    lines = [cells(line) for line in printed.splitlines() if line.startswith(("| default", "| stored"))]
    assert [line[0] for line in lines] == ["default", "stored"]
    assert lines[0][1:] != lines[1][1:]
    table = pd.read_csv(tmp_path / "table.csv").set_index(["experiment", "metric"])
    own = pd.read_csv(tmp_path / "data" / "results" / "summary.csv").set_index(["fold", "metric"])
    assert table.loc[("stored", "nmi"), "unseen"] == own.loc[("mean", "nmi"), "unseen"]  # the last one is here
    failed = workflow.run(*command, "l3", ok=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: l3: must be an experiment or a git revision whose data/results/summary.csv")
