import pytest

from stages.aggregate.report.advice import advice
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, network

UNTIED = {"tied_classes": None, "tied_images": None}
LAST = {"best_layer": "bn2", "best_depth": 8, "unseen": 0.24}


def leads(classes=None, images=None):
    columns = {}
    for scope, bounds in (("classes", classes), ("images", images)):
        columns |= dict(zip((f"lead_{scope}_at_least", f"lead_{scope}_at_most"), bounds or (None, None), strict=True))
    return columns


UP, OPEN, DOWN = (0.1, 0.2), (-0.1, 0.3), (-0.2, -0.01)


def test_an_earlier_layer_is_advised_with_its_place_score_lead_and_the_cheapest_that_ties():
    assert advice(network()) == (
        "handwriting, a: take features from layer 5 of 9 (`blocks.3`, NMI 0.390) rather than from the last layer "
        "(`bn2`, 0.240): on other classes of this domain, training repeated, some earlier layer is better by at least "
        "0.030 (95 %). Not distinguishable from it (other classes): layers 4 and 6; the shallowest, layer 4 "
        "(`blocks.2`), takes 12 % of the parameters up to the last layer."
    )


@pytest.mark.parametrize(
    ("classes", "images", "expected"),
    [
        (UP, UP, "take features from layer 5 of 9"),
        (None, UP, "take features from layer 5 of 9"),
        (OPEN, UP, "take features from layer 5 of 9"),
        (OPEN, OPEN, "layer 5 of 9 (`blocks.3`, NMI 0.390) scores best, but no lead over the last layer"),
        (None, OPEN, "layer 5 of 9 (`blocks.3`, NMI 0.390) scores best, but no lead over the last layer"),
        (DOWN, UP, "take features from the last layer, layer 9 of 9 (`bn2`, NMI 0.240): on other classes"),
    ],
)
def test_the_widest_scope_that_tells_decides(classes, images, expected):
    assert advice(network(**leads(classes, images))).startswith(f"handwriting, a: {expected}")


def test_what_is_shown_comes_first_and_what_stays_open_after_it():
    text = advice(network(**leads(OPEN, UP), **UNTIED))
    assert text.endswith(
        ": for these classes and trained networks, some earlier layer is better by at least 0.100; on other classes of "
        "this domain, training repeated, it is open whether an earlier layer is better, by 0.300 at most (95 %). It "
        "takes 17 % of the parameters up to the last layer."
    )
    assert "other classes" not in advice(network(**ONE_FOLD))


def test_where_the_last_layer_scores_best_nothing_is_saved():
    text = advice(network(**LAST, **leads(OPEN, None), **UNTIED))
    assert text.endswith(
        "the last layer, layer 9 of 9 (`bn2`, NMI 0.240), scores best: on other classes of this domain, training "
        "repeated, it is open whether an earlier layer is better, by 0.300 at most (95 %)."
    )
    assert "take features from the last layer" in advice(network(**LAST, **leads(DOWN, None)))
    assert "scores best, the last; it was not tested" in advice(network(**LAST | NO_INTERVALS))


def test_a_layer_that_was_not_tested_is_told_with_the_reason_and_what_it_costs():
    assert advice(network(**NO_INTERVALS)).endswith(
        "layer 5 of 9 (`blocks.3`, NMI 0.390) scores best, above the last layer (`bn2`, 0.240); it was not tested "
        "against the others (no interval: its k-means search has too few starts, or nothing was fitted again "
        "(measure.refits)). It takes 17 % of the parameters up to the last layer."
    )


def test_a_single_layer_leaves_no_choice():
    assert (
        advice(network(best_depth=0, last_depth=0, **UNTIED))
        == "handwriting, a: its only layer is `blocks.3`, NMI 0.390."
    )


def test_a_score_of_no_proven_level_claims_none():
    assert "95 %" not in advice(network(metric="ood_auroc_knn"))


@pytest.mark.parametrize(
    ("column", "value", "caution"),
    [("baseline", 0.5, "no layer beats raw pixels (0.500)"), ("chance", 0.39, "no layer beats chance (0.390)")],
)
def test_a_network_that_beats_nothing_is_cautioned_against(column, value, caution):
    assert advice(network(**{column: value})).endswith(f" But {caution}.")


def test_of_unknown_parameters_no_cost_is_named():
    text = advice(network(best_parameters=0, total_parameters=0, shallowest_parameters=0))
    assert text.endswith(
        "Not distinguishable from it (other classes): layers 4 and 6; the shallowest: layer 4 (`blocks.2`)."
    )
    assert "parameters" not in advice(network(best_parameters=0, total_parameters=0, **UNTIED))
