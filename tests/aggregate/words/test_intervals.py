from stages.aggregate.words.intervals import explain_intervals, explain_scopes, few_folds, scope_words
from tests.aggregate.networks import ONE_FOLD, network


def test_what_intervals_over_other_classes_take_is_said_where_a_network_has_none():
    frozen = network(n_folds=1)  # of ten classes or more there are intervals all the same
    assert few_folds([frozen, network(metric="probe_accuracy", **ONE_FOLD), network("b", fold="0", **ONE_FOLD)]) == ""
    assert " other classes take three sets of " in few_folds([frozen, network("b", **ONE_FOLD)], "sets")


def test_only_a_proven_level_is_named():
    assert scope_words("nmi", "classes") == "other classes"
    assert scope_words("nmi", "images") == "other images, no proven level"
    assert explain_scopes("nmi", 100) == (
        "[ ] of other classes: for other unseen classes and retraining (95 %); of other images: for other images of "
        "these classes (no proven level)."
    )
    assert explain_scopes("knn_purity", 0).count("95 %") == 2


def test_intervals_of_another_scope_are_named():
    shown = [("NMI", "nmi", "classes"), ("OOD", "ood_auroc_knn", "classes"), ("purity", "knn_purity", "images")]
    assert explain_intervals("Bands", [*shown, ("ARI", "ari", None)], 100) == (
        "Bands: 95 % for other unseen classes and retraining (OOD: not proven); purity: 95 % for other images of these "
        "classes."
    )
    assert explain_intervals("Bands", shown[1:2], 0) == "Bands: for other unseen classes (OOD: not proven)."
    assert explain_intervals("Bands", [], 0) == ""
