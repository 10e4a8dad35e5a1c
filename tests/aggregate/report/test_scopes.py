from stages.aggregate.report.scopes import few_folds, lead_bounds, level, score, widest
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, network


def test_a_score_stands_beside_its_interval_in_the_wider_scope():
    assert score(network(unseen_sd=0.02)) == "0.390 ± 0.020 (other classes: [0.310, 0.470])"
    assert score(network(**ONE_FOLD)) == "0.390 (other images: [0.370, 0.410])"
    assert score(network(**NO_INTERVALS)) == "0.390"


def test_the_widest_scope_is_that_of_any_row():
    assert widest([network(**ONE_FOLD), network()]) == "classes"
    assert widest([network(**NO_INTERVALS), network(**ONE_FOLD)]) == "images"
    assert widest([network(**NO_INTERVALS)]) is None


def test_bounds_of_a_lead_are_those_of_one_scope():
    lead = lead_bounds(network(), "images")
    assert (lead.low, lead.high) == (0.1, 0.18)
    assert lead_bounds(network(**ONE_FOLD), "classes") is None


def test_few_folds_are_said_to_tell_little():
    assert few_folds([network(n_folds=1)]).startswith("One choice of unseen classes cannot tell")
    assert few_folds([network(n_folds=2)]).startswith("Two folds tell too little")
    assert few_folds([network(n_folds=3)]) == ""


def test_only_a_proven_level_is_named():
    assert (level("nmi", "classes"), level("nmi", "images")) == (" (95 %)", "")
    assert level("knn_purity", "images") == " (95 %)"
    assert level("ood_auroc_knn", "classes") == ""
