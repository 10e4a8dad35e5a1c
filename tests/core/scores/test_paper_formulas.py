"""The authors' formulas, transcribed literally, against the scores with the paper's switches on."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.kmeans import Search
from tests.measure.synthetic import blobs, embedded

SEEN, UNSEEN = [30] * 6, [50, 40, 45]
K_PAPER = 50  # the largest unseen class, for both splits


def paper_nmi(X, y):
    labels = KMeans(n_clusters=len(np.unique(y)), random_state=42, n_init="auto").fit(X).labels_
    return normalized_mutual_info_score(y, labels)


def paper_knn(X, y, k):
    graph = NearestNeighbors(n_neighbors=k).fit(X).kneighbors_graph()  # of the fitted rows: itself excluded
    shares = [np.sum(y[graph[i].indices] == y[i]) / k for i in range(len(y))]
    return np.mean(shares)


@pytest.mark.parametrize("width", [4, 40, 700])
@pytest.mark.parametrize("sizes", [SEEN, UNSEEN])
@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_scores_equal_the_published_formulas(sizes, width, spread):
    X, y = blobs(sizes, width, spread=spread)
    split = embedded(X, y, search=Search(1, 1, 42), neighbours=K_PAPER)
    found = {name: LAYER_SCORES[name].score(split).value for name in ("nmi", "knn_purity", "nn1_accuracy")}
    assert found["nmi"] == pytest.approx(paper_nmi(X, y), abs=1e-6)
    assert found["knn_purity"] == pytest.approx(paper_knn(X, y, K_PAPER), abs=1e-5)
    assert found["nn1_accuracy"] == pytest.approx(paper_knn(X, y, 1), abs=1e-6)


def test_one_k_for_both_splits_lowers_the_seen_ceiling():
    """CIFAR-100: 100 test images per class and k = 500 give 99 / 500."""
    y = np.repeat(np.arange(3), 100)
    X = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32) + 100 * y[:, None].astype(np.float32)
    score = LAYER_SCORES["knn_purity"].score(embedded(X, y, neighbours=200))
    assert score.ceiling == pytest.approx(99 / 200)
    assert score.value == pytest.approx(score.ceiling)
