import numpy as np
import pandas as pd
import pytest

from stages.aggregate.inference.accuracy_difference import difference_over_folds, difference_over_images


def test_over_folds_it_is_a_paired_t_of_seed_means():
    first, second = np.array([[0.8, 0.9], [0.7, 0.7], [0.9, 0.9]]), np.array([[0.8], [0.6], [0.7]])
    found = difference_over_folds(first, second)
    each = np.array([0.05, 0.1, 0.2])
    assert found.value == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(each.std(ddof=1) / np.sqrt(3))
    assert found.df == 2
    assert difference_over_folds(first[:1], second[:1]) is None


def test_over_images_of_one_fold_it_is_a_paired_t():
    each = pd.Series([1.0, 0.0, 0.0, -1.0, 0.5], index=list("abcde"))
    found = difference_over_images([each])
    assert found.value == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(each.std(ddof=1) / np.sqrt(5))
    assert found.df == 4


def test_an_image_in_several_folds_counts_once():
    rng = np.random.default_rng(0)
    each = pd.Series(rng.choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.7, 0.2]), index=[str(i) for i in range(200)])
    once, thrice = difference_over_images([each]), difference_over_images([each] * 3)
    assert thrice.value == pytest.approx(once.value)
    assert thrice.standard_error == pytest.approx(once.standard_error)
    others = each.rename(lambda name: f"other {name}")
    two = difference_over_images([each, others])
    assert two.standard_error == pytest.approx(once.standard_error / np.sqrt(2), rel=0.01)
