from dataclasses import replace

from stages.aggregate.words.averages import at_last_step
from stages.aggregate.words.intervals import explain_intervals, explain_scopes, few_folds, scope_words
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, network


def test_few_folds_are_said_to_tell_little():
    assert few_folds([network(**ONE_FOLD)]).startswith("One choice of unseen classes cannot tell")
    assert few_folds([network(**ONE_FOLD | {"n_folds": 2})]).startswith("Two folds tell too little")
    assert few_folds([network(n_folds=3)]) == ""
    frozen = network(n_folds=1)  # of ten classes or more there are intervals all the same
    assert few_folds([frozen]) == few_folds([frozen, network(metric="probe_accuracy", **ONE_FOLD)]) == ""


def test_folds_of_too_few_classes_are_named_as_the_reason():
    few = network(**ONE_FOLD | {"n_folds": 3})
    by_folds = network(n_folds=3, metric="probe_accuracy", ci_images_low=None)  # Student's t needs no classes left out
    for rows in ([few], [few, by_folds]):
        assert "only where all folds have equally many, four or more" in few_folds(rows)
    assert few_folds([network(**NO_INTERVALS | {"n_folds": 3})]) == ""  # nothing was fitted again
    perfect = replace(few, unseen_sd=0.0)  # in every fold, so that no interval is known, however many classes it has
    assert few_folds([perfect]) == few_folds([network(n_folds=3), few]) == ""


def test_networks_of_one_fold_are_told_of_beside_frozen_ones_that_have_intervals():
    assert few_folds([network(n_folds=1), network("b", **ONE_FOLD)]).startswith("One choice of unseen classes")


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


def test_the_last_step_may_differ_from_network_to_network():
    assert at_last_step([100, 100]) == "step 100"
    assert at_last_step([100, 0, 100]) == "the last step (0 or 100)"
