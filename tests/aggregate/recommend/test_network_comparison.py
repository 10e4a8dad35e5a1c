"""A dataset's best network against the others, compared with the inference that it should be."""

from dataclasses import replace

import numpy as np
import pytest

from stages.aggregate.inference.layer_comparison import best_of_two
from stages.aggregate.inference.refits import over_classes
from stages.aggregate.recommend.network import recommend_network
from stages.aggregate.recommend.recommend import compare_networks
from stages.aggregate.recommend.schema import Baseline
from tests.aggregate.recommend import made


def two_networks(gap):
    """One network and a copy whose scores are lower by this much, and by small noise; on the same dataset."""
    layers, refits = made.tables(0)
    first = made.candidates(layers, refits)[0]
    noise = np.random.default_rng(1)

    def lower(values):
        return values - gap + noise.normal(0, 0.01, values.shape)

    refitted = tuple(
        replace(each, values=lower(each.values), without=lower(each.without), halves=lower(each.halves))
        for each in first.refits
    )
    second = replace(first, row=replace(first.row, model="n"), gains=lower(first.gains), refits=refitted)
    scores = made.gathered(layers, refits)[1]
    found = recommend_network(first, scores, [])
    value = float(second.means[second.steps.index(found.best.step), found.best.depth])
    other = found.model_copy(update={"model": "n", "best": found.best.model_copy(update={"value": value})})
    return [first, second], [found, other]


def test_the_best_network_stands_alone_and_the_other_has_the_bound_of_the_recipe():
    networks, found = two_networks(0.3)
    best, other = compare_networks(networks, found)
    assert (best.model, best.behind) == ("m", None)
    step = networks[0].steps.index(found[0].recommended.step)
    taken = [each.refits[step].take(each.keys) for each in networks]
    difference = best_of_two(over_classes(*taken), len(networks[0].keys))
    assert (other.behind.model, other.behind.scope) == ("m", "classes")
    assert other.behind.difference == pytest.approx(difference.value)
    assert other.behind.at_least == pytest.approx(difference.lower(0.975))  # 5 % over two ordered pairs
    assert other.behind.distinguishable == (other.behind.at_least > 0)


def test_networks_that_differ_by_noise_are_not_distinguishable():
    compared = [each.behind for each in compare_networks(*two_networks(0.0)) if each.behind is not None]
    assert [each.distinguishable for each in compared] == [False]


def test_neither_a_network_of_no_use_nor_one_for_another_use_takes_part():
    networks, found = two_networks(0.3)
    for other in ({"unbeaten": Baseline(name="chance", value=1.0)}, {"use": "retrieval"}):
        compared = compare_networks(networks, [found[0], found[1].model_copy(update=other)])
        assert [each.behind for each in compared] == [None, None]
