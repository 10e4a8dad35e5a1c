import numpy as np
import pytest

from stages.core.scores.kmeans import Search
from stages.measure.cell import settings_of
from stages.measure.params import MeasureParams
from stages.measure.run import head_metrics, is_baseline, job_at, plan_jobs
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, small_store, write_store


def params(**changes):
    return parse(DEFAULT | changes, MeasureParams, where="measure")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "store"
    write_store(path, sizes={"test": (8, 8, 8), "unseen": (9, 14)})
    return open_embeddings(path)


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


def extra(metrics, steps):
    return {"metrics": metrics, "steps": steps}


def test_further_scores_are_computed_at_their_own_steps(store):
    jobs = plan_jobs(store, params(metrics=["nmi"], extra=extra(["silhouette", "probe_accuracy"], [0, 5])))
    at = {job.step: job.metrics for job in jobs if job.layer.name == "stem"}
    assert at == {0: ("nmi", "silhouette", "probe_accuracy"), 5: ("nmi", "silhouette"), 10: ("nmi",)}
    baseline = [job for job in jobs if job.layer.name == "pixels"]
    assert {job.metrics for job in baseline} == {("nmi", "silhouette", "probe_accuracy")}


def test_analyses_belong_to_the_last_step_and_to_the_baseline(store):
    every = params(analyses=["seen_matched", "k_sensitivity", "layer_pairs", "ood"])
    at_last = {split: job_at(10, split, store.layers[1], store.steps, every).analyses for split in ("test", "unseen")}
    assert at_last == {"test": ("k_sensitivity",), "unseen": ("seen_matched", "k_sensitivity", "ood")}
    jobs = plan_jobs(store, every)
    with_analyses = {(job.step, job.layer.name) for job in jobs if job.analyses}
    assert with_analyses == {(0, "pixels"), (10, "stem"), (10, "stem@max"), (10, "blocks.0")}
    assert all(job.analyses == at_last[job.split] for job in jobs if job.analyses)


def test_scalings_belong_to_unseen_images_at_the_first_and_the_last_step(store):
    jobs = plan_jobs(store, params(analyses=["scalings", "layer_pairs", "k_sensitivity"]))
    scaled = {(job.step, job.split, job.layer.name) for job in jobs if "scalings" in job.analyses}
    layers = {"stem", "stem@max", "blocks.0"}
    assert scaled == {(0, "unseen", "pixels")} | {(step, "unseen", name) for step in (0, 10) for name in layers}
    assert {job.analyses for job in jobs if job.step == 5} == {()}


def test_refits_are_of_scores_asked_for_at_their_steps_on_unseen_images(store):
    refits = {"metrics": ["collapse", "nmi", "ari"], "steps": [5, 10], "halves": 4, "starts": 3, "polished": 1}
    jobs = plan_jobs(store, params(metrics=["nmi"], extra=extra(["collapse"], [0, 10]), refits=refits))
    assert all(job.refits == () for job in jobs if job.split != "unseen")
    at = {job.step: job.refits for job in jobs if job.split == "unseen" and job.layer.name == "stem"}
    assert at == {0: (), 5: ("nmi",), 10: ("collapse", "nmi")}
    assert [job.refits for job in jobs if job.split == "unseen" and is_baseline(job.layer)] == [("collapse", "nmi")]
    harder = params(metrics=["nmi"], extra=extra(["collapse"], "all"), refits=refits | {"starts": 4})
    assert {job.refits for job in plan_jobs(store, harder)} == {(), ("collapse",)}


def test_an_analysis_needs_no_score_of_the_same_layer(store):
    jobs = plan_jobs(store, params(metrics=["accuracy"], analyses=["ood"]))
    assert {(job.step, job.split, job.layer.name) for job in jobs} == {
        (0, "unseen", "pixels"),
        *((10, "unseen", name) for name in ("stem", "stem@max", "blocks.0")),
    }


@pytest.mark.parametrize(("knn_k", "expected"), [("split", (8, 14)), ("paper", (14, 14))])
def test_k_is_the_splits_own_largest_class_or_the_unseen_ones(store, knn_k, expected):
    assert tuple(settings_of(store, s, params(knn_k=knn_k)).neighbours for s in ("test", "unseen")) == expected


def test_k_is_at_most_the_other_images(tmp_path):
    store = small_store(tmp_path, sizes={"test": (2, 2), "unseen": (3, 9)})
    assert settings_of(store, "test", params(knn_k="paper")).neighbours == 3


def test_folds_depend_on_the_cells_seed_and_kmeans_on_its_own(store):
    found = settings_of(store, "test", params(kmeans={"starts": 1, "polished": 1, "seed": 42}))
    assert found.search == Search(1, 1, 42)
    assert found.probe_seed == settings_of(store, "unseen", params()).probe_seed


def test_the_head_is_scored_on_seen_classes_only(tmp_path, store):
    assert head_metrics(5, store, params()) == ("accuracy",)
    assert head_metrics(5, small_store(tmp_path, sizes={"unseen": (5, 5)}), params()) == ()


def test_the_head_may_be_scored_at_some_steps_only(store):
    chosen = params(metrics=["nmi"], extra=extra(["accuracy"], "ends"))
    assert [head_metrics(step, store, chosen) for step in (0, 5, 10)] == [("accuracy",), (), ("accuracy",)]


def test_settings_are_plain_numbers(store):
    assert not isinstance(settings_of(store, "test", params()).neighbours, np.generic)
