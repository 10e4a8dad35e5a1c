"""Places and neighbours of pictured images, compared with numpy's decomposition and a slow loop."""

import numpy as np
import pytest

from stages.measure.gallery import gallery, nearest_rows, principal_plane
from stages.shared.tables.gallery import GALLERY
from tests.measure.plane import plane_of
from tests.measure.synthetic import blobs, small_store

UNSEEN = slice(24, 44)


@pytest.mark.parametrize(("sizes", "width"), [((40, 50), 12), ((9, 11), 300), ((2, 2), 3), ((3, 3), 2), ((5, 5), 1)])
def test_the_plane_is_that_of_a_full_decomposition(sizes, width):
    X = blobs(sizes, width)[0]
    plane, explained = principal_plane(X)
    expected, share = plane_of(X)
    assert plane.dtype == np.float32
    assert plane[:, : expected.shape[1]] == pytest.approx(expected, abs=1e-4)
    assert not plane[:, expected.shape[1] :].any()
    assert explained == pytest.approx(share, abs=1e-6)


def test_a_large_mean_does_not_blur_the_plane():
    X = (blobs((40, 40), 20)[0] + 3000).astype(np.float32)
    assert principal_plane(X)[0] == pytest.approx(plane_of(X)[0], abs=1e-3)


def test_equal_images_lie_on_one_point_and_explain_nothing():
    X = np.tile(blobs((1, 1), 7)[0][:1], (30, 1))
    plane, explained = principal_plane(X)
    assert (plane.tolist(), explained) == ([[0.0, 0.0]] * 30, 0.0)


def test_the_plane_is_the_same_to_the_bit_on_every_run():
    X = blobs((60, 70, 50), 400)[0]
    assert np.array_equal(principal_plane(X)[0], principal_plane(X.copy())[0])


def slow_neighbours(X, count):
    found = []
    for i, row in enumerate(X.astype(np.float64)):
        others = [(float(np.sqrt(((row - other) ** 2).sum())), j) for j, other in enumerate(X) if j != i]
        found.append([j for _, j in sorted(others)[:count]])
    return found


@pytest.mark.parametrize(("sizes", "count"), [((10, 12), 5), ((2, 2), 5), ((1, 1), 5)])
def test_neighbours_are_those_of_a_slow_loop(sizes, count):
    X = blobs(sizes, 6)[0]
    assert nearest_rows(X, count).tolist() == slow_neighbours(X, count)


def test_equal_distances_come_in_the_order_of_the_images():
    X = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [-1, 0], [0, 0]], dtype=np.float32)
    assert nearest_rows(X, 4).tolist() == slow_neighbours(X, 4)
    assert nearest_rows(X, 4)[0].tolist() == [3, 5, 1, 2]


def test_an_image_alone_has_no_neighbours():
    assert nearest_rows(np.ones((1, 3), dtype=np.float32), 5).shape == (1, 0)


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_images_are_placed_among_all_and_compared_with_the_shown(tmp_path, normalize):
    store = small_store(tmp_path)
    shown = [24, 25, 27, 30, 31, 38, 43]
    table = gallery(store, [f"i{row:03}" for row in shown], normalize=normalize)
    assert set(table) == set(GALLERY)
    assert len(table) == len(store.layers) * len(shown)
    for layer in store.layers:
        own = table[(table["layer"] == (layer.module or layer.name)) & (table["pooling"] == layer.pooling)]
        X = store.features(layer, 10, "unseen").astype(np.float64)
        X = X / np.linalg.norm(X, axis=1, keepdims=True) if normalize == "l2" else X
        plane, share = plane_of(X)
        of_shown = [row - UNSEEN.start for row in shown]
        assert own[["x", "y"]].to_numpy() == pytest.approx(plane[of_shown], abs=1e-4)
        assert own["explained"].to_numpy() == pytest.approx(share, abs=1e-5)
        expected = [[f"i{shown[j]:03}" for j in nearest] for nearest in slow_neighbours(X[of_shown], 5)]
        assert own["neighbours"].tolist() == expected


def test_a_class_has_the_name_that_the_embeddings_give_it(tmp_path):
    table = gallery(small_store(tmp_path), ["i024", "i043"], normalize="none")
    assert table["label"].tolist() == ["unseen0", "unseen1"] * 4


@pytest.mark.parametrize("ids", [[], ["i000", "elsewhere"]])
def test_without_a_pictured_unseen_image_there_are_columns_alone(tmp_path, ids):
    table = gallery(small_store(tmp_path), ids, normalize="none")
    assert (len(table), list(table)) == (0, [*GALLERY])


def test_fold_all_has_columns_alone(tmp_path):
    store = small_store(tmp_path, sizes={"test": (8, 8, 8)}, fold="all")
    assert len(gallery(store, ["i000"], normalize="none")) == 0
