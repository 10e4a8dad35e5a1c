from stages.aggregate.words.scopes import few_folds, level
from tests.aggregate.networks import network


def test_few_folds_are_said_to_tell_little():
    assert few_folds([network(n_folds=1)]).startswith("One choice of unseen classes cannot tell")
    assert few_folds([network(n_folds=2)]).startswith("Two folds tell too little")
    assert few_folds([network(n_folds=3)]) == ""


def test_only_a_proven_level_is_named():
    assert (level("nmi", "classes"), level("nmi", "images")) == (" (95 %)", "")
    assert level("knn_purity", "images") == " (95 %)"
    assert level("ood_auroc_knn", "classes") == ""
