"""The entry point on a small store: what it writes, and what it says of bad input."""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import normalized_mutual_info_score, silhouette_score

from stages.core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, SCORES
from stages.core.scores.embedded_split import EmbeddedSplit
from stages.core.scores.halves import complementary_halves, halves_seed
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import settings_of
from stages.measure.params import MeasureParams
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.tables.gallery import read_gallery
from stages.shared.tables.metric_table import COLUMNS, read_layer_scores, read_refits, read_versions
from stages.shared.tables.scores import read_scores
from stages.shared.workflow.params import read_section
from tests.entry_point import run_stage
from tests.measure.plane import plane_of
from tests.measure.synthetic import (
    DEFAULT,
    LAYERS,
    MADE_WITH,
    write_last_step,
    write_params,
    write_pictures,
    write_store,
)

ROOT = Path(__file__).parents[2]
PROBE = "probe_accuracy"
PICTURED = ("i020", "i026", "i024", "i040", "other")
"""Images that have a thumbnail: a seen one, three unseen ones, and one of another fold."""

CELL = ["--dataset", "toy", "--model", "net", "--fold", "0", "--seed", "7"]


def arguments(folder: Path, *options: str, out: str = "out", cell=CELL) -> list[object]:
    if not (folder / "thumbnails").exists():
        write_pictures(folder / "thumbnails", PICTURED)
    paths = ["--embeddings", folder / "store", "--thumbnails", folder / "thumbnails", "--out", folder / out]
    return [*cell, *paths, "--params", folder / "params.yaml", "--log", folder / "log", *options]


def measure(folder: Path, *options: str, **changes) -> "subprocess.CompletedProcess[str]":
    return run_stage("measure", *arguments(folder, "--workers", "1", *options, **changes))


def measure_by_two(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", "-m", "stages.measure", *map(str, arguments(folder, "--workers", "2"))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cell")
    arrays = write_store(folder / "store")
    write_params(folder / "params.yaml")
    done = measure_by_two(folder)
    assert done.returncode == 0, done.stderr
    return folder, arrays, done


@pytest.fixture(scope="module")
def records(cell):
    return read_layer_scores(cell[0] / "out" / "layers.csv")


@pytest.fixture(scope="module")
def images(cell):
    return pd.read_parquet(cell[0] / "out" / "images.parquet")


def test_the_closing_line_and_the_log(cell):
    folder, _, done = cell
    # per split and layer (the baseline among them): 4 scores at the ends, 3 between; and accuracy at each step
    assert done.stdout.startswith(
        f"measure toy-net-0-7: {2 * 4 * (4 + 3 + 4) + 3} scores of {2 * 3 * 3 + 2} embeddings, "
    )
    assert [line for line in done.stderr.splitlines() if "layers, " not in line] == []  # a slow run says how far it is
    assert json.loads((folder / "log").read_text())["cell"] == "toy-net-0-7"
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        "clusterings.csv",
        "digests.json",
        "gallery.parquet",
        "images.parquet",
        "layers.csv",
        "scores.json",
        "versions.json",
    ]


def test_what_the_cell_was_made_with_is_handed_on(cell):
    made_with = read_versions(cell[0] / "out")
    assert made_with.pop("measure") == {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}
    assert made_with == MADE_WITH


def test_the_facts_of_every_score_are_those_of_the_catalogue(cell):
    folder, _, _ = cell
    facts = read_scores(folder / "out", ("toy", "net", "0", 7))
    assert list(facts) == list(SCORES)
    for name, score in facts.items():
        declared = {field: getattr(SCORES[name], field) for field in vars(score)}
        assert declared | {"scaling": "none"} == vars(score)  # as measure.normalize says


def test_the_gallery_has_the_pictured_unseen_images_at_every_layer_of_the_last_step(cell):
    folder, arrays, _ = cell
    found = read_gallery(folder / "out")
    assert found["layer"].tolist() == [name for name in ("pixels", "stem", "stem", "blocks.0") for _ in range(3)]
    assert found["depth"].tolist() == [depth for depth in (-1, 0, 0, 1) for _ in range(3)]
    assert found["pooling"].tolist()[::3] == ["none", "mean", "max", "mean"]
    assert found["sample_id"].tolist() == ["i024", "i026", "i040"] * 4  # in the order of the embeddings
    assert found["label"].tolist() == ["unseen0", "unseen0", "unseen1"] * 4
    for name, rows in zip(("pixels", "stem", "stem@max", "blocks.0"), np.arange(12).reshape(4, 3), strict=True):
        X = arrays[name, 0 if name == "pixels" else 10][24:]
        expected, share = plane_of(X)
        assert found.loc[rows, ["x", "y"]].to_numpy() == pytest.approx(expected[[0, 2, 16]], abs=1e-4)
        assert found.loc[rows, "explained"].to_numpy() == pytest.approx(share, abs=1e-5)


def test_the_table_has_the_contracts_columns_and_order(records):
    assert tuple(records.columns) == tuple(COLUMNS)
    assert set(records["better"]) == {"higher"}
    assert len(records) == 91
    assert records["step"].is_monotonic_increasing
    first = records[records["step"] == 0]
    assert first["layer"].drop_duplicates().tolist() == ["pixels", "stem", "blocks.0", "head"]
    stems = first[(first["layer"] == "stem") & (first["metric"] == "nmi") & (first["split"] == "test")]
    assert stems[["depth", "pooling", "width", "parameters", "operations"]].to_numpy().tolist() == [
        [0, "mean", 4, 10, 50],
        [0, "max", 4, 10, 50],
    ]


def test_values_are_those_of_the_catalogue(cell, records):
    folder, arrays, _ = cell
    store, params = open_embeddings(folder / "store"), read_section(folder / "params.yaml", "measure", MeasureParams)
    for split, rows in (("test", slice(0, 24)), ("unseen", slice(24, 44))):
        y = np.unique(store.labels(split), return_inverse=True)[1]
        embedded = EmbeddedSplit(arrays["blocks.0", 10][rows], y, settings_of(store, split, params))
        found = records[(records["layer"] == "blocks.0") & (records["step"] == 10) & (records["split"] == split)]
        for row in found.itertuples():
            score = LAYER_SCORES[row.metric].score(embedded)
            assert (row.value, row.chance, row.ceiling) == pytest.approx(
                (score.value, score.chance, score.ceiling), abs=1e-12
            )
        assert set(found["metric"]) == {"nmi", "knn_purity", "nn1_accuracy", "probe_accuracy"}
        assert set(found["n_images"]) == {len(y)}
        assert set(found["n_classes"]) == {3 if split == "test" else 2}


def test_the_probe_is_fitted_at_its_steps_only(records):
    at = records[records["metric"] == "probe_accuracy"].groupby("layer")["step"].unique()
    assert set(at.index) == {"pixels", "stem", "blocks.0"}
    assert all(sorted(steps) == [0, 10] for steps in at)


def test_the_baseline_is_the_same_at_every_step(records):
    pixels = records[(records["layer"] == "pixels") & (records["metric"] != "probe_accuracy")]
    assert set(pixels["depth"]) == {-1}
    by_step = pixels.pivot(index=["split", "metric"], columns="step", values="value")
    assert by_step.shape == (6, 3)
    assert (by_step.nunique(axis=1) == 1).all()


def test_accuracy_comes_from_the_logits(cell, records):
    _, arrays, _ = cell
    found = records[records["metric"] == "accuracy"]
    truth = np.repeat([0, 1, 2], 8)
    expected = [(arrays["logits", step][:24].argmax(axis=1) == truth).mean() for step in (0, 5, 10)]
    assert found["value"].tolist() == pytest.approx(expected)
    assert set(zip(found["layer"], found["split"], found["pooling"], strict=True)) == {("head", "test", "")}
    assert found["depth"].isna().all()


def test_images_contributions_average_to_the_scores(records, images):
    keys = ["step", "split", "layer", "pooling"]
    for metric in ("knn_purity", "nn1_accuracy", "probe_accuracy", "accuracy"):
        means = images.groupby(keys, observed=True)[metric].mean().dropna()
        expected = records[records["metric"] == metric].set_index(keys)["value"]
        assert len(means) == len(expected) > 0
        assert np.allclose(means.to_numpy(), expected.reindex(means.index).to_numpy(), atol=1e-6)


def test_images_name_every_sample_in_order(images):
    block = images[(images["step"] == 5) & (images["layer"] == "stem") & (images["pooling"] == "max")]
    assert block["sample_id"].tolist() == [f"i{n:03}" for n in range(44)]
    assert block["label"].tolist()[::11] == ["test0", "test1", "test2", "unseen1"]
    assert block["probe_accuracy"].isna().all()
    assert len(images) == 3 * (4 * 44 + 24)


def test_clusterings_are_compared_and_the_first_ones_clusters_are_the_images(cell, images, records):
    folder, _, _ = cell
    found = pd.read_csv(folder / "out" / "clusterings.csv")
    keys = ["step", "split", "layer", "pooling"]
    first = found[found["rank"] == 0].set_index(keys)
    nmi = records[records["metric"] == "nmi"].set_index(keys)
    assert len(first) == len(nmi) == 3 * 2 * 4
    assert np.allclose(first["nmi"], nmi["value"].reindex(first.index))
    assert np.allclose(first["agreement"], 1)
    others = found[found["rank"] > 0]
    assert 0 < len(others) <= len(first)
    assert (others["agreement"] < 1).all()
    assert (found.groupby(keys)["inertia"].diff().dropna() >= 0).all()
    for name, block in images[images["layer"] != "head"].groupby(keys, observed=True):
        agreed = normalized_mutual_info_score(block["label"], block["cluster"])
        assert agreed == pytest.approx(nmi.loc[name, "value"])


def test_results_do_not_depend_on_the_number_of_workers_and_are_byte_identical(cell):
    folder, _, _ = cell
    assert measure(folder, out="again").returncode == 0
    for path in (folder / "out").iterdir():
        other = folder / "again" / path.name
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), path.name


SIZES = {"test": (8, 8, 8), "unseen": (9, 11, 10, 8)}
REFITS = {"metrics": ["nmi", "silhouette", "map_at_r"], "steps": "ends", "halves": 4, "starts": 3, "polished": 1}
EXTRA = [name for name in (*LAYER_SCORES, *HEAD_SCORES) if name not in DEFAULT["metrics"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cell with every score and every analysis, measured by one process and by two."""
    folder = tmp_path_factory.mktemp("whole")
    write_store(folder / "store", sizes=SIZES)
    write_last_step(folder / "store")
    write_params(
        folder / "params.yaml", extra={"metrics": EXTRA, "steps": "ends"}, analyses=list(ANALYSES), refits=REFITS
    )
    for done in (measure_by_two(folder), measure(folder, out="again")):
        assert done.returncode == 0, done.stderr
    return folder


def read_last(whole, **where):
    rows = read_layer_scores(whole / "out" / "layers.csv")
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows


def test_analyses_leave_their_files_and_do_not_depend_on_the_number_of_workers(whole):
    names = sorted(path.name for path in (whole / "out").iterdir())
    assert names == [
        "clusterings.csv",
        "digests.json",
        "gallery.parquet",
        "images.parquet",
        "k_sensitivity.csv",
        "layer_pairs.csv",
        "layers.csv",
        "refits.parquet",
        "representations.csv",
        "scalings.csv",
        "scores.json",
        "versions.json",
    ]
    assert all((whole / "out" / name).read_bytes() == (whole / "again" / name).read_bytes() for name in names)


def test_scores_of_the_last_step_alone_stand_in_the_table_of_layers(whole):
    rows = read_last(whole)
    own = rows[~rows["split"].isin(["test", "unseen"])]
    assert set(own["step"]) == {10}
    assert set(own["split"]) == {"seen_matched", "unseen_matched"}
    counts = own.groupby(["split", "metric"]).size().to_dict()
    assert counts == {(f"{s}_matched", m): 4 for s in ("seen", "unseen") for m in ("nmi", "knn_purity", "nn1_accuracy")}
    ood = rows[rows["metric"].str.startswith("ood_")]
    assert len(ood) == 4 * 4
    assert set(zip(ood["step"], ood["split"], strict=True)) == {(10, "unseen")}
    assert set(ood.loc[ood["better"] == "lower", "metric"]) == {"ood_fpr95_knn", "ood_fpr95_mahalanobis"}
    better = dict(zip(rows["metric"], rows["better"], strict=True))
    assert (better["collapse"], better["intrinsic_dimension"], better["ami"]) == ("lower", "neither", "higher")


def test_further_scores_are_at_their_steps_only(whole):
    steps = read_last(whole, layer="stem").groupby("metric")["step"].agg(set)
    assert all(steps[name] == {0, 10} for name in EXTRA)
    assert steps["nmi"] == {0, 5, 10}
    assert read_last(whole, layer="pixels").groupby("metric")["step"].agg(set)["ami"] == {0, 10}


def test_images_hold_contributions_of_further_scores_and_distances_of_the_last_step(whole):
    images = pd.read_parquet(whole / "out" / "images.parquet")
    assert not {"nmi", "ami", "ari"} & set(images.columns)
    far = images[images["ood_knn"].notna()]
    assert set(far["step"]) == {10}
    assert set(far["layer"]) == {"pixels", "stem", "blocks.0"}
    assert len(far) == 4 * (24 + 38) == images["ood_mahalanobis"].notna().sum()
    layer = far[far["layer"] == "blocks.0"]
    near, unseen = (layer.loc[layer["split"] == split, "ood_knn"].to_numpy() for split in ("test", "unseen"))
    auroc = ((unseen[:, None] > near).mean() + (unseen[:, None] >= near).mean()) / 2
    found = read_last(whole, layer="blocks.0", metric="ood_auroc_knn")["value"].item()
    assert found == pytest.approx(auroc)
    assert images["silhouette"].notna().sum() == 2 * 4 * (24 + 38)


def test_tables_of_analyses_name_the_layer_and_the_last_step(whole):
    clusters = pd.read_csv(whole / "out" / "k_sensitivity.csv")
    assert clusters.columns.tolist() == ["step", "split", "layer", "depth", "pooling", "clusters", "nmi", "ami"]
    counts = {"test": [2, 3, 4, 5, 6], "unseen": [2, 3, 4, 5, 6, 8]}
    for (split, *_), rows in clusters.groupby(["split", "layer", "pooling"]):
        assert rows["clusters"].tolist() == counts[split]
    assert len(clusters) == 4 * (5 + 6)
    pairs = pd.read_csv(whole / "out" / "layer_pairs.csv")
    sides = [f"{name}_{side}" for side in "ab" for name in ("layer", "depth", "pooling")]
    assert pairs.columns.tolist() == ["step", "split", *sides, "cka"]
    assert len(pairs) == 2 * 10
    assert (pairs["depth_a"] <= pairs["depth_b"]).all()
    assert set(pairs["step"]) == {10}


def test_scaled_layers_stand_in_their_tables_beside_what_layers_csv_has(whole):
    scaled = pd.read_csv(whole / "out" / "scalings.csv")
    keys = ["step", "split", "layer", "depth", "pooling"]
    assert scaled.columns.tolist() == [*keys, "scaling", "metric", "value"]
    assert scaled.groupby(["step", "layer", "pooling"]).size().to_dict() == {
        (step, *layer): 3 * 4
        for step in (0, 10)
        for layer in (("pixels", "none"), ("stem", "mean"), ("stem", "max"), ("blocks.0", "mean"))
    }
    both = scaled[scaled["scaling"] == "none"].merge(read_last(whole), on=[*keys, "metric"])
    assert len(both) == 2 * 4 * 4
    assert both["value_x"].tolist() == both["value_y"].tolist()


def test_refits_hold_every_class_and_half_of_the_unseen_split(whole):
    found = read_refits(whole / "out")
    assert set(found["step"]) == {0, 10}
    assert set(found["split"]) == {"unseen"}
    assert set(found["layer"]) == {"pixels", "stem", "blocks.0"}
    for _, rows in found.groupby(["step", "layer", "pooling", "metric"]):
        assert rows["kind"].tolist() == ["class"] * 4 + ["half"] * 4
        assert rows["part"].tolist() == ["unseen0", "unseen1", "unseen2", "unseen3", "0", "1", "2", "3"]
    assert len(found) == 2 * 4 * 3 * 8
    pixels = found[found["layer"] == "pixels"].groupby("step")["value"].agg(list)
    assert pixels[0] == pixels[10]
    assert found["value"].notna().all()


def test_refits_are_scores_of_what_they_say(whole):
    """Silhouettes depend on the images alone: scikit-learn's of the half, and of the classes left."""
    store = open_embeddings(whole / "store")
    layer = next(each for each in store.layers if each.name == "blocks.0")
    X, labels = store.features(layer, 10, "unseen").astype(np.float64), store.labels("unseen")
    ids = [f"i{n:03}" for n in range(24, 62)]
    halves = complementary_halves(labels, 4, halves_seed("toy", "0", ids))
    found = read_refits(whole / "out").query("step == 10 and layer == 'blocks.0' and metric == 'silhouette'")
    values = dict(zip(found["part"], found["value"], strict=True))
    for number, half in enumerate(halves):
        assert values[str(number)] == pytest.approx(silhouette_score(X[half], labels[half]))
    kept = labels != "unseen2"
    assert values["unseen2"] == pytest.approx(silhouette_score(X[kept], labels[kept]))


@pytest.mark.parametrize(
    ("sizes", "starts", "rows", "notes"),
    [
        ((5, 4, 6), 3, {"half": 8}, ["no class out: the split 'unseen' has fewer than 4"]),
        ((5, 4, 6, 1), 3, {"class": 8}, ["has no halves: class 'unseen3' must have at least two images"]),
        ((2, 2, 2, 2), 3, {"class": 8}, ["has no halves: no class has three images"]),
        ((5, 4, 6, 5), 4, {"class": 4, "half": 4}, ["leaves out nmi: measure.kmeans has 3 starts, fewer than the 4"]),
    ],
)
def test_what_is_not_refitted_is_said(tmp_path, sizes, starts, rows, notes):
    write_store(tmp_path / "store", steps=(0,), sizes={"unseen": sizes}, layers=LAYERS[1:2], classes=())
    refits = REFITS | {"metrics": ["nmi", "r_precision"], "starts": starts}
    metrics = ["nmi", "r_precision"]
    write_params(tmp_path / "params.yaml", steps=(0,), metrics=metrics, refits=refits)
    done = measure(tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_refits(tmp_path / "out")["kind"].value_counts().to_dict() == rows
    said = [line for line in done.stderr.splitlines() if "measure.refits" in line]
    assert len(said) == len(notes)
    assert all(note in line for note, line in zip(notes, said, strict=True))


def test_without_unseen_images_nothing_is_refitted(tmp_path):
    write_store(tmp_path / "store", steps=(0,), sizes={"test": (6, 6, 6)})
    write_params(tmp_path / "params.yaml", steps=(0,), metrics=["nmi"], refits=REFITS)
    done = measure(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "out" / "refits.parquet").exists()
    assert read_refits(tmp_path / "out").empty


def test_refits_must_name_checkpoints(tmp_path):
    write_store(tmp_path / "store")
    write_params(tmp_path / "params.yaml", refits=REFITS | {"steps": [7]})
    done = measure(tmp_path)
    assert done.returncode == 2
    assert "measure.refits.steps: must name checkpoints, found 7" in done.stderr


def test_analyses_need_what_they_look_at_before_any_work(tmp_path):
    write_store(tmp_path / "store")
    write_params(tmp_path / "params.yaml", analyses=["ood"])
    done = measure(tmp_path)
    assert done.returncode == 2
    assert "'ood' needs embed.train_per_class to be more than 0, but embedded are the images test" in done.stderr
    assert not (tmp_path / "out").exists()


def spoil(X):
    X[[25, 30], 1] = np.nan
    X[2, 0] = np.inf
    return X


def test_embeddings_that_are_not_finite_stop_the_stage(tmp_path):
    write_store(tmp_path / "store", steps=(0, 5), spoil={("blocks.0", 5): spoil})
    write_params(tmp_path / "params.yaml", steps=(0, 5))
    done = measure(tmp_path)
    assert done.returncode == 2
    assert "layer 'blocks.0' at step 5 must be finite, found NaN or infinity in 1 of 24 test images" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        (["--workers", "0"], {}, "--workers (or WHICHLAYER_WORKERS) must be a whole number >= 1, found '0'"),
        (["--workers", "two"], {}, "found 'two'"),
        (["--seed", "1"], {}, "must hold the cell toy-net-0-1, found toy-net-0-7"),
        (["--thumbnails", "nowhere"], {}, "nowhere/digests.json: must say what is in nowhere, found no such file"),
        ([], {"metrics": ["nmi", "knn_puriti"]}, "did you mean 'knn_purity'"),
        (["--embeddings", "nowhere"], {}, "nowhere: no embeddings there; run the embed stage"),
    ],
)
def test_bad_input_is_one_message(cell, tmp_path, options, changes, message):
    (tmp_path / "store").symlink_to(cell[0] / "store")
    write_params(tmp_path / "params.yaml", **changes)
    done = measure(tmp_path, *options)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_of_more_images_than_max_images_a_sample_is_scored_and_named(tmp_path):
    write_store(tmp_path / "store", steps=(0,), sizes={"test": (4, 4), "unseen": (9, 11)})
    write_params(tmp_path / "params.yaml", steps=(0,), metrics=["nmi", "nn1_accuracy"], max_images=12)
    done = measure(tmp_path)
    assert "measure: scores of the split 'unseen' are of 12 images drawn from 20 (max_images)\n" in done.stderr
    assert "split 'test'" not in done.stderr
    rows = read_layer_scores(tmp_path / "out" / "layers.csv")
    assert rows.groupby("split")["n_images"].unique().map(list).to_dict() == {"test": [8], "unseen": [12]}
    images = pd.read_parquet(tmp_path / "out" / "images.parquet")
    drawn = images[images["split"] == "unseen"].groupby(["layer", "pooling"], observed=True)["sample_id"].agg(tuple)
    assert (len(drawn), drawn.nunique(), len({*drawn.iloc[0]})) == (4, 1, 12)


def test_what_is_left_out_is_said(tmp_path):
    collapse = {("stem", 0): np.zeros_like}
    write_store(tmp_path / "store", steps=(0,), sizes={"unseen": (6, 5, 1)}, spoil=collapse)
    write_params(tmp_path / "params.yaml", steps=(0,), metrics=["nmi", "nn1_accuracy", "accuracy"])
    done = measure(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "accuracy left out: it needs the head's logits of the split 'test'" in done.stderr
    assert "split 'unseen' has 1 classes of one image" in done.stderr
    assert "layer 'stem', step 0, split 'unseen': k-means found 1 clusters where 3 were asked for" in done.stderr
    rows = read_layer_scores(tmp_path / "out" / "layers.csv")
    assert set(rows["metric"]) == {"nmi", "nn1_accuracy"}
    collapsed = rows[(rows["layer"] == "stem") & (rows["pooling"] == "mean") & (rows["metric"] == "nmi")]
    assert collapsed["value"].tolist() == [0.0]


def test_fold_all_is_scored_on_seen_classes_without_what_needs_unseen_ones(tmp_path):
    write_store(tmp_path / "store", sizes={"test": (8, 8, 8)}, fold="all")
    write_last_step(tmp_path / "store", fold="all")
    refits = DEFAULT["refits"] | {"metrics": ["nmi"]}
    write_params(tmp_path / "params.yaml", knn_k="paper", analyses=list(ANALYSES), refits=refits)
    done = measure(tmp_path, cell=[*CELL[:5], "all", *CELL[6:]])
    assert done.returncode == 0, done.stderr
    left_out = "seen_matched, scalings, ood, representations, measure.refits left out"
    assert f"{left_out}: fold all has no unseen classes" in done.stderr
    assert "measure.knn_k: k is that of the split itself: fold all has no unseen classes" in done.stderr
    rows = read_layer_scores(tmp_path / "out" / "layers.csv")
    assert (set(rows["fold"]), set(rows["split"])) == ({"all"}, {"test"})
    assert set(DEFAULT["metrics"]) <= set(rows["metric"])
    assert len(read_gallery(tmp_path / "out")) == 0
    assert {p.name for p in (tmp_path / "out").glob("*.csv")} == {
        "layers.csv", "clusterings.csv", "k_sensitivity.csv", "layer_pairs.csv",
    }  # fmt: skip


def test_only_scores_of_the_head_may_be_asked_for(tmp_path):
    write_store(tmp_path / "store", steps=(0,))
    write_params(tmp_path / "params.yaml", steps=(0,), metrics=["accuracy"])
    assert measure(tmp_path).returncode == 0
    assert read_layer_scores(tmp_path / "out" / "layers.csv")["metric"].tolist() == ["accuracy"]
    assert not (tmp_path / "out" / "clusterings.csv").exists()
