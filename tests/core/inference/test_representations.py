"""The error of what a representation gains, of classes that have something to do with each other in pairs."""

import numpy as np
import pytest
from scipy.stats import t as student

from stages.core.inference.gain import UPPER
from stages.core.inference.representations import gain_of, gain_over_folds
from stages.core.representations.candidates import Candidate
from stages.core.representations.choice import Choice
from stages.core.scores.refits import class_groups

SETS, GAIN, FOLDS = 400, 5.0, 3


def choice_from(rng: np.random.Generator, K: int, own: float, pairs: float) -> Choice:
    """The gain of a class is its own, and the mean of what each neighbour adds to it, other classes of its fold."""
    folds = np.arange(K) % FOLDS
    effects, met = own * rng.standard_normal(K), pairs * rng.standard_normal((K, K))
    met = (met + met.T) / np.sqrt(2)
    neighbours = (folds[:, None] == folds) & ~np.eye(K, dtype=bool)

    def gains(kept):
        near = neighbours & kept
        return GAIN + effects + (met * near).sum(axis=1) / near.sum(axis=1)

    whole, names = gains(np.ones(K, dtype=bool)), tuple(f"class {number:02}" for number in range(K))
    left = [~np.isin(np.arange(K), group) for group in class_groups(names)]
    without = np.array([[gains(kept)[kept].mean(), 0] for kept in left])
    choosing = np.array([[whole[folds != fold].mean(), 0] for fold in range(FOLDS)])
    candidates = tuple(Candidate((name,), "single", "plain") for name in ("best", "last"))
    return Choice(candidates, names, folds, np.stack([whole, np.zeros(K)]), without, choosing, control=1)


@pytest.mark.parametrize("K", [15, 30])
@pytest.mark.parametrize(("own", "pairs"), [(1, 0), (0, 1), (1, 1)])
def test_the_error_is_the_true_one_whether_or_not_classes_meet_in_pairs(K, own, pairs):
    rng = np.random.default_rng(0)
    choices = [choice_from(rng, K, own, pairs) for _ in range(SETS)]
    values = np.array([choice.values[0] for choice in choices])
    gains = [gain_of(choice, [0, 1]) for choice in choices]
    errors = (np.array([gain.high for gain in gains]) - values) / student.ppf(UPPER, len(choices[0].without) - 1)
    assert 0.94 < np.sqrt(np.mean(errors**2)) / values.std(ddof=1) < 1.2
    assert 0.93 < np.mean([gain.low <= GAIN <= gain.high for gain in gains]) < 0.98


def of_folds(rng: np.random.Generator, J: int, K: int = 5, S: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one checkpoint's two candidates: classes and trainings move the first, the last is always 0."""
    effects = GAIN + rng.standard_normal((J, 1, K)) + 0.5 * rng.standard_normal((J, S, 1))
    without = (effects.sum(axis=2, keepdims=True) - effects) / (K - 1)
    pairs = (np.stack([each, np.zeros_like(each)], axis=-1)[None] for each in (effects.mean(axis=2), without))
    return next(pairs), next(pairs)


@pytest.mark.parametrize("J", [3, 5])
def test_folds_set_the_error_of_a_fine_tuned_network(J):
    """Of two candidates the bounds are those of Student's t over folds."""
    values, without = of_folds(np.random.default_rng(0), J)
    gain, folds = gain_over_folds(values, without, control=1), values[0, :, :, 0].mean(axis=1)
    assert (gain.scope, gain.proven, gain.status) == ("classes", True, "pays")
    error = folds.std(ddof=1) / np.sqrt(J)
    assert gain.low == pytest.approx(folds.mean() - student.ppf(0.95, J - 1) * error)
    assert gain.high == pytest.approx(folds.mean() + student.ppf(UPPER, J - 1) * error)


def test_two_folds_of_a_fine_tuned_network_have_no_interval():
    gain = gain_over_folds(*of_folds(np.random.default_rng(0), 2), control=1)
    assert (gain.low, gain.high, gain.status) == (None, None, "undecided")
    assert gain.estimate == gain.crossvalidated


def test_folds_of_fewer_classes_leave_the_differences_between_folds():
    values, without = of_folds(np.random.default_rng(0), 4)
    without[0, 0, :, -1] = np.nan
    gain = gain_over_folds(values, without, control=1)
    folds = values[0, :, :, 0].mean(axis=1)
    assert gain.estimate == pytest.approx(folds.mean())
    assert (gain.proven, gain.status) == (False, "undecided")
