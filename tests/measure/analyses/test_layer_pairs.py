from itertools import permutations

import numpy as np
import pytest

from stages.measure.analyses import layer_pairs as module
from stages.measure.analyses.layer_pairs import centred_gram, cka, layer_pairs, stratified
from tests.measure.analyses.synthetic import toy_cell


def noise(N, D, seed=0):
    return np.random.default_rng(seed).normal(size=(N, D)).astype(np.float32)


def slow_hsic(K, L):
    """The U-statistic of HSIC: the mean of its kernel over all ordered quadruples of different images."""
    quadruples = permutations(range(len(K)), 4)
    return np.mean([K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in quadruples])


def song_hsic(K, L):
    """The closed form of Song et al. (2012), from Gram matrices as they are."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    middle = K.sum() * L.sum() / ((n - 1) * (n - 2))
    return (np.trace(K @ L) + middle - 2 / (n - 2) * (K @ L).sum()) / (n * (n - 3))


def biased_cka(X, Y):
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    return np.square(X.T @ Y).sum() / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


@pytest.mark.parametrize("N", [4, 5, 7])
def test_hsic_equals_the_u_statistic(N):
    X, Y = noise(N, 3), noise(N, 9, seed=1) + noise(N, 3) @ noise(3, 9, seed=2)
    plain = [A.astype(np.float64) @ A.T.astype(np.float64) for A in (X, Y)]
    found = np.vdot(centred_gram(X), centred_gram(Y)) / (N * (N - 3))
    assert found == pytest.approx(slow_hsic(*plain), rel=1e-6)
    assert found == pytest.approx(song_hsic(*plain), rel=1e-6)


def test_cka_is_the_ratio_of_hsics():
    X, Y = noise(30, 6) + 5, noise(30, 40, seed=1) + noise(30, 6) @ noise(6, 40, seed=2)
    K, L = (A.astype(np.float64) @ A.T.astype(np.float64) for A in (X, Y))
    expected = song_hsic(K, L) / np.sqrt(song_hsic(K, K) * song_hsic(L, L))
    assert cka(centred_gram(X), centred_gram(Y)) == pytest.approx(expected, rel=1e-6)
    assert 0.2 < expected < 0.95


def test_unrelated_wide_layers_are_not_similar_where_the_biased_form_says_they_are():
    found = [
        (cka(centred_gram(X), centred_gram(Y)), biased_cka(X, Y))
        for X, Y in ((noise(40, 2000, seed), noise(40, 2000, seed + 100)) for seed in range(20))
    ]
    debiased, biased = np.array(found).T
    assert biased.min() > 0.9
    assert abs(debiased.mean()) < 3 * debiased.std() / 20**0.5
    assert abs(debiased).max() < 0.12
    assert debiased.min() < 0 < debiased.max()


def test_hsic_of_unrelated_layers_has_mean_0():
    values = [np.vdot(centred_gram(noise(6, 3, s)), centred_gram(noise(6, 3, s + 5000))) for s in range(2000)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 2000**0.5


def test_rotation_scale_and_shift_do_not_matter():
    X, Y = noise(25, 12), noise(25, 5, seed=1) + noise(25, 12)[:, :5]
    rotation = np.linalg.qr(noise(12, 12, seed=3))[0]
    expected = cka(centred_gram(X), centred_gram(Y))
    assert cka(centred_gram(-7 * X @ rotation + 3), centred_gram(Y)) == pytest.approx(expected, abs=1e-5)
    assert cka(centred_gram(Y), centred_gram(X)) == pytest.approx(expected)
    assert cka(centred_gram(X), centred_gram(X @ rotation)) == pytest.approx(1)
    assert 0.1 < expected < 0.9


def test_the_order_of_images_matters_only_between_layers():
    X, Y = noise(25, 12), noise(25, 12) + noise(25, 12, seed=1)
    order = np.random.default_rng(0).permutation(25)
    expected = cka(centred_gram(X), centred_gram(Y))
    assert cka(centred_gram(X[order]), centred_gram(Y[order])) == pytest.approx(expected)
    assert abs(cka(centred_gram(X[order]), centred_gram(Y))) < expected / 2


def test_a_layer_with_itself_is_exactly_1():
    K = centred_gram(noise(20, 3))
    assert cka(K, K) == 1


def test_centred_gram_has_no_diagonal_and_no_margins(monkeypatch):
    X = noise(15, 50) + 100
    K = centred_gram(X)
    assert np.array_equal(np.diag(K), np.zeros(15))
    assert np.allclose(K.sum(axis=0), 0, atol=1e-10)
    assert np.array_equal(K, K.T)
    monkeypatch.setattr(module, "FEATURES_PER_BLOCK", 7)
    assert np.allclose(centred_gram(X), K, atol=1e-10)


def test_constant_layers_and_too_few_images_have_no_value():
    X = noise(8, 3)
    constant = centred_gram(np.full((8, 700), 0.1, np.float32))
    assert not constant.any()
    assert np.isnan(cka(constant, centred_gram(X)))
    assert np.isnan(cka(constant, constant))
    assert np.isnan(cka(centred_gram(X[:3]), centred_gram(X[:3])))


def test_every_pair_of_every_split_is_compared_once(tmp_path):
    cell, layer, _ = toy_cell(tmp_path, "unseen")
    rows = layer_pairs(cell).rows
    keys = [each.keys for each in cell.store.layers]
    expected = [(10, s, *a, *b) for s in ("test", "unseen") for i, a in enumerate(keys) for b in keys[i:]]
    assert [tuple(row.values())[:-1] for row in rows] == expected
    stem = next(each for each in cell.store.layers if each.name == "stem")
    grams = [centred_gram(cell.embedded(each, 10, "unseen").X) for each in (stem, layer)]
    found = next(row for row in rows if tuple(row.values())[:-1] == (10, "unseen", *stem.keys, *layer.keys))
    assert found["cka"] == cka(*grams)
    assert abs(found["cka"]) < 1
    assert [row["cka"] for row in rows if same(row)] == pytest.approx([1] * 8)


def same(row):
    return (row["layer_a"], row["pooling_a"]) == (row["layer_b"], row["pooling_b"])


def test_all_layers_are_compared_on_the_same_few_images(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 12)
    cell, *_ = toy_cell(tmp_path, "unseen")
    seen = []
    monkeypatch.setattr(module, "centred_gram", lambda X: seen.append(len(X)) or centred_gram(X))
    assert all(row["cka"] == pytest.approx(1) for row in layer_pairs(cell).rows if same(row))
    assert seen == [12] * 8


def test_images_are_drawn_in_proportion_to_class_sizes():
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 10]))
    found = stratified(y, 32, seed=0)
    assert np.bincount(y[found]).tolist() == [20, 10, 2]
    assert (np.diff(found) > 0).all()
    assert not np.array_equal(found, stratified(y, 32, seed=1))
    assert stratified(y, 1000, seed=0).tolist() == list(range(160))
