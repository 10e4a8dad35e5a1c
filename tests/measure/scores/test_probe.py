import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.measure.scores import probe
from stages.measure.scores.probe import (
    column_moments,
    fit_and_predict,
    held_out_predictions,
    span_coordinates,
    standardize,
)
from tests.measure.synthetic import blobs


def tight(X, y, *, C, folds, seed):
    """The same estimate by scikit-learn alone, in double precision, to a tolerance near the rounding error."""
    predicted = np.empty_like(y)
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, y):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-10, max_iter=10000, solver="lbfgs"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lbfgs at its floating-point limit
            predicted[held_out] = model.fit(X[train].astype(float), y[train]).predict(X[held_out].astype(float))
    return predicted


@pytest.mark.parametrize(
    ("sizes", "width", "C"),
    [
        ([40, 40, 40, 40, 40], 8, 1.0),
        ([60, 30, 45], 50, 1.0),
        ([30, 30, 30], 200, 1.0),  # more features than training rows
        ([30, 20], 300, 100.0),
        ([40, 40, 40, 40], 20, 0.01),
    ],
)
def test_predictions_equal_scikit_learn_at_a_tight_tolerance(sizes, width, C):
    X, y = blobs(sizes, width, spread=1.2 * width**0.5)
    found = held_out_predictions(X, y, C=C, folds=5, seed=3)[0]
    assert np.array_equal(found, tight(X, y, C=C, folds=5, seed=3))
    assert 1 / len(sizes) < (found == y).mean() < 1


def test_correlated_features_converge():
    random = np.random.default_rng(0)
    X, y = blobs([50, 50, 50], 6, spread=3)
    X = (X @ random.normal(size=(6, 60)) + 0.01 * random.normal(size=(150, 60))).astype(np.float32)
    assert np.array_equal(held_out_predictions(X, y, C=1.0, folds=5, seed=0)[0], tight(X, y, C=1.0, folds=5, seed=0))


def test_constant_features_do_not_matter():
    X, y = blobs([30, 30], 5, spread=3)
    with_constant = np.insert(X, 2, np.float32(0.1), axis=1)
    plain = held_out_predictions(X, y, C=1.0, folds=3, seed=0)[0]
    assert np.array_equal(held_out_predictions(with_constant, y, C=1.0, folds=3, seed=0)[0], plain)


def test_standardization_comes_from_the_training_rows():
    X = np.array([[0.0], [6.0], [4.0]], np.float32)
    moments = column_moments(X, np.array([0, 2]))
    train, held_out = (standardize(X, *moments, np.array(rows)) for rows in ([0, 2], [1]))
    assert train.tolist() == [[-1], [1]]
    assert held_out.tolist() == [[2]]


def test_standardization_is_that_of_double_precision():
    X, _ = blobs([10, 12], 300)
    X = X + np.float32(1000)  # where single precision would lose digits
    X[:, [0, 140, 299]] = 0.1
    moments = column_moments(X[:15])
    train, held_out = (standardize(part, *moments) for part in (X[:15], X[15:]))
    doubles = np.delete(X, [0, 140, 299], axis=1).astype(np.float64)
    mean, deviation = doubles[:15].mean(axis=0), doubles[:15].std(axis=0)
    assert np.allclose(np.delete(train, [0, 140, 299], axis=1), (doubles[:15] - mean) / deviation, rtol=1e-6, atol=1e-9)
    assert np.allclose(np.delete(held_out, [0, 140, 299], axis=1), (doubles[15:] - mean) / deviation, rtol=1e-6)
    assert abs(train[:, [0, 140, 299]]).max() < 1e-12
    assert train.dtype == held_out.dtype == np.float32


def test_constant_embeddings_predict_the_largest_class():
    y = np.repeat([0, 1, 2], [6, 12, 6])
    assert held_out_predictions(np.ones((24, 4), np.float32), y, C=1.0, folds=3, seed=0)[0].tolist() == [1] * 24


@pytest.mark.parametrize("rank", [6, 5, 2, 0])
def test_span_coordinates_keep_every_inner_product(rank):
    random = np.random.default_rng(0)
    axes = random.normal(size=(rank, 20))
    train, held_out = (random.normal(size=(n, rank)) @ axes + offset for n, offset in ((6, 0), (3, 0.5)))
    train, held_out = train.astype(np.float32), held_out.astype(np.float32)
    a, b = span_coordinates(train, held_out)
    assert a.shape == (6, 6)
    assert b.shape == (3, 6)
    assert np.allclose(a @ a.T, train @ train.T, atol=1e-5)
    assert np.allclose(b @ a.T, held_out @ train.T, atol=1e-5)


@pytest.mark.parametrize(("features", "rotated"), [(47, False), (48, True)])
def test_only_wide_data_are_rotated(monkeypatch, features, rotated):
    calls, inner = [], probe.span_coordinates
    monkeypatch.setattr(probe, "span_coordinates", lambda *parts: calls.append(parts[0].shape) or inner(*parts))
    X, y = blobs([12, 12], features, spread=3)
    assert np.array_equal(held_out_predictions(X, y, C=1.0, folds=3, seed=0)[0], tight(X, y, C=1.0, folds=3, seed=0))
    assert calls == ([(16, features)] * 3 if rotated else [])


def test_single_precision_that_does_not_converge_is_repeated_in_double(monkeypatch):
    tried = []

    def solve(classifier, train, y, others):
        tried.append((train.dtype, *(other.dtype for other in others)))
        if train.dtype == np.float32:
            warnings.warn("Line Search failed", UserWarning, stacklevel=1)
        return [np.array([len(tried)])] * len(others)

    monkeypatch.setattr(probe, "_solve", solve)
    one = np.ones((1, 1), np.float32)
    found = fit_and_predict(None, np.ones((2, 1), np.float32), np.array([0, 1]), one, one)
    assert [classes.tolist() for classes in found] == [[2], [2]]
    assert tried == [(np.float32,) * 3, (np.float64,) * 3]


def test_a_warning_about_scikit_learns_future_does_not_concern_the_fit(monkeypatch):
    tried = []

    def solve(classifier, train, y, others):
        tried.append(train.dtype)
        warnings.warn("'penalty' was deprecated", FutureWarning, stacklevel=1)
        return [y] * len(others)

    monkeypatch.setattr(probe, "_solve", solve)
    one = np.ones((2, 1), np.float32)
    with pytest.warns(FutureWarning, match="was deprecated"):
        found = fit_and_predict(None, one, np.array([0, 1]), one)
    assert [classes.tolist() for classes in found] == [[0, 1]]
    assert tried == [np.float32]


def test_the_seed_chooses_the_folds():
    X, y = blobs([30, 30, 30], 4, spread=4)
    runs = [held_out_predictions(X, y, C=1.0, folds=3, seed=seed)[0] for seed in (0, 0, 1)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def copies_of(X, seed=5):
    """Two kinds of disturbed copies of some images, in an order of their own, one of them twice."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(X))[: len(X) // 2]
    rows[-1] = rows[0]
    noise = random.normal(size=(2, len(rows), X.shape[1]))
    return {
        "weak": (rows, (X[rows] + noise[0]).astype(np.float32)),
        "strong": (rows, (5 * noise[1]).astype(np.float32)),
    }


@pytest.mark.parametrize(("sizes", "width"), [([40, 30, 40], 10), ([20, 20, 20], 150)])
def test_copies_are_predicted_by_the_classifier_that_never_saw_their_original(sizes, width):
    X, y = blobs(sizes, width, spread=0.5 * width**0.5)
    copies = copies_of(X)
    _, found = held_out_predictions(X, y, C=1.0, folds=4, seed=3, copies=copies)
    models = {}
    for train, held_out in StratifiedKFold(4, shuffle=True, random_state=3).split(X, y):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-8, max_iter=10000, solver="newton-cg"))
        models |= dict.fromkeys(held_out.tolist(), model.fit(X[train].astype(float), y[train]))
    for name, (rows, copied) in copies.items():
        expected = [models[row].predict(x[None].astype(float))[0] for row, x in zip(rows, copied, strict=True)]
        assert found[name].tolist() == expected
    assert (found["weak"] == y[copies["weak"][0]]).mean() > (found["strong"] == y[copies["strong"][0]]).mean()


@pytest.mark.parametrize("width", [4, 90, 200])
def test_copies_do_not_change_the_predictions_of_the_images(width):
    X, y = blobs([20, 25, 20], width, spread=1.5 * width**0.5)
    X[:, 2] = 0.1
    plain = held_out_predictions(X, y, C=1.0, folds=3, seed=1)[0]
    with_copies, _ = held_out_predictions(X, y, C=1.0, folds=3, seed=1, copies=copies_of(X))
    assert np.array_equal(with_copies, plain)
    rows = np.arange(0, 65, 3)
    same = held_out_predictions(X, y, C=1.0, folds=3, seed=1, copies={"same": (rows, X[rows])})[1]
    assert np.array_equal(same["same"], plain[rows])


def test_copies_may_be_missing_from_a_fold():
    X, y = blobs([12, 12], 5)
    nothing = (np.empty(0, np.int64), np.empty((0, 5), np.float32))
    copies = {"one": (np.array([7]), X[[7]]), "none": nothing}
    predictions, found = held_out_predictions(X, y, C=1.0, folds=3, seed=0, copies=copies)
    assert found["one"].tolist() == [predictions[7]]
    assert found["none"].shape == (0,)


def test_copies_that_vary_where_the_training_images_are_constant():
    X, y = blobs([20, 20], 5, spread=3)
    rows = np.arange(0, 40, 2)
    wider = np.insert(X, 2, np.float32(0.1), axis=1)
    disturbed = wider[rows] + np.array([0, 0, 100, 0, 0, 0], np.float32)
    predictions, found = held_out_predictions(wider, y, C=1.0, folds=3, seed=0, copies={"disturbed": (rows, disturbed)})
    assert np.array_equal(found["disturbed"], predictions[rows])
    constant = held_out_predictions(np.ones_like(X), y, C=1.0, folds=4, seed=0, copies={"disturbed": (rows, X[rows])})
    assert np.array_equal(constant[1]["disturbed"], constant[0][rows])
