from itertools import combinations

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from stages.core.scores.embedded_split import unit_rows
from stages.core.scores.kmeans import Search, cluster, inertia_of, rotate, rotate_joined
from stages.measure.analyses import layer_pairs
from stages.measure.analyses.joined import join, joined
from tests.measure.analyses.synthetic import toy_cell
from tests.measure.analyses.test_scalings import METRICS, scores_by_scikit_learn
from tests.measure.synthetic import blobs, embedded


def scores_of(rows):
    """Scores by the two layers."""
    found = {}
    for row in rows:
        a, b = (tuple(row[f"{name}_{end}"] for name in ("layer", "depth", "pooling")) for end in "ab")
        found.setdefault((a, b), {})[row["metric"]] = row["value"]
    return found


@pytest.mark.parametrize("most", [1000, 24])
def test_scores_are_those_of_scikit_learn_on_concatenated_arrays(tmp_path, monkeypatch, most):
    monkeypatch.setattr(layer_pairs, "MOST_IMAGES", most)
    cell, *_ = toy_cell(tmp_path, "unseen", metrics=METRICS)
    rows = joined(cell).rows
    assert {(row["step"], row["split"]) for row in rows} == {(10, "unseen")}
    some = layer_pairs.images_of_pairs(cell, "unseen")
    assert len(some) == min(most, 30)
    y, search = cell.classes["unseen"][some], cell.settings["unseen"].search
    stem, block = (next(layer for layer in cell.store.layers if layer.name == name) for name in ("stem", "blocks.0"))
    X = {layer.keys: cell.store.features(layer, 10, "unseen")[some].astype(np.float64) for layer in (stem, block)}
    expected = {(keys, keys): normalize(values) for keys, values in X.items()}
    expected[stem.keys, block.keys] = np.hstack([normalize(values) for values in X.values()])
    found = scores_of(rows)
    assert list(found) == [(stem.keys, stem.keys), (block.keys, block.keys), (stem.keys, block.keys)]
    for pair, scores in found.items():
        scikit_learn = scores_by_scikit_learn(expected[pair], y, np.bincount(y).max(), search)
        assert scores == pytest.approx(scikit_learn, abs=1e-9), pair
    assert len({round(scores["knn_purity"], 6) for scores in found.values()}) == 3


def test_a_joined_search_finds_clusters_as_tight_as_one_in_all_principal_axes():
    parts = [unit_rows(blobs([60, 60, 60, 60], width, spread=2)[0]) for width in (20, 90, 300)]
    search = Search(30, 5)
    for a, b in combinations(parts, 2):
        X = np.hstack([a, b])
        rotated = rotate_joined([rotate(a), rotate(b)], 4)
        distances = [np.square(rows[:, None] - rows[None]).sum(axis=2) for rows in (X[:40], rotated[:40])]
        np.testing.assert_allclose(distances[1], distances[0], rtol=1e-4, atol=1e-5)
        reached = inertia_of(X, cluster(X, 4, search, rotated=rotated).labels)
        assert reached <= cluster(X, 4, search).inertia * 1.001


@pytest.mark.parametrize("search", [Search(1, 1, 4), Search(5, 2, 4)])
def test_a_single_start_is_that_of_the_concatenated_rows(search):
    sizes = [12, 9, 11]
    a, b = (embedded(unit_rows(blobs(sizes, width)[0]), blobs(sizes, width)[1], search=search) for width in (5, 7))
    X = np.hstack([a.X, b.X])
    both = join([a, b], np.square(X[:, None].astype(np.float64) - X[None]).sum(axis=2))
    assert both.clusterings[0].inertia == pytest.approx(cluster(X, 3, search).inertia, rel=1e-5)
