"""The simulation's own parts, and a small version of it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from stages.measure.halves import complementary_halves
from stages.measure.refits import class_groups, refit, subset_scores
from stages.measure.scores.kmeans import Search
from tests.bench.simulation import store
from tests.bench.simulation.batched_kmeans import cluster_batch, inertias
from tests.bench.simulation.coverage_table import rows_of, two_networks
from tests.bench.simulation.data_set import code_hash, scored, simulate, split_of
from tests.bench.simulation.designs import DESIGNS
from tests.bench.simulation.populations import Domain, Mixture, RealLayers
from tests.bench.simulation.real_layers import parameters


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def test_many_embeddings_are_clustered_as_well_as_one_by_one():
    rng = np.random.default_rng(0)
    X = Domain((0.5, 0.7, 0.9)).fold(rng, 5, 20, 2, 0.1).reshape(6, 100, 12)
    found = inertias(X, cluster_batch(X, 5, 60, rng))
    best = np.array([KMeans(5, n_init=60, random_state=0).fit(each.astype(float)).inertia_ for each in X])
    assert (found / best < 1.01).all()
    assert (found / best).mean() < 1.003
    one = inertias(X, cluster_batch(X, 5, 1, rng))
    assert one.mean() > found.mean() * 1.01


def test_scores_are_those_of_the_stages():
    rng = np.random.default_rng(1)
    X = Mixture((6.0, 8.0)).fold(rng, 4, 12, 1, 0.0)[0]  # so far apart that any search finds the same clusters
    y = np.repeat(np.arange(4), 12)
    halves = complementary_halves(y.astype(str), 4, 0)
    subsets = np.concatenate([np.ones((1, 48), bool), y != np.arange(4)[:, None], halves])
    metrics = ("nmi", "knn_purity", "ari", "silhouette")
    found = scored(X, y, subsets, [30] * len(subsets), metrics, rng)
    for layer, table in zip(X, found, strict=True):
        whole = subset_scores(split_of(layer, y), subsets[:1], [Search()], metrics)
        own = refit(
            split_of(layer, y), class_groups([str(c) for c in range(y.max() + 1)]), halves, metrics, Search(15, 3)
        )
        np.testing.assert_allclose(table, np.vstack([whole, own.without, own.halves]), atol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_every_population_has_the_layers_and_images_of_its_design(name):
    design = DESIGNS[name]
    folds = [
        design.population.fold(np.random.default_rng(seed), design.classes, design.images, design.seeds, design.tau)
        for seed in (0, 0, 1)
    ]
    assert folds[0].shape[0] in (1, design.seeds)
    assert folds[0].shape[2] == design.classes * design.images
    assert folds[0].dtype == np.float32
    assert np.isfinite(folds[0]).all()
    np.testing.assert_array_equal(folds[0], folds[1])
    assert not np.array_equal(folds[0], folds[2])


def test_fixed_classes_stay_and_others_do_not():
    def means(population, seed):
        embedded = population.fold(np.random.default_rng(seed), 5, 400, 1, 0.0)[0, 4]
        return embedded.reshape(5, 400, -1).mean(axis=1)

    fixed, drawn = RealLayers("calligraphy", fixed=True), RealLayers("calligraphy")
    assert np.abs(means(fixed, 0) - means(fixed, 1)).max() < 0.15
    assert np.abs(means(drawn, 0) - means(drawn, 1)).max() > 0.3


def test_training_moves_layers_of_each_seed():
    calm, noisy = (Domain((0.8,) * 9).fold(np.random.default_rng(0), 5, 20, 2, tau) for tau in (0.0, 0.2))
    np.testing.assert_array_equal(calm[0], calm[1])
    assert not np.array_equal(noisy[0], noisy[1])


def test_real_layers_are_stored_in_bytes():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 60)
    X = [(rng.normal(size=(4, D))[y] + rng.normal(size=(240, D))).astype(np.float32) for D in (10, 30)]
    stored = parameters("own", X, y)
    assert {name: values.shape for name, values in stored.items()} == {
        "own_means": (4, 2, 8),
        "own_deviations": (4, 40, 2, 8),
        "own_scale": (2, 8),
    }
    assert np.abs(stored["own_deviations"]).max() == 127
    restored = stored["own_means"][:, None].astype(float) + stored["own_deviations"] * stored["own_scale"]
    variance = restored.reshape(160, 2, 8).var(axis=0).sum(axis=1)
    np.testing.assert_allclose(variance, 1, rtol=0.1)  # of each layer: components are scaled to it


def test_a_run_goes_on_where_it_was(tmp_path: Path):
    store.append(tmp_path, "weak", "code", [(0, {"nmi": {"values": [[[0.5]]]}}), (2, {"nmi": {"values": [[[0.7]]]}})])
    with (tmp_path / "weak.jsonl").open("a") as file:
        file.write(json.dumps({"code": "older", "number": 1, "scores": {}}) + "\n" + '{"code": "code", "num')
    assert store.missing(tmp_path, "weak", "code", 4) == [1, 3]
    store.append(tmp_path, "weak", "code", [(1, {"nmi": {"values": [[[0.6]]]}})])
    assert store.missing(tmp_path, "weak", "code", 4) == [3]
    np.testing.assert_array_equal(store.read(tmp_path, "weak", "code", 3)["nmi"]["values"][:, 0, 0, 0], [0.5, 0.6, 0.7])
    assert store.read(tmp_path, "weak", "newer", 3) == {}


def test_every_design_has_its_own_hash():
    hashes = {code_hash(name) for name in DESIGNS}
    assert len(hashes) == len(DESIGNS)
    assert hashes == {code_hash(name) for name in DESIGNS}


def normal_scores(sets=150, folds=4, classes=5, layers=3, seed=0):
    """Scores that are means of independent class effects, whose variance a jackknife estimates without bias."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0.5, 0.1, size=(sets, folds, 1, classes, layers))
    effects += np.where(np.arange(layers) == 1, 0.1, 0.0)
    others = (effects.sum(axis=3, keepdims=True) - effects) / (classes - 1)
    return {"values": effects.mean(axis=3), "without": others}


def test_coverage_of_normal_scores_is_nominal():
    row = rows_of(normal_scores(), "nmi")
    assert 0.92 < row["coverage"] <= 1
    assert row["error / true"] == pytest.approx(1.1, abs=0.15)  # of the larger of two estimates
    assert row["true lead"] == pytest.approx(0.1, abs=0.01)
    assert row["low holds"] > 0.93
    assert row["high holds"] > 0.9
    assert row["ties hold best"] > 0.95
    assert row["one choice"] > 0.92
    assert 0.92 < row["t over folds"] < 0.98


def test_intervals_that_are_too_narrow_are_found_out():
    narrow = normal_scores()
    centre = narrow["values"].mean(axis=(1, 2), keepdims=True)
    narrow["without"] = centre[:, :, :, None] + 0.2 * (narrow["without"] - centre[:, :, :, None])
    narrow["values"] = centre + 0.2 * (narrow["values"] - centre)
    assert rows_of(narrow, "nmi")["coverage"] < 0.5


def test_two_networks_of_normal_scores():
    scores = {
        part: np.concatenate([values, values[..., ::-1] - 0.05], axis=-1) for part, values in normal_scores().items()
    }
    row = two_networks(scores, "nmi", 3)
    assert row["true difference of g"] == pytest.approx(0.05, abs=0.01)
    assert row["interval holds it"] > 0.92


@pytest.mark.slow
@pytest.mark.long
def test_the_command_prints_a_row_for_every_score(tmp_path: Path):
    arguments = [
        "--sets",
        "2",
        "--jobs",
        "1",
        "--only",
        "weak",
        "--folder",
        str(tmp_path),
        "--out",
        str(tmp_path / "t.csv"),
    ]
    command = [sys.executable, "-m", "tests.bench.simulation", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    assert set(pd.read_csv(tmp_path / "t.csv")["score"]) == set(DESIGNS["weak"].metrics)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("name", "sets"), [("weak", 40), ("hard", 40)])
def test_a_small_version_covers(name, sets, tmp_path: Path):
    store.append(tmp_path, name, "here", ((number, simulate(name, number)) for number in range(sets)))
    scores = store.read(tmp_path, name, "here", sets)
    for metric in ("nmi", "knn_purity"):
        row = rows_of(scores[metric], metric)
        assert row["coverage"] > 0.88
        assert row.get("low holds", 1.0) > 0.88
        assert row.get("ties hold best", 1.0) > 0.88
        assert row["error / true"] < 3
