import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.core.scores import probe
from stages.core.scores.probe import (
    column_moments,
    fit_and_score,
    held_out_scores,
    span_coordinates,
    standardize,
)
from tests.measure.synthetic import blobs


def predicted(X, y, **settings):
    return held_out_scores(X, y, **settings).argmax(axis=1)


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
    found = predicted(X, y, C=C, folds=5, seed=3)
    assert np.array_equal(found, tight(X, y, C=C, folds=5, seed=3))
    assert 1 / len(sizes) < (found == y).mean() < 1


def test_correlated_features_converge():
    random = np.random.default_rng(0)
    X, y = blobs([50, 50, 50], 6, spread=3)
    X = (X @ random.normal(size=(6, 60)) + 0.01 * random.normal(size=(150, 60))).astype(np.float32)
    assert np.array_equal(predicted(X, y, C=1.0, folds=5, seed=0), tight(X, y, C=1.0, folds=5, seed=0))


def test_constant_features_do_not_matter():
    X, y = blobs([30, 30], 5, spread=3)
    with_constant = np.insert(X, 2, np.float32(0.1), axis=1)
    plain = predicted(X, y, C=1.0, folds=3, seed=0)
    assert np.array_equal(predicted(with_constant, y, C=1.0, folds=3, seed=0), plain)


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
    assert predicted(np.ones((24, 4), np.float32), y, C=1.0, folds=3, seed=0).tolist() == [1] * 24


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
    assert np.array_equal(predicted(X, y, C=1.0, folds=3, seed=0), tight(X, y, C=1.0, folds=3, seed=0))
    assert calls == ([(16, features)] * 3 if rotated else [])


class Classifier:
    """Warns when it is fitted to numbers of one type, and scores how often it was fitted."""

    def __init__(self, warns: type[np.floating], warning: Warning) -> None:
        self.warns, self.warning, self.tried = warns, warning, []

    def fit(self, train, y):
        self.tried.append(train.dtype)
        if train.dtype == self.warns:
            warnings.warn(self.warning, stacklevel=1)
        return self

    def decision_function(self, others):
        assert others.dtype == self.tried[-1]
        return np.full((len(others), 3), len(self.tried), others.dtype)


def test_single_precision_that_does_not_converge_is_repeated_in_double():
    one, classifier = np.ones((2, 1), np.float32), Classifier(np.float32, UserWarning("Line Search failed"))
    found = fit_and_score(classifier, one, np.array([0, 1]), one)
    assert found.tolist() == [[2] * 3] * 2
    assert found.dtype == np.float64  # rounded, two scores could be equal
    assert classifier.tried == [np.float32, np.float64]


def test_a_warning_about_scikit_learns_future_does_not_concern_the_fit():
    one, classifier = np.ones((2, 1), np.float32), Classifier(np.float32, FutureWarning("'penalty' was deprecated"))
    with pytest.warns(FutureWarning, match="was deprecated"):
        assert fit_and_score(classifier, one, np.array([0, 1]), one).tolist() == [[1] * 3] * 2


def test_the_seed_chooses_the_folds():
    X, y = blobs([30, 30, 30], 4, spread=4)
    runs = [predicted(X, y, C=1.0, folds=3, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
