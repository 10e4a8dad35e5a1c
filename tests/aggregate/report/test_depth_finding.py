import pytest

from stages.aggregate.report.depth_finding import details, status, summary
from tests.aggregate.report.networks import WITHOUT_INTERVALS, network

LAST = {"best_layer": "bn2", "best_depth": 8}


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.2, "supported"),
        (0.0, 0.2, "inconclusive"),
        (-0.1, 0.2, "inconclusive"),
        (0.0, 0.0, "contradicted"),
        (-0.2, -0.1, "contradicted"),
        (None, None, "cannot be judged"),
    ],
)
def test_the_leads_interval_decides_whether_deeper_is_better(low, high, word):
    assert status(network(lead_low=low, lead_high=high)) == word


@pytest.mark.parametrize(("best_set", "word"), [("7;8", "inconclusive"), ("8", "contradicted"), (None, "inconclusive")])
def test_where_the_last_layer_is_best_the_claim_is_never_supported(best_set, word):
    assert status(network(**LAST, best_set=best_set)) == word


def test_a_network_of_one_layer_has_nothing_to_lead():
    row = network(best_depth=0, last_depth=0, best_set="0", lead=0.0, lead_low=0.0, lead_high=0.0)
    assert status(row) == "cannot be judged"


def test_networks_are_named_by_what_their_lead_says():
    rows = [network("a"), network("b", lead_low=-0.1), network("c"), network("d", lead_low=0.0, lead_high=0.0)]
    assert summary(rows) == (
        "supported for a and c (the lead is above 0); contradicted for d (no earlier layer leads); "
        "inconclusive for b (the interval of the lead includes 0)."
    )


def test_a_network_below_raw_pixels_is_named():
    text = summary([network("a"), network("b", baseline=0.5)])
    assert text.endswith(" Note that b does not beat raw pixels (0.500).")


def test_a_networks_numbers_in_one_line():
    assert details([network()]) == [
        "a: best at layer 5 of 9 (`blocks.3`), NMI 0.390 [0.370, 0.410]; lead +0.140 [0.100, 0.180]. Not "
        "distinguishable from the best (95 %): layers 4 and 6. The shallowest is layer 4 (`blocks.2`). Class subsets: "
        "0.310 to 0.450; best in 80 % of them."
    ]


def test_a_best_layer_that_stands_alone_or_is_the_last():
    (alone,) = details([network(best_set="4")])
    assert "Every other layer is distinguishable from the best (95 %)." in alone
    (last,) = details([network(**LAST, best_set="7;8")])
    assert "best at layer 9 of 9 (`bn2`, the last), NMI 0.390 [0.370, 0.410]; lead +0.140 [0.100, 0.180]." in last
    (unled,) = details([network(**LAST, best_set="8")])
    assert "NMI 0.390 [0.370, 0.410]; no earlier layer leads it. Every other layer" in unled


def test_without_intervals_only_the_scores_are_told():
    rows = [network(**WITHOUT_INTERVALS)]
    assert details(rows) == ["a: best at layer 5 of 9 (`blocks.3`), NMI 0.390; 0.240 at the last layer."]
    assert summary(rows) == "cannot be judged for a (no lead was computed)."
