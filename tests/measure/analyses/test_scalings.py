import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize

from stages.core.scores.catalogue import scored_by
from stages.core.scores.kmeans import cluster
from stages.measure.analyses.scalings import scalings
from tests.measure.analyses.synthetic import toy_cell

SCORES = scored_by("scalings")
METRICS = [*SCORES, "accuracy"]


def scores_by_scikit_learn(X, y, k, search):
    """Scores from scikit-learn's neighbours; of all of them, nearest first, without the image itself."""
    nearest = NearestNeighbors(algorithm="brute").fit(X).kneighbors(n_neighbors=len(X) - 1, return_distance=False)
    same, others = y[nearest] == y[:, None], np.bincount(y)[y] - 1
    precision = np.cumsum(same, axis=1) / np.arange(1, len(X))
    return {
        "nmi": normalized_mutual_info_score(y, cluster(X.astype(np.float32), len(np.unique(y)), search).labels),
        "knn_purity": same[:, :k].mean(),
        "nn1_accuracy": same[:, 0].mean(),
        "map_at_r": np.mean([(p[:r] * s[:r]).mean() for p, s, r in zip(precision, same, others, strict=True)]),
    }


def values(cell, layer, split, step):
    rows = scalings(cell, layer, split, step).rows
    return {scaling: {r["metric"]: r["value"] for r in rows if r["scaling"] == scaling} for scaling in SCALINGS}


SCALINGS = ("none", "l2", "standard")


@pytest.mark.parametrize("step", [0, 10])
@pytest.mark.parametrize("measured", ["none", "l2"])
def test_scores_are_those_of_scikit_learn_on_scaled_embeddings(tmp_path, measured, step):
    cell, layer, _ = toy_cell(tmp_path, "unseen", metrics=METRICS, normalize=measured)
    found = values(cell, layer, cell.embedded(layer, step, "unseen", measured), step)
    X, seen = (cell.store.features(layer, step, split).astype(np.float64) for split in ("unseen", "test"))
    expected = {"none": X, "l2": normalize(X), "standard": StandardScaler().fit(seen).transform(X)}
    settings, y = cell.settings["unseen"], cell.classes["unseen"]
    for scaling, scaled in expected.items():
        assert found[scaling] == pytest.approx(
            scores_by_scikit_learn(scaled, y, settings.neighbours, settings.search), abs=1e-9
        )
    assert len({round(scores["knn_purity"], 6) for scores in found.values()}) == 3


def test_without_seen_images_columns_are_standardized_by_the_unseen_ones(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes={"unseen": (9, 11, 10)}, metrics=["map_at_r"])
    scaled = StandardScaler().fit_transform(split.X.astype(np.float64))
    settings = cell.settings["unseen"]
    expected = scores_by_scikit_learn(scaled, split.y, settings.neighbours, settings.search)["map_at_r"]
    assert values(cell, layer, split, 10)["standard"] == {"map_at_r": pytest.approx(expected)}


def test_a_constant_embedding_and_constant_columns_have_finite_scores(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "unseen", metrics=METRICS)
    split.X = np.zeros_like(split.X)
    rows = scalings(cell, layer, split, 10).rows
    assert len(rows) == 3 * len(SCORES)
    assert all(np.isfinite(row["value"]) for row in rows)
