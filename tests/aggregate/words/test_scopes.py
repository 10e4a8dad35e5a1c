from stages.aggregate.words.scopes import few_folds, level, score
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, network


def test_a_score_stands_beside_its_interval_in_the_wider_scope():
    assert score(network(unseen_sd=0.02)) == "0.390 ± 0.020 (other classes: [0.310, 0.470])"
    assert score(network(**ONE_FOLD)) == "0.390 (other images: [0.370, 0.410])"
    assert score(network(**NO_INTERVALS)) == "0.390"


def test_few_folds_are_said_to_tell_little():
    assert few_folds([network(n_folds=1)]).startswith("One choice of unseen classes cannot tell")
    assert few_folds([network(n_folds=2)]).startswith("Two folds tell too little")
    assert few_folds([network(n_folds=3)]) == ""


def test_only_a_proven_level_is_named():
    assert (level("nmi", "classes"), level("nmi", "images")) == (" (95 %)", "")
    assert level("knn_purity", "images") == " (95 %)"
    assert level("ood_auroc_knn", "classes") == ""
