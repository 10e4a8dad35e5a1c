"""Which rows every score and analysis takes: of length 1 or as they are stored."""

import weakref
from dataclasses import replace

import numpy as np
import pytest

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.embedded_split import EmbeddedSplit, unit_rows
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.params import MeasureParams
from stages.measure.run import plan_jobs, score
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, LAYERS, write_last_step, write_store

SIZES = {"test": (8, 9, 8), "unseen": (9, 11, 10, 8)}
REFITTED = [name for name, each in LAYER_SCORES.items() if each.refit]
OF_DISTANCES = {
    "nmi", "ami", "ari", "cluster_accuracy", "silhouette", "knn_purity", "nn1_accuracy", "r_precision", "map_at_r",
    "few_shot_accuracy_1", "few_shot_accuracy_5",
}  # fmt: skip
OF_LAYERS = [name for name, each in ANALYSES.items() if not each.whole_network]


def stretch(X):
    """Give rows lengths that say nothing of their classes."""
    return X * np.random.default_rng(1).choice([0.25, 1.0, 4.0], size=(len(X), 1)).astype(np.float32)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The results of every job, by store (plain or stretched) and normalization; and the plain store's cells."""
    found, cells = {}, {}
    for name, spoil in (("plain", lambda X: X), ("stretched", stretch)):
        path = tmp_path_factory.mktemp(name) / "store"
        write_store(path, steps=(10,), sizes=SIZES, spoil={(layer.name, 10): spoil for layer in LAYERS})
        write_last_step(path, spoil={layer.name: spoil for layer in LAYERS})
        for normalize in ("none", "l2"):
            asked = {"metrics": list(LAYER_SCORES), "analyses": OF_LAYERS, "normalize": normalize}
            refits = DEFAULT["refits"] | {"metrics": REFITTED}
            cells[name, normalize] = cell = Cell(
                open_embeddings(path), parse(DEFAULT | asked | {"refits": refits}, MeasureParams, where="measure")
            )
            jobs = [job for job in plan_jobs(cell.store, cell.params) if job.layer.name in ("pixels", "blocks.0")]
            found[name, normalize] = [score(cell, job) for job in jobs]
    return found, cells


def numbers(result, name):
    """All that a job has of one score: its value, levels and images, and what was fitted again."""
    of_score, refits = result.scores[name], result.refits.get(name, np.empty(0))
    images = np.empty(0) if of_score.per_image is None else of_score.per_image
    return np.concatenate([[of_score.value, of_score.chance, of_score.ceiling], images, refits])


@pytest.mark.parametrize("name", LAYER_SCORES)
def test_rows_of_length_1_are_for_scores_of_distances_alone(measured, name):
    found, cells = measured
    plain, unit, stretched = (found[key] for key in (("stretched", "none"), ("stretched", "l2"), ("plain", "l2")))
    moved = set()
    for stored, scaled, other in zip(plain, unit, stretched, strict=True):
        if name in OF_DISTANCES:
            np.testing.assert_allclose(numbers(scaled, name), numbers(other, name), atol=1e-6)
            cell, job = cells["stretched", "l2"], scaled.job
            X = unit_rows(cell.store.features(job.layer, job.step, job.split))
            own = EmbeddedSplit(X, cell.classes[job.split], cell.settings[job.split])
            assert scaled.scores[name].value == LAYER_SCORES[name].score(own).value
            same = np.array_equal(numbers(stored, name), numbers(scaled, name), equal_nan=True)
            moved |= set() if same else {job.layer.name}
        else:
            assert np.array_equal(numbers(stored, name), numbers(scaled, name), equal_nan=True)
    assert moved == ({"pixels", "blocks.0"} if name in OF_DISTANCES else set())  # the baseline as any layer


def rows_of(result):
    """Every number that an analysis of a job found, by what names it."""
    numbers = {}
    for name, found in result.analysed.items():
        for each in found.scores:
            numbers[name, each.split, each.metric] = (each.score.value,)
        for row in found.rows:
            own = {key: value for key, value in row.items() if key in ("clusters", "scaling", "metric")}
            numbers[name, *own.values()] = tuple(row[key] for key in row if key not in own)
    return numbers


def test_analyses_take_the_rows_of_their_scores(measured):
    found, _ = measured
    as_stored = {"ood_auroc_knn", "ood_fpr95_knn", "ood_auroc_mahalanobis", "ood_fpr95_mahalanobis"}
    moved = set()
    for stored, scaled, other in zip(
        *(found[key] for key in (("stretched", "none"), ("stretched", "l2"), ("plain", "l2"))), strict=True
    ):
        before, after, plain = map(rows_of, (stored, scaled, other))
        assert list(before) == list(after)
        for (name, *which), values in after.items():
            if name == "scalings" or which[-1] in as_stored:
                assert values == pytest.approx(before[name, *which], nan_ok=True, abs=1e-12)
            else:
                assert values == pytest.approx(plain[name, *which], nan_ok=True, abs=1e-6)
                moved |= {name} if values != before[name, *which] else set()
    assert moved == {"seen_matched", "k_sensitivity"}


def test_clusters_are_those_of_the_rows_that_nmi_is_of(measured):
    for result in measured[0]["stretched", "l2"]:
        if "nmi" in result.scores:
            assert result.clusterings[0]["nmi"] == result.scores["nmi"].value


def test_rows_of_one_kind_are_let_go_before_the_next_are_made(measured, monkeypatch):
    cell = measured[1]["stretched", "l2"]
    job, alive = plan_jobs(cell.store, cell.params)[-1], []

    class Watched(EmbeddedSplit):
        def __init__(self, *given, **named):
            assert all(ref() is None for ref in alive)
            alive.append(weakref.ref(self))
            super().__init__(*given, **named)

    monkeypatch.setattr("stages.core.scores.layer.EmbeddedSplit", Watched)
    score(cell, replace(job, analyses=(), refits=()))
    assert len(alive) == 2
