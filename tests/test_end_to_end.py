"""The real workflow on a tiny grid: what comes out, and that only what changed runs again."""

import json
import shutil
import warnings
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import xarray
from nbclient import NotebookClient
from PIL import Image
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from tests.workflow import ROOT, TINY_NETWORK, Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

DATASETS, MODELS = ("left", "right"), ("first", "second")
CELLS = {f"{d}-{m}-0-0" for d in DATASETS for m in MODELS}


def stages(*names: str, cells: set[str] = CELLS) -> set[str]:
    return {f"{name}@{cell}" for name in names for cell in cells}


def cells_of(name: str) -> set[str]:
    return {cell for cell in CELLS if name in cell.split("-")}


AGGREGATE = {"aggregate"}
EVERYTHING = {f"prepare@{d}" for d in DATASETS} | stages("finetune", "embed", "measure") | AGGREGATE


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(tmp_path_factory.mktemp("project"))
    tiny_params(workflow, DATASETS, MODELS)
    workflow.edit_params({"models.second.network.name": "test_vit.r160_in1k"})
    for seed, dataset in enumerate(DATASETS):
        tiny_images(workflow.folder / "data" / "raw" / dataset, seed=seed)
    workflow.start_repository()
    assert workflow.repro() == EVERYTHING
    return workflow


@pytest.fixture
def copied(project: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the project for one test, with its cache."""
    shutil.copytree(project.folder, tmp_path / "copy", symlinks=True)
    return Workflow.opened(tmp_path / "copy")


ONE = {"run.datasets": ["left"], "run.models": ["first"]}
"""A grid of one cell of the project's four."""


def results(project: Workflow) -> dict[str, bytes]:
    folder = project.folder / "data" / "results"
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tables_hold_the_grid(project: Workflow):
    layers = pd.read_csv(project.folder / "data/results/layers.csv")
    summary = pd.read_csv(project.folder / "data/results/summary.csv")
    keys = ["dataset", "model", "fold", "seed"]
    contract = [*keys, "step", "split", "layer", "depth", "pooling", "metric", "value"]
    assert list(layers.columns[: len(contract)]) == contract
    assert set(layers.groupby(keys).groups) == {(d, m, 0, 0) for d in DATASETS for m in MODELS}
    assert set(layers.metric) == {"nmi", "knn_purity", "nn1_accuracy", "probe_accuracy", "accuracy"}
    assert layers.value.between(0, 1).all()
    assert (layers.value <= layers.ceiling).all()
    best = layers[(layers.split == "unseen") & (layers.step == 2) & (layers.metric == "nmi") & (layers.depth >= 0)]
    expected = best.groupby(["dataset", "model"]).value.max()
    got = summary[(summary.metric == "nmi") & (summary.fold == "mean")].set_index(["dataset", "model"]).unseen
    pd.testing.assert_series_equal(got.sort_index(), expected, check_names=False)
    assert json.loads(project.text("data/results/metrics.json"))


def test_dvc_shows_metrics_and_plots(project: Workflow):
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").stdout)
    metrics = json.loads(project.text("data/results/metrics.json"))

    def without_null(node):  # as DVC shows it
        return {k: without_null(v) for k, v in node.items() if v is not None} if isinstance(node, dict) else node

    assert shown[""]["data"]["data/results/metrics.json"]["data"] == without_null(metrics)
    assert {dataset: set(models) for dataset, models in metrics.items()} == {d: set(MODELS) for d in DATASETS}
    project.run("dvc", "plots", "show", "--out", "plots")
    page = project.text("plots/index.html")
    assert all(f'"{name}"' in page for name in (*DATASETS, *MODELS))
    assert all(title in page for title in ("Every score against depth", "Training loss", "Accuracy on test images"))
    assert {path.name for path in (project.folder / "plots/static").iterdir()} == {
        f"workspace_data_results_figures_{path.name}" for path in (project.folder / "data/results/figures").iterdir()
    }
    shutil.rmtree(project.folder / "plots")
    project.run("dvc", "plots", "diff", "HEAD", "--out", "plots")
    assert {path.name.partition("_")[0] for path in (project.folder / "plots/static").iterdir()} >= {"workspace"}
    shutil.rmtree(project.folder / "plots")


def test_the_notebook_explores_the_results(project: Workflow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(project.folder / "ipython"))
    notebook = nbformat.read(ROOT / "docs" / "examples" / "explore.ipynb", as_version=4)
    where = {"metadata": {"path": str(project.folder)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the Jupyter libraries
        NotebookClient(notebook, timeout=120, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    summary = pd.read_csv(project.folder / "data/results/summary.csv")
    first = summary[summary.main].iloc[0]
    store = xarray.open_zarr(
        project.folder / "data/embeddings" / first.dataset / first.model / "0/0", consolidated=False
    )
    unseen = store.isel(step=-1, sample=(store["split"] == "unseen").values)
    for name, layer in (("best", first.best_layer), ("last", first.last_layer)):
        one_nearest = KNeighborsClassifier(1)
        right = cross_val_score(
            one_nearest, unseen[layer].values, unseen["label"].values.astype(object), cv=LeaveOneOut()
        )
        assert f"{name} layer, {layer}: {right.mean():.3f}" in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_nothing_runs_twice(project: Workflow):
    assert project.repro() == set()


def test_git_has_the_metrics_and_no_other_artifact_and_a_clone_shows_them(project: Workflow, tmp_path: Path):
    project.run("git", "add", "-A")
    tracked = project.run("git", "ls-files", "data").stdout.split()
    assert tracked == ["data/results/metrics.json"]
    project.run("git", "commit", "-qm", "Results")
    project.run("git", "clone", "-q", ".", str(tmp_path / "clone"))
    shown = json.loads(project.run("dvc", "--cd", str(tmp_path / "clone"), "metrics", "show", "--json").stdout)
    assert set(shown[""]["data"]["data/results/metrics.json"]["data"]) == set(DATASETS)


def test_readme_docs_tests_and_commands_concern_no_stage(copied: Workflow):
    for name in ("README.md", "docs/page.md", "tests/test_new.py", "stages/commands/new.py"):
        (copied.folder / name).parent.mkdir(exist_ok=True)
        (copied.folder / name).write_text("new\n")
    assert copied.repro() == set()


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"prepare.seed": 1}, {f"prepare@{d}" for d in DATASETS}),
        ({"datasets.left.test": 7}, {"prepare@left"}),
        ({"finetune.learning_rate": 0.002}, stages("finetune")),
        ({"models.first.network.mean": [0.4, 0.4, 0.4]}, stages("finetune", cells=cells_of("first"))),
        ({"models.first.taps.layers": ["layer4"]}, stages("embed", cells=cells_of("first"))),
        ({"embed.baseline_size": 4}, stages("embed")),
        ({"measure.kmeans.starts": 3}, stages("measure")),
    ],
    ids=["prepare", "dataset", "finetune", "network", "taps", "embed", "measure"],
)
def test_a_parameter_is_read_by_its_stages_alone(project: Workflow, change: dict[str, object], first: set[str]):
    """aggregate reads all of them, since the page says what was run."""
    kept = project.text("params.yaml")
    project.edit_params(change)
    assert project.changed() == first | AGGREGATE
    (project.folder / "params.yaml").write_text(kept)
    assert project.changed() == set()


@pytest.mark.long
def test_added_folds_compute_their_cells_and_removed_ones_leave_the_tables(copied: Workflow):
    before = results(copied)
    copied.edit_params({"run.folds": [0, 1, "all"], **ONE})
    added = {f"left-first-{fold}-0" for fold in (1, "all")}
    assert copied.repro() == stages("finetune", "embed", "measure", cells=added) | AGGREGATE
    layers = pd.read_csv(copied.folder / "data/results/layers.csv", dtype={"fold": str})
    splits = {fold: set(rows) for fold, rows in layers.groupby("fold").split}
    assert splits == {"0": {"test", "unseen"}, "1": {"test", "unseen"}, "all": {"test"}}
    copied.edit_params({"run.folds": [0], "run.datasets": list(DATASETS), "run.models": list(MODELS)})
    assert copied.repro() <= AGGREGATE  # or restored
    assert results(copied) == before


@pytest.mark.long
def test_the_number_of_folds_that_a_dataset_has_trains_and_embeds_nothing(copied: Workflow):
    """It packs the dataset again; every cell has the same images and table of its fold, but others have a thumbnail."""
    copied.edit_params({"datasets.left.folds": 2})
    assert copied.repro() == {"prepare@left"} | stages("measure", cells=cells_of("left")) | AGGREGATE
    assert not (copied.folder / "data/prepared/left/folds/2.csv").exists()


@pytest.mark.long
def test_an_added_network_measured_as_it_is_computes_its_cells_and_a_removed_one_leaves_the_tables(copied: Workflow):
    """It has no accuracy anywhere, and its unseen scores are those of the other's first checkpoint."""
    frozen = {"network": {**TINY_NETWORK, "frozen": True}, "taps": {"layers": "default"}}
    copied.edit_params({"models.frozen": frozen, "run.models": [*MODELS, "frozen"], "run.datasets": ["left"]})
    assert copied.repro() == stages("finetune", "embed", "measure", cells={"left-frozen-0-0"}) | AGGREGATE
    layers = pd.read_csv(copied.folder / "data/results/layers.csv")
    assert set(layers[layers.metric == "accuracy"].model) == set(MODELS)
    unseen = layers[(layers.split == "unseen") & (layers.step == 0) & (layers.metric == "nmi")]
    found, expected = (
        unseen[unseen.model == model].set_index("layer").value.sort_index() for model in ("frozen", "first")
    )
    pd.testing.assert_series_equal(found, expected)
    assert layers[layers.model == "frozen"].step.unique().tolist() == [0]
    summary = pd.read_csv(copied.folder / "data/results/summary.csv")
    assert summary[summary.model == "frozen"].accuracy.isna().all()
    training = pd.read_csv(copied.folder / "data/results/training.csv")
    assert training[training.model == "frozen"].accuracy.isna().all()
    copied.edit_params({"run.models": list(MODELS)})
    assert copied.repro() == AGGREGATE
    for table in ("layers.csv", "summary.csv", "summary.md", "metrics.json", "training.csv"):
        assert "frozen" not in copied.text(f"data/results/{table}")


@pytest.mark.long
def test_a_network_measured_as_it_is_needs_no_seen_classes(copied: Workflow):
    tiny_images(copied.folder / "data" / "raw" / "unseen", seed=9)
    copied.edit_params(
        {
            "datasets.unseen": {"source": "folder", "image_size": 32, "unseen_classes": "all"},
            "models.frozen": {"network": {**TINY_NETWORK, "frozen": True}, "taps": {"layers": "default"}},
            "run.datasets": ["unseen"],
            "run.models": ["frozen"],
        }
    )
    cell = {"unseen-frozen-0-0"}
    assert copied.repro() == {"prepare@unseen"} | stages("finetune", "embed", "measure", cells=cell) | AGGREGATE
    layers = pd.read_csv(copied.folder / "data/results/layers.csv")
    assert set(layers.split) == {"unseen"}
    assert set(layers.step) == {0}
    assert "accuracy" not in set(layers.metric)
    summary = pd.read_csv(copied.folder / "data/results/summary.csv")
    assert summary.unseen.between(0, 1).all()
    assert summary.accuracy.isna().all()


def test_a_raw_image_reruns_its_dataset_and_put_back_nothing(copied: Workflow):
    before = results(copied)
    image = copied.folder / "data/raw/left/dots/000.png"
    content = image.read_bytes()
    Image.open(image).rotate(90).save(image)
    copied.edit_params(ONE)
    expected = {"prepare@left"} | stages("finetune", "embed", "measure", cells={"left-first-0-0"}) | AGGREGATE
    assert copied.repro() == expected
    image.write_bytes(content)
    copied.edit_params({"run.datasets": list(DATASETS), "run.models": list(MODELS)})
    assert copied.repro() <= AGGREGATE  # or restored
    assert results(copied) == before


def test_code_reruns_its_stage_and_what_follows_from_other_results(copied: Workflow):
    metrics = copied.folder / "stages" / "core" / "scores" / "catalogue.py"
    text = metrics.read_text()
    assert "ceiling=1.0)" in text
    metrics.write_text(text.replace("ceiling=1.0)", "ceiling=0.99)"))
    copied.edit_params(ONE)
    assert copied.repro() == stages("measure", cells={"left-first-0-0"}) | AGGREGATE


@pytest.mark.long
def test_code_that_gives_the_same_bytes_reruns_its_stage_alone(copied: Workflow):
    def edit(stage: str) -> None:
        entry_point = copied.folder / "stages" / stage / "__main__.py"
        entry_point.write_text(entry_point.read_text() + "\n# changed\n")

    cell = "measure@left-first-0-0"
    edit("measure")
    copied.run("dvc", "repro", cell)
    assert copied.computed() == {cell}
    assert copied.changed() == stages("measure") - {cell}
    copied.run("git", "checkout", "-q", "stages/measure")
    edit("aggregate")
    assert copied.repro() == AGGREGATE


def test_an_experiment_varies_a_parameter_and_adds_a_model(project: Workflow):
    network = "{library:timm,name:test_resnet.r160_in1k,weights:{source:none},image_size:16}"
    model = f"+models.mine={{network:{network},taps:{{layers:default}}}}"
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "Results", "--allow-empty")
    changes = (model, "run.models=[mine]", "run.datasets=[left]", "finetune.schedule_steps=9")
    project.run("dvc", "exp", "run", "-n", "mine", *(word for change in changes for word in ("-S", change)))
    assert project.computed() == stages("finetune", "embed", "measure", cells={"left-mine-0-0"}) | AGGREGATE
    assert set(pd.read_csv(project.folder / "data/results/summary.csv").model) == {"mine"}
    assert "mine" in project.run("dvc", "exp", "show", "--csv").stdout
    different = json.loads(project.run("dvc", "params", "diff", "--json").stdout)["params.yaml"]
    assert different["finetune.schedule_steps"] == {"old": None, "new": 9}
    project.run("git", "checkout", "params.yaml", "dvc.lock", "data/results/metrics.json")
    project.run("dvc", "checkout")
    assert project.repro() == set()


def test_a_wrong_value_fails_before_long_work_and_keeps_earlier_results(copied: Workflow):
    before = results(copied)
    copied.edit_params({"measure.kmeans.start": 3})
    done = copied.run("dvc", "repro", ok=False)
    assert done.returncode != 0
    assert "measure.kmeans.start is not a parameter: did you mean 'starts'?" in done.stderr + done.stdout
    assert copied.computed() == set()
    assert results(copied) == before
