from itertools import product

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.recommend.representations import choice_of, representations
from stages.aggregate.words.representations import brief
from stages.core.scores.refits import class_groups, left_out_part

NAMES = [f"class {number:02}" for number in range(24)]


def test_groups_of_classes_keep_their_order():
    """More than 20 classes are left out in random groups, which a table sorts by their names."""
    parts = [left_out_part([NAMES[k] for k in group]) for group in class_groups(NAMES)]
    assert parts != sorted(parts)
    values = [("judged", name, k % 2, k) for k, name in enumerate(NAMES)] + [
        ("choosing", "", 0, 0),
        ("choosing", "", 1, 0),
    ]
    values += [("class", part, 0, number) for number, part in enumerate(parts)]
    rows = [
        {"layers": layer, "join": "single", "recipe": "plain", "kind": kind, "part": part, "fold": str(fold)}
        | {"value": float(value)}
        for layer, (kind, part, fold, value) in product(["first", "last"], values)
    ]
    choice = choice_of(pd.DataFrame(rows))
    assert choice.without.tolist() == [[number, number] for number in range(len(parts))]
    np.testing.assert_array_equal(choice.folds, np.arange(24) % 2)


def test_seeds_of_random_weights_count_alike():
    """As means over seeds do: the first one alone would take the other layer."""
    scores = {(0, "first"): 0.6, (0, "last"): 0.5, (1, "first"): 0.1, (1, "last"): 0.3}
    table = [
        {"dataset": "mine", "model": "net", "seed": seed, "layers": layer, "join": "single", "recipe": "plain"}
        | {"kind": kind, "part": part, "fold": str(fold), "value": value}
        for (seed, layer), value in scores.items()
        for kind, part, fold in [
            ("choosing", "", 0),
            ("choosing", "", 1),
            *(("judged", n, int(n > "b")) for n in "abcd"),
        ]
    ]
    [record] = representations(pd.DataFrame(table))
    assert (record.layers, record.value, record.last_value, record.n_classes) == (["last"], 0.4, 0.4, 4)


def tuned_table(scores: np.ndarray, classes: int = 3) -> pd.DataFrame:
    """Scores (T, J, S, C) of steps 0 and 100, the same of every class, of plain layers."""
    rows = [
        {"dataset": "mine", "model": "net", "fold": str(fold), "seed": seed, "step": 100 * step}
        | {"layers": f"l{layer}", "join": "single", "recipe": "plain", "kind": kind, "part": f"{fold} {number}"}
        | {"value": scores[step, fold, seed, layer] + 0.01 * (number - 1)}
        for step, fold, seed in np.ndindex(scores.shape[:3])
        for kind in ("judged", "class")
        for number in range(classes)
        for layer in range(scores.shape[3])
    ]
    return pd.DataFrame(rows)


def scores_of(folds: int) -> np.ndarray:
    """Random ones, of which the last layer is the worst."""
    return np.random.default_rng(folds).uniform(0.3, 0.6, (2, folds, 2, 4)) * [1, 1, 1, 0.5]


@pytest.mark.parametrize("folds", [2, 4])
def test_each_fold_of_a_fine_tuned_network_is_judged_by_the_choice_of_the_others(folds):
    scores = scores_of(folds)
    [record] = representations(tuned_table(scores))
    means = scores.mean(axis=2)  # (T, J, C)

    def reached(steps):
        found = []
        for fold in range(folds):
            others = [other for other in range(folds) if other != fold]
            value = {(t, c): np.mean([means[t, j, c] for j in others]) for t in steps for c in range(4)}
            found.append(means[:, fold][max(value, key=value.get)])
        return np.mean(found)

    assert (record.value, *record.of_steps) == pytest.approx((reached((0, 1)), reached((0,)), reached((1,))))
    assert record.layer_value == record.value
    assert (record.last_layer, record.last_value) == ("l3", pytest.approx(means[1, :, 3].mean()))
    assert record.gain_over_last.crossvalidated == pytest.approx(record.value - record.last_value)
    best = np.unravel_index(means.mean(axis=1).argmax(), (2, 4))
    assert (record.step, record.layers) == (100 * best[0], [f"l{best[1]}"])
    assert (record.n_classes, record.n_sets, record.n_candidates) == (3 * folds, folds, 8)
    assert (record.gain_over_last.low is not None) == (folds > 2)


def test_two_folds_have_a_mean_gain_and_one_fold_nothing_to_choose_on():
    [record] = representations(tuned_table(scores_of(2)))
    assert record.gain_over_last.estimate == record.gain_over_last.crossvalidated
    assert [*representations(tuned_table(scores_of(1)))] == []


def test_folds_of_few_classes_are_not_scored_without_each():
    table = tuned_table(scores_of(3))
    [record], [whole] = representations(table[table["kind"] == "judged"]), representations(table)
    assert (record.value, record.step, record.n_classes) == (whole.value, whole.step, whole.n_classes)
    assert not record.gain_over_last.proven


def test_the_order_of_folds_and_classes_does_not_matter():
    table = tuned_table(scores_of(3))
    blocks = [own for _, own in table.groupby(["step", "part", "seed"])]
    shuffled = pd.concat([blocks[number] for number in np.random.default_rng(0).permutation(len(blocks))])
    [one], [other] = representations(table), representations(shuffled)
    assert (one.layers, one.step, one.n_classes) == (other.layers, other.step, other.n_classes)
    assert (one.value, *one.of_steps) == pytest.approx((other.value, *other.of_steps))
    gains = ((own.estimate, own.low, own.high) for own in (one.gain_over_last, other.gain_over_last))
    assert next(gains) == pytest.approx(next(gains))


def test_a_line_has_both_checkpoints():
    scores = np.full((2, 3, 1, 3), 0.4)
    scores[0, :, :, 1], scores[1, :, :, 2] = 0.7, 0.5
    told = brief(next(representations(tuned_table(scores))))
    assert told.startswith("joins of layers included, try l1 of the pre-trained network: undecided. MAP@R 0.700 (pre-")
    assert "(pre-trained 0.700, fine-tuned 0.500, best single layer 0.700, last layer 0.500, gain +0.200)" in told
    assert told.endswith(
        "with 9 classes judged in 3 folds, each scored by the choice among 6 candidates on the remaining folds, fitted "
        "to its own seen classes' test images."
    )
    scores[1, :, :, 2] = 0.8
    told = brief(next(representations(tuned_table(scores))))
    assert told.startswith("joins of layers included, l2 at step 100, the habit, does as well as any. MAP@R 0.800")
