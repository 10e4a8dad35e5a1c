import numpy as np
import pandas as pd
import pytest

from stages.aggregate.report import accuracy_finding as accuracy
from stages.aggregate.report import depth_finding as depth
from stages.aggregate.report.findings import find

STEPS = pd.DataFrame(
    {
        "dataset": "handwriting",
        "model": "a",
        "pooling": "mean",
        "metric": "nmi",
        "step": [0, 50, 100],
        "accuracy": [0.05, 0.5, 0.76],
        "unseen": [0.35, 0.4, 0.39],
    }
)


def network(model="a", **columns):
    """A main row of summary.csv: best layer blocks.3 at depth 4 of 8."""
    row = {
        "dataset": "handwriting",
        "model": model,
        "pooling": "mean",
        "metric": "nmi",
        "main": True,
        "better": "higher",
    }
    row |= {"accuracy": 0.76, "unseen": 0.39, "ci_images_low": 0.37, "ci_images_high": 0.41, "last_value": 0.24}
    row |= {"best_layer": "blocks.3", "best_depth": 4, "last_depth": 8, "baseline": 0.1, "chance": 0.01}
    row |= {"lead": 0.14, "lead_low": 0.1, "lead_high": 0.18, "best_set": "3;4;5", "shallowest_layer": "blocks.2"}
    row |= {"range_classes_low": 0.31, "range_classes_high": 0.45, "subset_agreement": 0.8}
    return row | columns


def rival(model, accuracy, g, half=0.02):
    limits = {"ci_images_low": g - half, "ci_images_high": g + half}
    limits |= {"accuracy_ci_low": accuracy - half, "accuracy_ci_high": accuracy + half}
    return network(model, accuracy=accuracy, unseen=g, **limits)


def table(*rows):
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, "holds"),
        (0.0, 0.2, "open"),
        (-0.1, 0.2, "open"),
        (0.0, 0.0, "fails"),
        (-0.2, -0.1, "fails"),
        (np.nan, np.nan, "not tested"),
    ],
)
def test_the_leads_interval_decides_whether_deeper_is_better(low, high, verdict):
    assert depth.judge(pd.Series(network(lead_low=low, lead_high=high))) == verdict


def test_networks_are_counted_by_what_their_lead_says():
    rows = table(network("a"), network("b", lead_low=-0.1), network("c"), network("d", lead_low=0.0, lead_high=0.0))
    assert depth.ruling(rows) == (
        "holds in 2 of 4 (the lead is above 0: a, c); open in 1 of 4 (the lead is not told from 0: b); "
        "fails in 1 of 4 (no earlier layer leads: d)."
    )


def test_a_network_below_raw_pixels_is_named():
    text = depth.ruling(table(network("a"), network("b", baseline=0.5)))
    assert text.endswith(" Note that b does not beat raw pixels (0.500).")


def test_a_networks_evidence_in_one_line():
    assert depth.details(table(network())) == [
        "a: best at blocks.3 (depth 4 of 8), NMI 0.390 [0.370, 0.410]; lead +0.140 [0.100, 0.180]. Not told apart from "
        "it: depth 3 and 5. The shallowest is blocks.2. Class subsets: 0.310 to 0.450; it is best in 80 % of them."
    ]


def test_a_best_layer_that_stands_alone_or_is_the_last():
    (alone,) = depth.details(table(network(best_set=4)))
    assert "Every other layer can be told apart from it." in alone
    (last,) = depth.details(table(network(best_layer="bn2", best_depth=8, best_set="7;8")))
    assert "best at bn2 (depth 8 of 8, the last layer), NMI 0.390 [0.370, 0.410]; lead +0.140 [0.100, 0.180]." in last
    (unled,) = depth.details(table(network(best_layer="bn2", best_depth=8, best_set="8")))
    assert "NMI 0.390 [0.370, 0.410]; no earlier layer leads it. Every other layer" in unled


def test_without_intervals_only_the_scores_are_told():
    bare = dict.fromkeys(("ci_images_low", "ci_images_high", "lead", "lead_low", "lead_high", "best_set"), np.nan)
    bare |= {"range_classes_low": np.nan, "range_classes_high": np.nan}
    for rows in (table(network(**bare)), table(network()).drop(columns=list(bare))):
        assert depth.details(rows) == ["a: best at blocks.3 (depth 4 of 8), NMI 0.390; 0.240 at the last layer."]
        assert depth.ruling(rows) == "not tested in 1 of 1 (no lead was computed: a)."


def test_one_network_is_followed_over_training_alone():
    rows = table(network("a"))
    assert accuracy.ruling(rows).startswith("cannot be judged over networks")
    assert accuracy.details(rows, STEPS) == [
        "Over training, steps 0 to 100: a accuracy 0.050 to 0.760, g 0.350 to 0.390."
    ]
    assert accuracy.details(rows, STEPS[:1]) == []


def test_every_pair_of_networks_agrees_contradicts_or_is_open():
    rows = table(rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), rival("c", 0.2, 0.1), rival("d", 0.1, 0.11))
    assert accuracy.ruling(rows) == (
        "supported. Of 6 pairs of networks: the more accurate one has the lower g in 1; the more accurate one has the "
        "higher g in 4; neither can be said in 1. (Told apart is what has intervals that do not overlap.)"
    )
    assert accuracy.ruling(rows.iloc[1:3]).startswith("not supported. Of 1 pair of networks: the more accurate one has")
    assert accuracy.ruling(rows.iloc[2:]).startswith("open. ")


def test_a_counter_example_is_spelled_out():
    rows = table(rival("a", 0.9, 0.3), rival("b", 0.8, 0.5))
    expected = "More accurate, yet with a worse g: a than b (accuracy 0.900 and 0.800, g 0.300 and 0.500)."
    assert expected in accuracy.details(rows, STEPS[:0])


@pytest.mark.parametrize("accuracies", [(0.9, 0.9), (0.91, 0.9), (0.9, 0.91)])
def test_accuracies_that_cannot_be_told_apart_support_the_claim_in_part(accuracies):
    rows = table(rival("a", accuracies[0], 0.3), rival("b", accuracies[1], 0.5))
    ruled = "supported in part. Of 1 pair of networks: g differs though the accuracies cannot be told apart in 1."
    assert accuracy.ruling(rows).startswith(ruled)
    (text,) = [t for t in accuracy.details(rows, STEPS[:0]) if t.startswith("As accurate")]
    assert text.startswith("As accurate as far as can be told, yet with a worse g: a than b (accuracy ")


def test_of_several_seeds_the_spread_is_told_beside_the_interval():
    rows = table(rival("a", 0.9, 0.3), rival("b", 0.8, 0.5)).assign(accuracy_sd=0.01, unseen_sd=0.02)
    expected = "Accuracy and g (NMI): a 0.900 ± 0.010, 0.300 ± 0.020 [0.280, 0.320]; b 0.800 ± 0.010, "
    assert accuracy.details(rows, STEPS[:0])[0].startswith(expected)


def test_more_counter_examples_than_are_shown_are_counted_and_the_largest_come_first():
    rows = table(*(rival(name, 0.9 - i / 10, 0.1 + i / 10) for i, name in enumerate("abcd")))
    (text,) = [t for t in accuracy.details(rows, STEPS[:0]) if t.startswith("More accurate")]
    assert text.startswith("More accurate, yet with a worse g: a than d")
    assert text.endswith("; and 3 more.")


def test_where_lower_is_better_a_worse_g_is_a_higher_one():
    rows = table(rival("a", 0.9, 0.5), rival("b", 0.8, 0.3)).assign(better="lower", metric="collapse")
    assert "the more accurate one has the higher g in 1." in accuracy.ruling(rows)


@pytest.mark.parametrize(("best_set", "verdict"), [("7;8", "open"), ("8", "fails"), (8.0, "fails"), (np.nan, "open")])
def test_where_the_last_layer_is_best_the_claim_never_holds(best_set, verdict):
    row = network(best_depth=8, best_layer="bn2", best_set=best_set)
    assert depth.judge(pd.Series(row)) == verdict


def test_without_intervals_no_networks_are_told_apart():
    rows = table(network("a"), network("b")).drop(columns=["ci_images_low", "ci_images_high"])
    assert accuracy.ruling(rows).startswith("open. Without intervals")


def test_a_network_without_an_interval_leaves_its_own_pairs_open():
    bare = network("c", accuracy=0.1, ci_images_low=np.nan, ci_images_high=np.nan)
    rows = table(rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), bare)
    assert accuracy.ruling(rows) == (
        "supported. Of 3 pairs of networks: the more accurate one has the lower g in 1; neither can be said in 2. "
        "(Told apart is what has intervals that do not overlap.)"
    )


def test_few_networks_get_a_rank_correlation_without_an_interval():
    rows = table(rival("a", 0.9, 0.3), rival("b", 0.8, 0.5), rival("c", 0.2, 0.1))
    (text,) = [t for t in accuracy.details(rows, STEPS[:0]) if t.startswith("Rank correlation")]
    assert text == "Rank correlation over 3 networks: +0.50; descriptive, so few give no useful interval."
    assert not any(t.startswith("Rank") for t in accuracy.details(rows.iloc[:2], STEPS[:0]))


def test_ten_networks_get_an_interval():
    g = [0.1, 0.3, 0.2, 0.5, 0.4, 0.6, 0.8, 0.7, 1.0, 0.9]
    rows = table(*(rival(str(i), i / 10, value) for i, value in enumerate(g)))
    (text,) = [t for t in accuracy.details(rows, STEPS[:0]) if t.startswith("Rank correlation")]
    r = 1 - 6 * 8 / (10 * 99)  # eight ranks are off by one
    half = 1.96 * np.sqrt((1 + r**2 / 2) / 7)
    low, high = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    assert text.startswith(f"Rank correlation over 10 networks: {r:+.2f} [{low:+.2f}, {high:+.2f}]")


def test_networks_that_learnt_little_are_named():
    rows = table(rival("a", 0.9, 0.3), {**rival("b", 0.1, 0.05), "baseline": 0.2})
    assert "Learnt little (no layer beats raw pixels or chance): b." in accuracy.details(rows, STEPS[:0])


def test_both_claims_are_judged_for_every_dataset_from_main_rows_alone():
    rows = table(network("a"), network("b"), network("a", dataset="flowers"), network("z", main=False))
    first, second = find(rows, STEPS)
    assert list(first.rulings) == list(second.details) == ["handwriting", "flowers"]
    assert second.rulings["flowers"] == "holds in 1 of 1 (the lead is above 0: a)."
    assert [len(lines) for lines in second.details.values()] == [2, 1]


def test_networks_no_more_accurate_than_chance_are_set_aside():
    chance = {"accuracy_chance": 0.1}
    rows = table(rival("a", 0.9, 0.3) | chance, rival("b", 0.8, 0.5) | chance, rival("c", 0.11, 0.1) | chance)
    ruled = accuracy.ruling(rows)
    assert ruled.startswith("supported. Of 1 pair of networks: ")
    assert ruled.endswith(" Set aside, as no more accurate than chance: c (0.110).")
    assert accuracy.ruling(rows.iloc[1:]) == (
        "cannot be judged over networks, which takes at least two that are more accurate than chance. "
        "Set aside, as no more accurate than chance: c (0.110)."
    )
    assert not any(text.startswith("Rank correlation") for text in accuracy.details(rows, STEPS[:0]))


def test_where_every_network_is_set_aside_their_numbers_are_still_told():
    rows = table(*(rival(name, 0.1, 0.3) | {"accuracy_chance": 0.1} for name in "ab"))
    assert accuracy.ruling(rows).endswith(" Set aside, as no more accurate than chance: a (0.100) and b (0.100).")
    assert len(accuracy.details(rows, STEPS[:0])) == 1


def test_a_perfect_order_of_ten_networks_has_no_interval():
    rows = table(*(rival(str(i), i / 10, i / 10) for i in range(10)))
    (text,) = [t for t in accuracy.details(rows, STEPS[:0]) if t.startswith("Rank correlation")]
    assert text == "Rank correlation over 10 networks: +1.00; the approximate interval is not defined for it."


def test_without_accuracies_training_is_told_by_g_alone():
    expected = "Over training, steps 0 to 100: a g 0.350 to 0.390."
    assert accuracy.details(table(network("a")), STEPS.assign(accuracy=np.nan)) == [expected]


def test_a_network_of_one_layer_has_nothing_to_lead():
    row = network(best_depth=0, last_depth=0, best_set="0", lead=0.0, lead_low=0.0, lead_high=0.0)
    assert depth.judge(pd.Series(row)) == "not tested"


@pytest.mark.parametrize(("metric", "named"), [("nmi", "95 % intervals"), ("ari", "intervals of no proven level")])
def test_intervals_are_named_by_the_level_that_they_hold(metric, named):
    for finding in find(table(network("a", metric=metric)), STEPS):
        assert f"Brackets: {named} over images" in finding.caution
