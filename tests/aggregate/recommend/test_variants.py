"""What scaling and joining layers gains is chosen on the other folds and scored on the one left out."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_1samp

from stages.aggregate.params import AskedMeasures
from stages.aggregate.recommend.variants import add_variants, chosen_elsewhere
from tests.aggregate.recommended import recommendation

SCALINGS = ("none", "l2", "standard")
LAYERS = ["stem", "blocks.2", "blocks.3", "bn2"]
FOUND = recommendation()
"""Of handwriting's `blocks.3` at step 100, by NMI."""


def scalings(values, *, layer="blocks.3", **keys):
    """Rows of scalings.csv of several folds, (J, 3), and of two seeds around them; other layers are in the way."""
    names = {"dataset": FOUND.dataset, "model": FOUND.model, "step": 100, "metric": "nmi"} | keys
    rows = [
        names
        | {"fold": str(fold), "seed": seed, "split": "unseen", "layer": name, "depth": 4, "pooling": "mean"}
        | {"scaling": scaling, "value": (value if name == layer else 0.9) + noise}
        for fold, each in enumerate(values)
        for scaling, value in zip(SCALINGS, each, strict=True)
        for seed, noise in ((0, 0.02), (1, -0.02))
        for name in (layer, "bn2")
    ]
    return pd.DataFrame(rows)


def joined(values, **keys):
    """Rows of joined.csv of several folds: for every fold (layer, layer or nothing) -> value."""
    names = {"dataset": FOUND.dataset, "model": FOUND.model, "step": 100, "metric": "nmi", "seed": 0} | keys
    rows = [
        names
        | {"fold": str(fold), "split": "unseen", "layer_a": a, "depth_a": LAYERS.index(a), "layer_b": b}
        | {"depth_b": LAYERS.index(b) if b else None, "value": value}
        for fold, each in enumerate(values)
        for (a, b), value in each.items()
    ]
    return pd.DataFrame(rows)


NONE_SCALED, NONE_JOINED = scalings([]), joined([])


def variants(scaled=NONE_SCALED, pairs=NONE_JOINED, found=FOUND, normalize="none"):
    columns = ["dataset", "model", "metric", "step", "fold", "value"]
    scaled = scaled.reindex(columns=[*columns, "layer", "pooling", "scaling"]) if scaled.empty else scaled
    pairs = pairs.reindex(columns=[*columns, "layer_a", "layer_b", "depth_a", "depth_b"]) if pairs.empty else pairs
    return add_variants(found, scaled, pairs, AskedMeasures(analyses=[], normalize=normalize))


def test_a_scaling_is_scored_on_the_fold_that_did_not_choose_it():
    values = [[0.5, 0.6, 0.1], [0.5, 0.4, 0.7], [0.5, 0.6, 0.1]]
    record = variants(scalings(values)).scaling
    assert (record.best, record.value) == ("l2", pytest.approx(1.6 / 3))
    # fold 0 chooses among means .5 .5 .4: none, the first of equal ones; fold 1 l2, fold 2 none
    assert record.gain == pytest.approx((0 + (0.4 - 0.5) + 0) / 3)
    assert record.recommended == "none"


def test_a_scaling_that_gains_is_recommended():
    record = variants(scalings([[0.5, 0.6, 0.55], [0.4, 0.45, 0.5], [0.6, 0.7, 0.6]])).scaling
    assert (record.best, record.recommended) == ("l2", "l2")
    assert record.gain == pytest.approx((0.1 + 0.05 + 0.1) / 3)
    lower = variants(scalings([[0.5, 0.6, 0.45], [0.4, 0.45, 0.3]]), found=recommendation(better="lower")).scaling
    assert (lower.recommended, lower.gain) == ("standard", pytest.approx((0.05 + 0.1) / 2))


def test_gains_are_over_the_rows_of_which_the_scores_are():
    record = variants(scalings([[0.5, 0.6, 0.7], [0.4, 0.45, 0.5]]), normalize="l2").scaling
    assert (record.best, record.recommended, record.gain) == ("standard", "standard", pytest.approx(0.075))
    record = variants(scalings([[0.5, 0.7, 0.6], [0.4, 0.5, 0.45]]), normalize="l2").scaling
    assert (record.best, record.recommended, record.gain) == ("l2", "l2", 0)
    single = variants(scalings([[0.7, 0.5, 0.6]]), normalize="l2")
    assert (single.scaling.best, single.scaling.recommended, single.normalize) == ("none", "l2", "l2")
    assert (variants(normalize="l2").scaling, variants(normalize="l2").normalize) == (None, "l2")


def test_what_is_not_measured_or_of_one_fold_is_not_recommended():
    assert (variants().scaling, variants().pair) == (None, None)
    assert variants(scalings([[0.5, 0.6, 0.7]] * 3, step=0)).scaling is None
    single = variants(scalings([[0.5, 0.6, 0.7]])).scaling
    assert (single.best, single.gain, single.recommended) == ("standard", None, "none")
    pair = variants(pairs=joined([{("stem", ""): 0.1, ("stem", "bn2"): 0.8, ("bn2", ""): 0.2}])).pair
    assert (pair.layers, pair.depths, pair.value) == (("stem", "bn2"), (0, 3), 0.8)
    assert (pair.gain, pair.low, pair.high, pair.recommended) == (None, None, None, False)


@pytest.mark.parametrize("lift", [0.0, 1.5])
def test_a_pair_is_compared_with_the_single_layer_chosen_on_the_same_folds(lift):
    random, folds = np.random.default_rng(3), []
    for _ in range(4):
        singles = {(a, b): random.uniform() for a in LAYERS for b in ("", a)}
        folds.append(singles | {pair: random.uniform() + lift for pair in combinations(LAYERS, 2)})
    record = variants(pairs=joined(folds)).pair
    differences = []
    for left_out, scores in enumerate(folds):
        others = [fold for i, fold in enumerate(folds) if i != left_out]
        best = {
            kind: max(
                (key for key in scores if (key[1] in ("", key[0])) == kind), key=lambda key: sum(f[key] for f in others)
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
    record = variants(pairs=joined([{("stem", ""): 0.1, ("stem", "bn2"): 0.8}] * 2)).pair
    assert (record.gain, record.low, record.recommended) == (pytest.approx(0.7), None, False)


def test_of_equal_scalings_chance_makes_one_gain_in_a_third_of_the_studies():
    random = np.random.default_rng(0)
    studies = random.normal(size=(4000, 4, 3))  # four folds, three scalings
    gained = [(chosen_elsewhere(gains) - gains[:, 0]).mean() > 0 for gains in studies]
    assert 0.31 < np.mean(gained) < 0.38


def test_choosing_on_other_folds_is_not_lucky():
    """Of equal options the best on all folds looks better than 0; chosen elsewhere its mean is 0."""
    random = np.random.default_rng(0)
    draws = random.normal(size=(2000, 4, 6))
    found = np.array([chosen_elsewhere(each).mean() for each in draws])
    low, high = bootstrap((found,), np.mean, random_state=0, n_resamples=999).confidence_interval
    assert low < 0 < high
    assert draws.mean(axis=1).max(axis=1).mean() > 0.5
