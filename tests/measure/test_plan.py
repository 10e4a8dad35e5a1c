import numpy as np
import pytest

from stages.measure.params import MeasureParams
from stages.measure.plan import check_cell, check_params, head_metrics, plan_jobs, probe_steps, settings_of
from stages.shared.console import UserError
from stages.shared.embeddings import open_embeddings
from stages.shared.params import parse
from tests.measure.synthetic import DEFAULT, write_store


def params(**changes):
    return parse(DEFAULT | changes, MeasureParams, where="measure")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "store"
    write_store(path, sizes={"test": (8, 8, 8), "unseen": (9, 14)})
    return open_embeddings(path)


def small_store(tmp_path, **changes):
    write_store(tmp_path / "store", **changes)
    return open_embeddings(tmp_path / "store")


def probe(steps, folds=3):
    return {"C": 1.0, "folds": folds, "steps": steps}


@pytest.mark.parametrize(("steps", "expected"), [("ends", (0, 10)), ("all", (0, 5, 10)), ([5], (5,))])
def test_probe_steps(steps, expected):
    assert probe_steps((0, 5, 10), params(probe=probe(steps))) == expected


def test_every_layer_of_every_split_at_every_step_and_the_baseline_once(store):
    jobs = plan_jobs(store, params())
    found = [(job.step, job.split, job.layer.name) for job in jobs]
    layers = [layer.name for layer in store.layers if layer.depth >= 0]
    expected = [(step, split, name) for step in (0, 5, 10) for split in ("test", "unseen") for name in layers]
    assert [row for row in found if row[2] != "pixels"] == expected
    assert [row for row in found if row[2] == "pixels"] == [(0, "test", "pixels"), (0, "unseen", "pixels")]
    with_probe = {job.step for job in jobs if "probe_accuracy" in job.metrics and job.layer.name != "pixels"}
    assert with_probe == {0, 10}
    assert all("accuracy" not in job.metrics for job in jobs)


def test_a_step_without_scores_has_no_job(store):
    jobs = plan_jobs(store, params(metrics=["probe_accuracy"]))
    assert {job.step for job in jobs} == {0, 10}


@pytest.mark.parametrize(("knn_k", "expected"), [("split", (8, 14)), ("paper", (14, 14))])
def test_k_is_the_splits_own_largest_class_or_the_unseen_ones(store, knn_k, expected):
    assert tuple(settings_of(store, s, params(knn_k=knn_k)).neighbours for s in ("test", "unseen")) == expected


def test_k_is_at_most_the_other_images(tmp_path):
    store = small_store(tmp_path, sizes={"test": (2, 2), "unseen": (3, 9)})
    assert settings_of(store, "test", params(knn_k="paper")).neighbours == 3


def test_folds_depend_on_the_cells_seed_and_kmeans_on_its_own(store):
    found = settings_of(store, "test", params(kmeans={"starts": 1, "seed": 42}))
    assert (found.kmeans_seed, found.starts) == (42, 1)
    assert found.probe_seed == settings_of(store, "unseen", params()).probe_seed


def test_the_cell_must_be_the_one_asked_for(store):
    check_cell(store, "toy", "net", 7)
    with pytest.raises(UserError, match="must hold the cell toy-net-8, found toy-net-7"):
        check_cell(store, "toy", "net", 8)


@pytest.mark.parametrize(
    ("sizes", "changes", "message"),
    [
        (None, {"probe": probe([0, 7])}, r"measure\.probe\.steps must name checkpoints, found 7; .* are 0, 5, 10"),
        ({"test": (5, 5)}, {"knn_k": "paper"}, "knn_k: paper takes k from the split `unseen`, found only test"),
        ({"test": (5, 5), "unseen": (9,)}, {}, "split 'unseen' must have at least 2 classes .* found only 'unseen0'"),
        (None, {"probe": probe("all", folds=9)}, "folds: 9 needs .* split 'test' has 8 of class 'test0'"),
        ({"unseen": (5, 5)}, {"metrics": ["accuracy"]}, "found only accuracy, which needs the split 'test'"),
    ],
)
def test_parameters_that_do_not_fit_the_embeddings(tmp_path, sizes, changes, message):
    with pytest.raises(UserError, match=message):
        check_params(small_store(tmp_path, sizes=sizes), params(**changes))


def test_small_classes_are_accepted_without_the_probe(tmp_path):
    store = small_store(tmp_path, sizes={"test": (2, 5), "unseen": (1, 4)})
    check_params(store, params(metrics=["nmi", "knn_purity"]))


def test_the_head_is_scored_on_seen_classes_only(tmp_path, store):
    assert head_metrics(store, params()) == ("accuracy",)
    assert head_metrics(small_store(tmp_path, sizes={"unseen": (5, 5)}), params()) == ()


def test_settings_are_plain_numbers(store):
    assert not isinstance(settings_of(store, "test", params()).neighbours, np.generic)
