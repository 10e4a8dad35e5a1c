import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from stages.measure.scores import logistic
from stages.measure.scores.logistic import class_scores, fit
from stages.measure.scores.probe import column_moments, standardize
from tests.measure.synthetic import blobs


def standardized(sizes, width, spread):
    X, y = blobs(sizes, width, spread=spread)
    return standardize(X, *column_moments(X)), y


@pytest.mark.parametrize("C", [0.01, 1.0, 1e4])
@pytest.mark.parametrize(("sizes", "width", "spread"), [([60, 30], 20, 9), ([60, 30, 45], 8, 3), ([9] * 12, 150, 20)])
def test_scores_are_scikit_learns_at_a_tight_tolerance(sizes, width, spread, C, monkeypatch):
    X, y = standardized(sizes, width, spread)
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-9)
    tight = LogisticRegression(C=C, tol=1e-9, max_iter=10_000, solver="newton-cg").fit(X.astype(float), y)
    expected = tight.decision_function(X).reshape(len(X), -1)  # of two classes their difference
    expected = expected[:, 1:] - expected[:, :1] if len(sizes) > 2 else expected
    scores = class_scores(X, fit(X, y, C=C))
    assert np.allclose(scores[:, 1:] - scores[:, :1], expected, atol=1e-3)


def test_a_fit_that_stops_before_the_optimum_says_so(monkeypatch):
    X, y = standardized([20, 20], 4, 3)
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 1)
    with pytest.warns(RuntimeWarning, match="has not converged in 1 iterations"):
        fit(X, y, C=1.0)
