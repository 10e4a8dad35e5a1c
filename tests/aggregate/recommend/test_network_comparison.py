"""A dataset's best network against the others, compared with Student's t over halves of the images."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import t as student

from stages.aggregate.facts import Baseline
from stages.aggregate.recommend.decide import compare_networks, recommend_network
from stages.aggregate.recommend.regret import regret_table
from tests.aggregate.recommend import made


@cache
def first_network(scope):
    """What can be chosen for one network, known in this scope, and what is recommended for it."""
    (first, _), summary, scores = made.candidates(*made.tables(0))
    if scope == "images":
        first = replace(
            first, refits={step: replace(each, without=each.without[:, :, :0]) for step, each in first.refits.items()}
        )
    return first, recommend_network(first, scores, regret_table(first, summary, scores), worthwhile=0.02)


def networks(*gaps, scope="classes"):
    """One network and copies whose scores are lower by this much, and by small noise; on the same dataset."""
    first, found = first_network(scope)
    noise, candidates, recommendations = np.random.default_rng(1), [first], [found]
    for number, gap in enumerate(gaps):

        def lower(values, gap=gap):
            return values - gap + noise.normal(0, 0.01, values.shape)

        refitted = {
            step: replace(each, values=lower(each.values), without=lower(each.without), halves=lower(each.halves))
            for step, each in first.refits.items()
        }
        name = f"n{number}"
        other = replace(first, row=replace(first.row, model=name), gains=lower(first.gains), refits=refitted)
        value = float(other.means[other.steps.index(found.best.step), found.best.depth])
        candidates.append(other)
        recommendations.append(
            found.model_copy(update={"model": name, "best": found.best.model_copy(update={"value": value})})
        )
    return candidates, recommendations


def scores_of_best(network, step):
    """Of the best layer at one step: its score in every fold, and on every half, (J,) and (J, B)."""
    taken = network.refits[step]
    best = int(taken.values.mean(axis=(0, 1)).argmax())
    return taken.values[..., best].mean(axis=1), taken.halves[..., best].mean(axis=1)


@pytest.mark.parametrize("gaps", [(0.3,), (0.3, 0.2), (0.3, 0.2, 0.1)])
def test_the_others_have_students_bound_over_halves_at_bonferronis_level(gaps):
    candidates, recommendations = networks(*gaps, scope="images")
    best, *others = compare_networks(candidates, recommendations)
    assert (best.model, best.behind) == ("m", None)
    step = recommendations[0].recommended.step
    (folds, halves), pairs = scores_of_best(candidates[0], step), len(candidates) * (len(candidates) - 1)
    for network, found in zip(candidates[1:], others, strict=True):
        other_folds, other_halves = scores_of_best(network, step)
        error = np.sqrt((halves - other_halves).var(axis=1, ddof=1).sum()) / len(folds)
        difference = (folds - other_folds).mean()
        bound = difference - student.ppf(1 - 0.05 / pairs, halves.size / 2) * error
        assert (found.behind.model, found.behind.scope) == ("m", "images")
        # Neither number here knows that the layers were chosen, which lowers the bound.
        assert found.behind.difference == pytest.approx(difference, abs=error)
        assert bound - 2 * error < found.behind.at_least < bound
        assert found.behind.distinguishable == (bound > 0)


def test_of_three_folds_it_is_said_of_other_classes():
    _, other = compare_networks(*networks(0.3))
    assert other.behind.scope == "classes"
    assert other.behind.at_least < other.behind.difference == pytest.approx(0.3, abs=0.02)
    assert other.behind.distinguishable


def test_networks_that_differ_by_noise_are_not_distinguishable():
    compared = [each.behind for each in compare_networks(*networks(0.0)) if each.behind is not None]
    assert [each.distinguishable for each in compared] == [False]


def test_neither_a_network_of_no_use_nor_one_for_another_use_takes_part():
    candidates, found = networks(0.3)
    for other in ({"unbeaten": Baseline(name="chance", value=1.0)}, {"use": "retrieval"}):
        compared = compare_networks(candidates, [found[0], found[1].model_copy(update=other)])
        assert [each.behind for each in compared] == [None, None]
