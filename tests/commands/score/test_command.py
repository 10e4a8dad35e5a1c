"""`whichlayer score`: the numbers of the workflow and of scikit-learn, folds, and what it says before any work."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.neighbors import NearestNeighbors

from stages.aggregate.facts_file import read_facts
from stages.aggregate.words.representations import brief
from stages.commands.cli import whichlayer
from stages.library import choose_representation, export, scored
from stages.library.representing import Representation
from stages.shared.embeddings.embeddings import Layer
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import read_layer_scores
from tests.commands.score.made import arrays, with_seen, write_npz
from tests.measure.synthetic import DEFAULT, write_params, write_pictures, write_store

ROOT = Path(__file__).parents[3]
ANALYSES = ["seen_matched", "k_sensitivity", "layer_pairs", "ood"]
AGGREGATE = {"main_metric": "nmi", "accuracy_margin": 0.05}
TABLES = ["layers.csv", "clusterings.csv", "images.parquet", "refits.parquet", "layer_pairs.csv"]


def params_file(path: Path, **changes) -> Path:
    refits = {"metrics": ["nmi", "knn_purity"], "steps": [0], "halves": 4, "starts": 3, "polished": 1}
    write_params(path, steps=(0,), **{"analyses": ANALYSES, "refits": refits} | changes)
    text = path.read_text().replace("aggregate: {}", "")
    path.write_text(f"{text}\naggregate: {AGGREGATE}\n")
    return path


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "1")


def score(tmp_path: Path, *arguments: object, **changes) -> Result:
    params = params_file(tmp_path / "params.yaml", **changes)
    return CliRunner().invoke(whichlayer, ["score", *map(str, arguments), "--params", str(params)])


def refused(tmp_path: Path, message: str, *arguments: object, **changes) -> None:
    done = score(tmp_path, *arguments, **changes)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_tables_are_those_of_the_workflow_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    layers = [Layer("pixels", "", -1, "none", 6, 0, 0)]
    layers += [Layer(name, name, depth, "none", 4 + depth, 0, 0) for depth, name in enumerate(("stem", "blocks.0"))]
    sizes = {"test": (8, 7, 8), "unseen": (9, 8, 9, 7)}
    stored = write_store(tmp_path / "store", steps=(0,), sizes=sizes, layers=layers, classes=())
    params = params_file(tmp_path / "params.yaml")
    workflow = params_file(tmp_path / "workflow.yaml", analyses=ANALYSES[:-1])
    names = ["--dataset", "toy", "--model", "net", "--fold", "0", "--seed", "7"]
    write_pictures(tmp_path / "thumbnails", [])
    paths = ["--embeddings", tmp_path / "store", "--thumbnails", tmp_path / "thumbnails"]
    paths += ["--out", tmp_path / "measures", "--params", workflow]
    subprocess.run([sys.executable, "-m", "stages.measure", *names, *map(str, paths)], cwd=ROOT, check=True)

    n_seen, rows = sum(sizes["test"]), np.arange(sum(map(sum, sizes.values())))
    labels = np.array(
        [f"{split}{c}" for split, counts in sizes.items() for c, n in enumerate(counts) for _ in range(n)]
    )
    whole = {"labels": labels, "ids": np.array([f"i{n:03}" for n in rows])} | {
        x.name: stored[x.name, 0] for x in layers
    }
    content = {f"seen/{name}": values[:n_seen] for name, values in whole.items()}
    content |= {name: values[n_seen:] for name, values in whole.items()}
    for module in (scored, export):
        monkeypatch.setattr(module, "SEED", 7)
    for file in (write_npz(tmp_path / "a.npz", content), tmp_path / "store"):
        out = tmp_path / f"{file.stem}-out"
        options = [str(file), "--out", str(out), "--dataset", "toy", "--model", "net", "--params", str(params)]
        assert CliRunner().invoke(whichlayer, ["score", *options]).exit_code == 0
        for name in TABLES:
            expected = (tmp_path / "measures" / name).read_bytes()
            assert (out / "measures" / "toy" / "net" / "0" / "7" / name).read_bytes() == expected, name
        summed = read_layer_scores(out / "layers.csv")
        pd.testing.assert_frame_equal(summed, read_layer_scores(tmp_path / "measures" / "layers.csv"))


def test_the_verdict_names_the_better_layer_what_was_left_out_and_no_cost(tmp_path: Path):
    content = arrays((12, 12, 12, 12))
    content["blocks.0"][:] = np.random.default_rng(3).normal(size=content["blocks.0"].shape)
    done = score(tmp_path, write_npz(tmp_path / "mine.npz", content), "--out", tmp_path / "out")
    assert "try stem for classifier, retrieval and discovery: gain undecided." in " ".join(done.output.split())
    assert "for other images of these classes" in " ".join(done.output.split())
    assert "whichlayer features" not in done.output
    assert "of the parameters" not in done.output
    assert "left out, since there is no head: accuracy\n" in done.stderr
    assert "left out, since there are no training images or seen classes: seen_matched, ood\n" in done.stderr
    assert (tmp_path / "out" / "figures" / "depth-mine-embeddings.png").is_file()
    assert (tmp_path / "out" / "measures" / "mine").is_dir()


def test_joins_of_layers_are_chosen_of_eight_classes_on(tmp_path: Path):
    content = arrays((9,) * 8, seed=2)
    file, out = write_npz(tmp_path / "mine.npz", content), tmp_path / "out"
    done = score(tmp_path, file, "--metrics", "map_at_r", "--out", out)
    assert "\nFor retrieval, joins of layers included, " in done.output
    choice = choose_representation({name: content[name] for name in ("stem", "blocks.0")}, content["labels"])
    choice = choice.narrowed("retrieval")
    assert str(choice) in done.output
    kept = Representation.load(out / "representation.safetensors")
    (told,) = read_facts(out).representations
    assert (told.layers, told.recipe, told.value) == (list(choice.best.arrays), choice.best.recipe, choice.score)
    for name in ("summary.md", "report.html"):
        assert brief(told)[1:] in (out / name).read_text()
    assert np.array_equal(kept.transform(content), choice.fit().transform(content))
    table = pd.read_csv(out / "representation.csv", index_col=["use", "choice"])
    pd.testing.assert_frame_equal(table, choice.summary, check_names=False)
    few = score(tmp_path, write_npz(tmp_path / "few.npz", arrays((9,) * 7)), "--metrics", "map_at_r")
    assert "joins of layers" not in few.output


def test_several_files_are_folds_and_three_tell_about_other_classes(tmp_path: Path):
    content = [arrays((9, 10, 9, 8, 9), seed=fold, prefix=f"fold{fold}-") for fold in range(3)]
    files = [write_npz(tmp_path / f"{fold}.npz", each) for fold, each in enumerate(content)]
    done = score(tmp_path, *files, "--dataset", "mine", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert done.stderr.startswith("score: measuring 2 layers of 135 images in 3 files\n")
    assert "[ ]: 95% for other unseen classes" in done.output
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").query("metric == 'nmi'")
    assert summary["fold"].tolist() == ["0", "1", "2", "mean"]
    layers = read_layer_scores(tmp_path / "out" / "layers.csv").query("metric == 'nmi' and layer == 'stem'")
    assert len(layers) == 3
    mean = summary.query("fold == 'mean'").iloc[0]
    of_best = read_layer_scores(tmp_path / "out" / "layers.csv").query(
        f"metric == 'nmi' and layer == '{mean.best_layer}'"
    )
    assert mean["unseen"] == pytest.approx(of_best["value"].mean(), abs=1e-12)
    assert np.isfinite(mean["ci_classes_low"])


def test_chosen_scores_the_first_being_the_verdicts_and_scaled_rows(tmp_path: Path):
    content = arrays()
    file = write_npz(tmp_path / "a.npz", content)
    out = tmp_path / "out"
    done = score(tmp_path, file, "--metrics", "nn1_accuracy, collapse", "--normalize", "l2", "--out", out)
    assert "\nretrieval (1-NN) " in done.output
    assert "Scores use L2-normalized embeddings." in " ".join(done.output.split())
    records = read_layer_scores(out / "layers.csv")
    assert set(records["metric"]) == {"nn1_accuracy", "collapse"}
    X = content["stem"] / np.linalg.norm(content["stem"], axis=1, keepdims=True)
    nearest = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(return_distance=False)[:, 0]
    found = records[(records["layer"] == "stem") & (records["metric"] == "nn1_accuracy")]["value"].item()
    assert found == np.mean(content["labels"][nearest] == content["labels"])


def test_a_mistake_is_one_error_and_leaves_nothing(tmp_path: Path):
    file, again = (write_npz(tmp_path / f"{n}.npz", arrays(seed=n)) for n in (0, 1))
    refused(tmp_path, "a class must be unseen in one fold (each file is one), found 'unseen0' in two", file, again)
    other = write_npz(tmp_path / "other.npz", with_seen(prefix="other"))
    refused(tmp_path, "every fold must have images from unseen classes, and from seen ones if another has", file, other)
    refused(tmp_path, "must be a score by which a layer is better, found", file, "--metrics", "intrinsic_dimension,nmi")
    extra = {"metrics": ["nmi"], "steps": "ends"}
    params = {"metrics": ["nn1_accuracy"], "extra": extra, "probe": DEFAULT["probe"]}
    done = score(tmp_path, file, "--out", tmp_path / "out", **params)  # the main score may be a further one
    assert done.exit_code == 0
    few = write_npz(tmp_path / "few.npz", arrays((9, 2, 9)))
    refused(tmp_path, "the linear probe needs at least 3 images per class, found 'unseen1' (2); add", few)
    nan = arrays()
    nan["blocks.0"][4, 2] = np.nan
    refused(tmp_path, "layer 'blocks.0' must be finite", write_npz(tmp_path / "nan.npz", nan))
    refused(tmp_path, "must not exist, since nothing is overwritten", file, "--out", tmp_path / "out")


@pytest.mark.parametrize("words", ["score mine.npz", "quick photos"])
def test_a_limit_too_low_for_figures_is_one_sentence_before_anything_is_measured(tmp_path: Path, words: str):
    name, file = words.split()
    (tmp_path / "photos").mkdir()
    file = write_npz(tmp_path / "mine.npz", arrays()).parent / file
    main = "from stages.commands.cli import main; main()"
    command = f"ulimit -v 60000000; exec {sys.executable} -c '{main}' {name} {file} --out {tmp_path / 'out'}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the limit on address space (`ulimit -v`) must be at least 72 GiB, found ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.npz", "photos"]
