import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.kmeans import Search, cluster
from stages.measure.analyses.k_sensitivity import cluster_counts, k_sensitivity
from tests.measure.analyses.synthetic import toy_cell


@pytest.mark.parametrize(
    ("K", "N", "expected"),
    [(5, 500, [3, 4, 5, 6, 7, 10]), (3, 30, [2, 3, 4, 5, 6]), (2, 30, [2, 3, 4]), (4, 7, [2, 3, 4, 5, 6])],
)
def test_numbers_of_clusters(K, N, expected):
    assert cluster_counts(K, N) == expected


@pytest.mark.parametrize("search", [Search(1, 1, 4), Search(20, 5, 4)])
def test_scores_are_those_of_a_search_of_at_most_15_starts_and_of_k_the_main_score(tmp_path, search):
    cell, layer, split = toy_cell(
        tmp_path, "test", kmeans={"starts": search.starts, "polished": search.polished, "seed": 4}
    )
    rows = k_sensitivity(cell, layer, split).rows
    assert [row["clusters"] for row in rows] == [2, 3, 4, 5, 6]
    for row in rows:
        own = search if row["clusters"] == 3 else search.capped(15, 3)
        labels = cluster(split.X, row["clusters"], own).labels
        assert row["nmi"] == pytest.approx(normalized_mutual_info_score(split.y, labels))
        assert row["ami"] == pytest.approx(adjusted_mutual_info_score(split.y, labels))
    assert rows[1]["nmi"] == LAYER_SCORES["nmi"].score(split).value


@pytest.mark.filterwarnings("error")
def test_constant_embeddings_score_zero(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "test")
    split.X = np.ones_like(split.X)
    rows = k_sensitivity(cell, layer, split).rows
    assert [(row["nmi"], row["ami"]) for row in rows] == [(0, 0)] * 5
