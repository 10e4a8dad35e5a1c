import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from stages.measure.analyses.k_sensitivity import cluster_counts, k_sensitivity
from stages.shared.seeding import child_seed
from tests.measure.analyses.synthetic import toy_cell


@pytest.mark.parametrize(
    ("K", "N", "expected"),
    [(5, 500, [3, 4, 5, 6, 7, 10]), (3, 30, [2, 3, 4, 5, 6]), (2, 30, [2, 3, 4]), (4, 7, [2, 3, 4, 5, 6])],
)
def test_numbers_of_clusters(K, N, expected):
    assert cluster_counts(K, N) == expected


@pytest.mark.parametrize("starts", [1, 10])
def test_scores_are_those_of_the_best_of_at_most_three_starts(tmp_path, starts):
    cell, layer, split = toy_cell(tmp_path, "test", kmeans={"starts": starts, "seed": 4})
    rows = k_sensitivity(cell, layer, split).tables["k_sensitivity"]
    assert [row["clusters"] for row in rows] == [2, 3, 4, 5, 6]
    seeds = [4, child_seed(4, "kmeans", 1), child_seed(4, "kmeans", 2)][:starts]
    for row in rows:
        fits = [KMeans(row["clusters"], random_state=seed, n_init=1).fit(split.X) for seed in seeds]
        labels = min(fits, key=lambda fit: fit.inertia_).labels_
        assert row["nmi"] == pytest.approx(normalized_mutual_info_score(split.y, labels))
        assert row["ami"] == pytest.approx(adjusted_mutual_info_score(split.y, labels))


@pytest.mark.filterwarnings("error")
def test_constant_embeddings_score_zero(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "test")
    split.X = np.ones_like(split.X)
    rows = k_sensitivity(cell, layer, split).tables["k_sensitivity"]
    assert [(row["nmi"], row["ami"]) for row in rows] == [(0, 0)] * 5
