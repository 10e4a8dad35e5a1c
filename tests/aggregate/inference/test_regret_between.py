import numpy as np
import pytest

from stages.aggregate.inference.regret import regret_between


def test_a_choice_loses_between_the_halves_best_and_the_best_of_all_images():
    halves = np.array([[0.9, 0.1, 0.5], [0.2, 0.6, 0.5], [0.7, 0.6, 0.5], [0.8, 0.6, 0.6]])
    gains = np.array([0.7, 0.6, 0.5])
    best = np.mean([0.2, 0.1, 0.8, 0.7])  # of each half, on the other
    low, high = regret_between(halves, gains, [2])
    assert (low, high) == pytest.approx((best - halves[:, 2].mean(), 0.2))
    of_two = best - halves[:, [0, 2]].mean()  # one is drawn
    assert regret_between(halves, gains, [0, 2]) == pytest.approx((of_two, 0.1))
    assert regret_between(halves, gains, [0])[1] == 0


@pytest.mark.parametrize("truth", [[0.5, 0.5, 0.5, 0.5], [0.4, 0.5, 0.52, 0.45]])
def test_the_true_loss_lies_between_on_average(truth):
    rng, truth, found = np.random.default_rng(0), np.array(truth), []
    for _ in range(400):
        gains = truth + 0.04 * rng.normal(size=4)
        noise = 0.04 * rng.normal(size=(10, 1, 4))
        halves = gains + (noise * np.array([1, -1])[:, None]).reshape(20, 4)
        found.append(regret_between(halves, gains, [0]))
    low, high = np.mean(found, axis=0)
    assert low - 0.003 <= truth.max() - truth[0] <= high
