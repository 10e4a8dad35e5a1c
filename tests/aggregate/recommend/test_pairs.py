"""What joining layers gains is chosen on the other folds and scored on the one left out."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_1samp

from stages.aggregate.recommend.pairs import chosen_elsewhere, pair_of
from tests.aggregate.recommended import recommendation

LAYERS = ["stem", "blocks.2", "blocks.3", "bn2"]
FOUND = recommendation()
"""Of handwriting's `blocks.3` at step 100, by NMI."""


def joined(values, **keys):
    """Rows of joined.csv of several folds: for every fold (layer, layer) -> value."""
    names = {"dataset": FOUND.dataset, "model": FOUND.model, "step": 100, "metric": "nmi", "seed": 0} | keys
    rows = [
        names
        | {"fold": str(fold), "split": "unseen", "layer_a": a, "depth_a": LAYERS.index(a), "layer_b": b}
        | {"depth_b": LAYERS.index(b), "value": value}
        for fold, each in enumerate(values)
        for (a, b), value in each.items()
    ]
    return pd.DataFrame(rows)


def test_what_is_not_measured_or_of_one_fold_is_not_recommended():
    folds = [{("stem", "stem"): 0.1, ("stem", "bn2"): 0.8, ("bn2", "bn2"): 0.2}]
    assert pair_of(FOUND, joined(folds * 3, step=0)) is None
    pair = pair_of(FOUND, joined(folds))
    assert (pair.layers, pair.depths, pair.value) == (("stem", "bn2"), (0, 3), 0.8)
    assert (pair.gain, pair.low, pair.high, pair.recommended) == (None, None, None, False)


@pytest.mark.parametrize("lift", [0.0, 1.5])
def test_a_pair_is_compared_with_the_single_layer_chosen_on_the_same_folds(lift):
    random, folds = np.random.default_rng(3), []
    for _ in range(4):
        singles = {(a, a): random.uniform() for a in LAYERS}
        folds.append(singles | {pair: random.uniform() + lift for pair in combinations(LAYERS, 2)})
    record = pair_of(FOUND, joined(folds))
    differences = []
    for left_out, scores in enumerate(folds):
        others = [fold for i, fold in enumerate(folds) if i != left_out]
        best = {
            kind: max(
                (key for key in scores if (key[0] == key[1]) == kind), key=lambda key: sum(f[key] for f in others)
            )
            for kind in (True, False)
        }
        differences.append(scores[best[False]] - scores[best[True]])
    apart = np.array(ttest_1samp(differences, 0).confidence_interval(0.95)) - np.mean(differences)
    low, high = np.mean(differences) + apart * np.sqrt(1 + 4 / 3)  # each was tested on a third of what it chose on
    assert (record.gain, record.low, record.high) == pytest.approx((np.mean(differences), low, high))
    assert record.recommended == (low > 0) == bool(lift)
    assert record.layers == max(combinations(LAYERS, 2), key=lambda pair: sum(fold[pair] for fold in folds))


def test_two_folds_have_no_interval():
    record = pair_of(FOUND, joined([{("stem", "stem"): 0.1, ("stem", "bn2"): 0.8}] * 2))
    assert (record.gain, record.low, record.recommended) == (pytest.approx(0.7), None, False)


def test_choosing_on_other_folds_is_not_lucky():
    """Of equal options the best on all folds looks better than 0; chosen elsewhere its mean is 0."""
    random = np.random.default_rng(0)
    draws = random.normal(size=(2000, 4, 6))
    found = np.array([chosen_elsewhere(each).mean() for each in draws])
    low, high = bootstrap((found,), np.mean, random_state=0, n_resamples=999).confidence_interval
    assert low < 0 < high
    assert draws.mean(axis=1).max(axis=1).mean() > 0.5
