import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from stages.measure.corrupted import (
    CopyScore,
    accuracy_of_copies,
    nmi_of_copies,
    nmi_of_least_inertia,
    relative,
)
from stages.measure.scores.clustering import cluster
from tests.measure.synthetic import blobs


def test_relative_is_the_share_of_the_clean_score():
    assert relative(0.3, 0.6) == 0.5
    assert relative(0.6, 0.3) == 2
    assert relative(0.0, 0.5) == 0
    assert np.isnan(relative(0.0, 0.0))
    assert np.isnan(relative(0.4, 0.0))
    assert CopyScore(0.2, 0.8).relative == 0.25


def test_accuracy_compares_the_same_images():
    score = accuracy_of_copies(np.array([0, 1, 0, 0]), np.array([0, 1, 1, 0]), np.array([0, 1, 1, 1]))
    assert (score.value, score.clean) == (0.5, 0.75)
    assert score.relative == pytest.approx(2 / 3)


def test_nmi_of_one_start_equals_scikit_learn():
    X, y = blobs([12, 15, 9], 4, spread=1.5)
    labels = KMeans(n_clusters=3, random_state=5, n_init=1).fit_predict(X)
    expected = normalized_mutual_info_score(y, labels)
    assert nmi_of_least_inertia(X, y, starts=1, seed=5) == pytest.approx(expected)
    assert nmi_of_least_inertia(X, np.array([4, 9, 2])[y], starts=1, seed=5) == pytest.approx(expected)
    assert 0 < expected < 1


def test_the_start_of_least_inertia_among_three_at_most_counts():
    X, y = blobs([10] * 8, 3, spread=0.6)
    starts = cluster(X, 8, starts=20, seed=2)
    values = [normalized_mutual_info_score(y, start.labels) for start in starts]
    best = min(range(3), key=lambda i: starts[i].inertia)
    assert best > 0
    assert min(starts[:3], key=lambda s: s.inertia).inertia > min(starts, key=lambda s: s.inertia).inertia
    for count in (3, 20):
        assert nmi_of_least_inertia(X, y, starts=count, seed=2) == pytest.approx(values[best])


def test_every_corruption_is_compared_with_the_same_clean_images():
    X, y = blobs([15, 15, 15], 5, spread=0.5)
    noise = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    copies = {"none": X, "weak": X + 0.5 * noise, "total": 9 * noise}
    scores = nmi_of_copies(X, copies, y, starts=2, seed=0)
    assert list(scores) == ["none", "weak", "total"]
    assert {score.clean for score in scores.values()} == {nmi_of_least_inertia(X, y, starts=2, seed=0)}
    assert scores["none"].relative == 1
    assert scores["weak"].relative > 0.8
    assert scores["total"].relative < 0.4


def test_a_corruption_that_leaves_nothing_scores_0():
    X, y = blobs([6, 6], 3)
    assert nmi_of_copies(X, {"grey": np.ones_like(X)}, y, starts=3, seed=0)["grey"].value == 0
