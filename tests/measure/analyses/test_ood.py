import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from stages.core.scores.catalogue import DETECTION_SCORES
from stages.measure.analyses.ood import (
    auroc,
    fpr95,
    knn_distances,
    mahalanobis_distances,
    ood,
    shrunk_covariance,
)
from tests.measure.analyses.synthetic import toy_cell
from tests.measure.synthetic import blobs

SHAPES = [([20, 15, 25], 8), ([9, 8, 7], 24), ([8, 7, 6], 90), ([10, 10], 1)]  # D < n, D = n, D > n


def slow_mahalanobis(train, y, X):
    """One image and class at a time, with the inverse of scikit-learn's covariance."""
    train, X = train.astype(np.float64), X.astype(np.float64)
    means = {c: train[y == c].mean(axis=0) for c in set(y)}
    residuals = np.array([row - means[c] for row, c in zip(train, y, strict=True)])
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(residuals).covariance_)
    return np.array([min((x - m) @ inverse @ (x - m) for m in means.values()) for x in X])


def others(width, count=30, seed=9):
    return np.random.default_rng(seed).normal(3, 2, size=(count, width)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 5, 50, 60])
def test_knn_distances_equal_scikit_learn(k):
    train, _ = blobs([20, 40], 7)
    X = others(7)
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(normalize(train.astype(np.float64)))
    expected = search.kneighbors(normalize(X.astype(np.float64)))[0][:, -1]
    assert np.allclose(knn_distances(train, X, k=k), expected, atol=1e-6)
    assert expected.std() > 0.01


def test_of_fewer_training_images_than_k_the_farthest_counts():
    train = np.array([[1, 0], [0, 2], [-3, 0]], np.float32)
    assert np.allclose(knn_distances(train, np.array([[5, 0], [0, 1]], np.float32)), [2, 2**0.5])


def test_knn_distances_know_directions_only_and_rows_of_zeros_have_none():
    train, _ = blobs([30], 5)
    X = others(5)
    scales = np.random.default_rng(0).uniform(0.1, 9, size=(30, 1)).astype(np.float32)
    assert np.allclose(knn_distances(train * scales, X * 3, k=4), knn_distances(train, X, k=4), atol=1e-6)
    assert knn_distances(train, np.zeros((2, 5), np.float32), k=4) == pytest.approx(np.sqrt(2))
    assert knn_distances(np.zeros((4, 5), np.float32), np.zeros((2, 5), np.float32)).tolist() == [0, 0]


def test_a_training_image_itself_lies_at_distance_0():
    train, _ = blobs([30], 300)
    assert knn_distances(train, train[4:9], k=1).tolist() == [0] * 5
    assert (knn_distances(train, train[4:9], k=2) > 0.01).all()


@pytest.mark.parametrize(("sizes", "width"), SHAPES)
def test_mahalanobis_distances_equal_a_slow_computation(sizes, width):
    train, y = blobs(sizes, width)
    X = others(width)
    assert np.allclose(mahalanobis_distances(train, y, X), slow_mahalanobis(train, y, X), rtol=1e-8)
    names = np.array([7, -1, 40])[y]  # any integers will do
    assert np.array_equal(mahalanobis_distances(train, names, X), mahalanobis_distances(train, y, X))


@pytest.mark.parametrize(("sizes", "width"), SHAPES[:3])
def test_mahalanobis_distances_do_not_depend_on_origin_scale_or_rotation(sizes, width):
    train, y = blobs(sizes, width)
    X = others(width)
    plain = mahalanobis_distances(train, y, X)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0].astype(np.float32)
    assert np.allclose(mahalanobis_distances(train @ rotation, y, X @ rotation), plain, rtol=1e-4)
    assert np.allclose(mahalanobis_distances(train * 1024, y, X * 1024), plain)
    grid = [np.round(a * 64) / 64 for a in (train, X)]  # so that the shift is exact in float32
    shifted = mahalanobis_distances(grid[0] + 4096, y, grid[1] + 4096)
    assert np.allclose(shifted, mahalanobis_distances(grid[0], y, grid[1]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(40, 6), (12, 60), (30, 30), (9, 1)])
def test_the_covariance_is_ledoit_and_wolfs_with_a_floor_under_what_shrinkage_adds(shape):
    random = np.random.default_rng(1)
    residuals = random.normal(size=shape) * random.uniform(0.1, 3, shape[1])
    estimate = LedoitWolf(assume_centered=True).fit(residuals)
    added = estimate.shrinkage_ * np.square(residuals).mean()
    assert np.allclose(shrunk_covariance(residuals, floor=added / 2), estimate.covariance_)
    floored = shrunk_covariance(residuals, floor=added + 2)
    assert np.allclose(floored, estimate.covariance_ + 2 * np.eye(shape[1]))


def test_without_any_variance_the_covariance_is_the_floor_or_the_identity():
    assert np.array_equal(shrunk_covariance(np.zeros((4, 3)), floor=0.25), np.eye(3) / 4)
    assert np.array_equal(shrunk_covariance(np.zeros((4, 3))), np.eye(3))


@pytest.mark.parametrize("width", [3, 40])
def test_without_variance_within_classes_the_euclidean_distance_orders(width):
    centres, y = others(width, 3), np.repeat([0, 1, 2], 4)
    X = others(width, 20, seed=1)
    found = mahalanobis_distances(centres[y], y, X)
    euclidean = ((X[:, None].astype(np.float64) - centres) ** 2).sum(axis=2).min(axis=1)
    assert np.allclose(found / found[0], euclidean / euclidean[0])
    assert mahalanobis_distances(centres[y], y, centres).max() < 1e-6 * found.min()


def test_a_feature_that_does_not_vary_is_measured_by_the_shrunk_variance():
    train, y = blobs([20, 20], 4)
    train[:, 2] = 0.1
    X = others(4)
    X[:, 2] = 0.1
    beside = X + np.array([0, 0, 1, 0], np.float32)
    added = mahalanobis_distances(train, y, beside) - mahalanobis_distances(train, y, X)
    residuals = train - np.stack([train[y == c].mean(axis=0) for c in (0, 1)])[y]
    assert np.allclose(added, 1 / LedoitWolf(assume_centered=True).fit(residuals).covariance_[2, 2], rtol=1e-3)


def test_constant_embeddings_tell_nothing():
    train, y = np.full((12, 5), 0.1, np.float32), np.repeat([0, 1], 6)
    for constant in (train, np.zeros_like(train)):
        near, far = (mahalanobis_distances(constant, y, constant[:n]) for n in (4, 7))
        assert auroc(near, far) == 0.5
        assert fpr95(near, far) == 1.0
        assert auroc(knn_distances(constant, constant[:4]), knn_distances(constant, constant[:7])) == 0.5


@pytest.mark.parametrize("width", [6, 80])
def test_blocks_do_not_change_the_distances(width):
    train, y = blobs([20, 20], width)
    X = others(width)
    for block_bytes in (1, 20000):
        assert np.allclose(knn_distances(train, X, k=3, block_bytes=block_bytes), knn_distances(train, X, k=3))
        blocked = mahalanobis_distances(train, y, X, block_bytes=block_bytes)
        assert np.allclose(blocked, mahalanobis_distances(train, y, X))


def test_auroc_by_hand():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0
    assert auroc(np.array([1.0, 2.0]), np.array([2.0])) == 0.75  # one farther, one equal


def test_fpr95_by_hand():
    seen = np.arange(1.0, 21)  # 95 % of 20 are 19: the threshold is 19, and accepts what lies there
    assert fpr95(seen, np.array([18.5, 19.0, 19.5, 20.5])) == 0.5
    assert fpr95(seen[:19], np.array([18.5, 19.0, 19.5])) == pytest.approx(2 / 3)  # 18 of 19 are 94.7 %: too few


@pytest.mark.parametrize("seen_count", [3, 20, 39, 60, 100, 141])
@pytest.mark.parametrize("ties", [True, False])
def test_auroc_and_fpr95_equal_scikit_learn(seen_count, ties):
    random = np.random.default_rng(seen_count)
    seen, unseen = random.normal(0, 1, seen_count), random.normal(1, 1, 50)
    if ties:
        seen, unseen = (seen * 3).round(), (unseen * 3).round()
    distances = np.concatenate([seen, unseen])
    is_unseen = np.repeat([0, 1], [seen_count, 50])
    assert auroc(seen, unseen) == pytest.approx(roc_auc_score(is_unseen, distances))
    false, true, _ = roc_curve(1 - is_unseen, -distances, drop_intermediate=False)  # here seen is the positive class
    assert fpr95(seen, unseen) == false[np.argmax(true >= 0.95)]
    assert 0 < fpr95(seen, unseen) < 1


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_distances_of_both_splits_to_the_training_images_and_their_scores(tmp_path, normalize):
    cell, layer, split = toy_cell(tmp_path, "unseen", normalize=normalize)
    found = ood(cell, layer, split)
    train, seen = cell.features_of_last(layer, "train"), cell.embedded(layer, cell.step, "test").X
    assert not np.allclose(np.linalg.norm(train, axis=1), 1)
    labels = np.repeat([0, 1, 2], [5, 4, 6])
    truth = np.repeat([0, 1], [24, 30])
    scores = {row.metric: row for row in found.scores}
    for kind, distances in (
        ("knn", lambda X: knn_distances(train, X)),
        ("mahalanobis", lambda X: mahalanobis_distances(train, labels, X)),
    ):
        near, far = distances(seen), distances(split.X)
        assert np.allclose(found.images["test"][f"ood_{kind}"], near, rtol=1e-12)
        assert np.allclose(found.images["unseen"][f"ood_{kind}"], far, rtol=1e-12)
        expected = roc_auc_score(truth, np.concatenate([near, far]))
        assert scores[f"ood_auroc_{kind}"].score.value == pytest.approx(expected)
        assert scores[f"ood_fpr95_{kind}"].score.value == (far <= np.sort(near)[22]).mean()  # 23 of 24: 95.8 %
    assert set(scores) == set(DETECTION_SCORES)
    assert {(row.split, row.n_images, row.n_classes) for row in found.scores} == {("unseen", 30, 3)}
    assert {name: (row.score.chance, row.score.ceiling) for name, row in scores.items()} == {
        **dict.fromkeys(("ood_auroc_knn", "ood_auroc_mahalanobis"), (0.5, 1.0)),
        **dict.fromkeys(("ood_fpr95_knn", "ood_fpr95_mahalanobis"), (0.95, 0.0)),
    }
