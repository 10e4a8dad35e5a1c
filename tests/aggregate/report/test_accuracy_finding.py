from dataclasses import replace

import numpy as np
import pytest

from stages.aggregate.report.accuracy_finding import details, summary
from tests.aggregate.report.networks import STEPS, network, rival

NO_STEPS = STEPS[:0]


def starting(texts, words):
    """The one of several sentences that starts with these words."""
    (text,) = [text for text in texts if text.startswith(words)]
    return text


def test_one_network_is_followed_over_training_alone():
    assert summary([network("a")]).startswith("cannot be judged (it takes two networks")
    assert details([network("a")], STEPS) == [
        "Over training, steps 0 to 100: a accuracy 0.500 (step 50) to 0.760, g 0.350 to 0.390."
    ]
    assert details([network("a")], STEPS[:1]) == []


def test_every_pair_of_networks_agrees_contradicts_or_says_nothing():
    rows = [rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), rival("c", 0.2, 0.1), rival("d", 0.1, 0.11)]
    assert summary(rows) == (
        "supported. Of 6 pairs of networks: the more accurate one has the lower g in 1; the more accurate one has the "
        "higher g in 4; nothing can be said in 1. (Distinguishable: the intervals do not overlap.)"
    )


def test_without_a_counter_example_the_claim_is_inconclusive():
    rows = [rival("b", 0.8, 0.5), rival("c", 0.2, 0.1), rival("d", 0.1, 0.11)]
    assert summary(rows[:2]).startswith("inconclusive. Of 1 pair of networks: the more accurate one has the higher g")
    assert summary(rows[1:]).startswith("inconclusive. Of 1 pair of networks: nothing can be said in 1.")


def test_a_counter_example_is_spelled_out():
    rows = [rival("a", 0.9, 0.3), rival("b", 0.8, 0.5)]
    expected = "More accurate, with lower g: a than b (accuracy 0.900 and 0.800, g 0.300 and 0.500)."
    assert expected in details(rows, NO_STEPS)


@pytest.mark.parametrize("accuracies", [(0.9, 0.9), (0.91, 0.9), (0.9, 0.91)])
def test_networks_of_the_same_accuracy_are_no_counter_example(accuracies):
    rows = [rival("a", accuracies[0], 0.3), rival("b", accuracies[1], 0.5)]
    assert summary(rows).startswith(
        "inconclusive. Of 1 pair of networks: g differs and the accuracies are not distinguishable in 1."
    )
    text = starting(details(rows, NO_STEPS), "Accuracies")
    assert text.startswith("Accuracies not distinguishable, lower g: a than b (accuracy ")


def test_of_several_seeds_the_spread_is_told_beside_the_interval():
    rows = [replace(r, accuracy_sd=0.01, unseen_sd=0.02) for r in (rival("a", 0.9, 0.3), rival("b", 0.8, 0.5))]
    expected = "Accuracy and g (NMI): a 0.900 ± 0.010, 0.300 ± 0.020 [0.280, 0.320]; b 0.800 ± 0.010, "
    assert details(rows, NO_STEPS)[0].startswith(expected)


def test_more_counter_examples_than_are_shown_are_counted_and_the_largest_come_first():
    rows = [rival(name, 0.9 - i / 10, 0.1 + i / 10) for i, name in enumerate("abcd")]
    text = starting(details(rows, NO_STEPS), "More accurate")
    assert text.startswith("More accurate, with lower g: a than d")
    assert text.endswith("; and 3 more.")


def test_where_lower_is_better_a_worse_g_is_a_higher_one():
    rows = [replace(r, better="lower", metric="collapse") for r in (rival("a", 0.9, 0.5), rival("b", 0.8, 0.3))]
    assert "the more accurate one has the higher g in 1." in summary(rows)
    assert starting(details(rows, NO_STEPS), "More").startswith("More accurate, with higher g: a than b")


def test_without_intervals_the_claim_cannot_be_judged():
    rows = [network(name, ci_images_low=None, ci_images_high=None) for name in "ab"]
    assert summary(rows) == "cannot be judged (without intervals no two networks are distinguishable by their g)."


def test_a_network_without_an_interval_leaves_its_own_pairs_open():
    bare = network("c", accuracy=0.1, ci_images_low=None, ci_images_high=None)
    assert summary([rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), bare]) == (
        "supported. Of 3 pairs of networks: the more accurate one has the lower g in 1; nothing can be said in 2. "
        "(Distinguishable: the intervals do not overlap.)"
    )


def test_few_networks_get_a_rank_correlation_without_an_interval():
    rows = [rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), rival("c", 0.2, 0.1)]
    text = starting(details(rows, NO_STEPS), "Rank correlation")
    assert text == "Rank correlation over 3 networks: +0.50; descriptive, so few give no useful interval."
    assert not any(text.startswith("Rank") for text in details(rows[:2], NO_STEPS))


def test_ten_networks_get_an_interval():
    g = [0.1, 0.3, 0.2, 0.5, 0.4, 0.6, 0.8, 0.7, 1.0, 0.9]
    rows = [rival(str(i), i / 10, value) for i, value in enumerate(g)]
    text = starting(details(rows, NO_STEPS), "Rank correlation")
    r = 1 - 6 * 8 / (10 * 99)  # eight ranks are off by one
    half = 1.96 * np.sqrt((1 + r**2 / 2) / 7)
    low, high = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    assert text.startswith(f"Rank correlation over 10 networks: {r:+.2f} [{low:+.2f}, {high:+.2f}]")


def test_a_perfect_order_of_ten_networks_has_no_interval():
    rows = [rival(str(i), i / 10, i / 10) for i in range(10)]
    text = starting(details(rows, NO_STEPS), "Rank correlation")
    assert text == "Rank correlation over 10 networks: +1.00; the approximate interval is not defined for it."


def test_networks_that_beat_nothing_are_named():
    rows = [rival("a", 0.9, 0.3), replace(rival("b", 0.1, 0.05), baseline=0.2)]
    assert "No layer beats raw pixels or chance: b." in details(rows, NO_STEPS)


def test_networks_no_more_accurate_than_chance_are_set_aside():
    rows = [rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), rival("c", 0.11, 0.1)]
    rows = [replace(row, accuracy_chance=0.1) for row in rows]
    assert summary(rows).startswith("supported. Of 1 pair of networks: ")
    assert summary(rows).endswith(" Set aside as no more accurate than chance: c (0.110).")
    assert summary(rows[1:]) == (
        "cannot be judged (it takes two networks that are more accurate than chance). "
        "Set aside as no more accurate than chance: c (0.110)."
    )
    assert not any(text.startswith("Rank correlation") for text in details(rows, NO_STEPS))


def test_where_every_network_is_set_aside_their_numbers_are_still_told():
    rows = [replace(rival(name, 0.1, 0.3), accuracy_chance=0.1) for name in "ab"]
    assert summary(rows).endswith(" Set aside as no more accurate than chance: a (0.100) and b (0.100).")
    assert len(details(rows, NO_STEPS)) == 1


def test_networks_without_a_fine_tuned_head_are_left_out_and_named():
    rows = [network("x", accuracy=None), rival("a", 0.9, 0.3), network("y", accuracy=None), rival("b", 0.8, 0.5)]
    assert summary(rows).startswith("supported. Of 1 pair of networks: ")
    assert summary(rows).endswith(" Left out, having no fine-tuned head: x and y.")
    assert "x" not in details(rows, NO_STEPS)[0]
    assert summary(rows[::2]).startswith("cannot be judged (it takes two networks")


def test_without_accuracies_training_is_told_by_g_alone():
    expected = "Over training, steps 0 to 100: a g 0.350 to 0.390."
    assert details([network("a", accuracy=None)], STEPS.assign(accuracy=np.nan)) == [expected]


def test_of_a_single_tested_step_there_is_one_accuracy():
    steps = STEPS.assign(accuracy=[None, None, 0.76])
    expected = "Over training, steps 0 to 100: a accuracy 0.760 (step 100), g 0.350 to 0.390."
    assert details([network("a")], steps) == [expected]
