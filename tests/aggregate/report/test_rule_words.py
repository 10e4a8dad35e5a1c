from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.report.accuracy_rule import judge_accuracy
from stages.aggregate.report.depth_rule import judge_depth
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.report.rule_words import accuracy_sentences, by_status, depth_sentences, fine_tuning_sentences
from tests.aggregate.report.test_accuracy_rule import evidence
from tests.aggregate.report.test_depth_rule import CONTRADICTED, INCONCLUSIVE, SUPPORTED

CLASSES, IMAGES = "On other classes of this domain, training repeated:", "For these classes and trained networks:"


def test_a_counter_example_is_told_with_its_bounds():
    shown = accuracy_sentences(judge_accuracy(evidence([0.8, 0.78, 0.5], [0.4, 0.5, 0.6]), None))
    assert shown == [
        f"{CLASSES} shown. a is at least as accurate as b (accuracy +0.020, at least +0.010) and has the worse g "
        "(-0.100, at most -0.090).",
        "Out of scope: c (less accurate than the best).",
    ]


def test_a_counter_example_of_these_classes_alone_leaves_other_classes_open():
    wide, sharp = evidence([0.8, 0.78], [0.4, 0.5], error=0.2), evidence([0.8, 0.78], [0.4, 0.5])
    here = accuracy_sentences(judge_accuracy(wide, sharp))
    assert here[0].startswith(f"{IMAGES} shown. a is at least as accurate as b")
    assert here[1:] == [f"{CLASSES} open."]
    assert len(accuracy_sentences(judge_accuracy(None, sharp))) == 1


def test_no_counter_example_comes_with_what_would_have_been_seen():
    assert accuracy_sentences(judge_accuracy(evidence([0.8, 0.78], [0.5, 0.5], error=0.02), None)) == [
        f"{CLASSES} no counter-example among 2 accurate networks; a difference of 0.06 in g would have been seen."
    ]
    for known in (judge_accuracy(evidence([0.8], [0.5]), None), judge_accuracy(None, None)):
        assert accuracy_sentences(known) == ["Cannot be judged: fewer than two accurate networks."]


def test_depth_is_told_scope_by_scope():
    def sentences(metric="knn_purity", pixels=None, **leads):
        return depth_sentences(judge_depth("net", 0.2, over_pixels=pixels, **leads), metric)

    assert sentences(classes=SUPPORTED, images=CONTRADICTED) == (
        f"{CLASSES} supported, some earlier layer beats the last by at least 0.160 (95 %). "
        f"{IMAGES} contradicted, the last layer is the best (95 %)."
    )
    assert sentences("ari", classes=INCONCLUSIVE, images=None) == (
        f"{CLASSES} inconclusive, compatible with a lead of up to 0.300."
    )
    assert sentences("nmi", classes=SUPPORTED, images=CONTRADICTED) == (
        f"{CLASSES} supported, some earlier layer beats the last by at least 0.160 (95 %). "
        f"{IMAGES} contradicted, the last layer is the best."
    )
    assert sentences(classes=None, images=None) == ""
    assert sentences(classes=SUPPORTED, images=None, pixels=Lead(-1, 1)).startswith("Out of scope, since no layer")


def test_networks_are_named_by_status_and_once_where_out_of_scope():
    def judged(name, classes, images, pixels=None):
        return judge_depth(name, 0.1, classes=classes, images=images, over_pixels=pixels)

    found = [judged("a", SUPPORTED, SUPPORTED), judged("b", None, SUPPORTED), judged("c", SUPPORTED, None, Lead(-1, 1))]
    assert by_status(found) == (
        f"{CLASSES} supported for a. {IMAGES} supported for a and b. "
        "Out of scope, since no layer is shown to beat raw pixels: c."
    )
    assert by_status([judged("a", None, None)]) == ""


def test_fine_tuning_is_told_in_both_scopes_beside_accuracy():
    found = FineTuningFinding("net", Estimate(-0.04, 0.05, 6), Estimate(-0.04, 0.01, 40), (0.05, 0.79))
    assert fine_tuning_sentences(found, "knn_purity") == (
        f"net: {CLASSES} not distinguishable, -0.040 [-0.162, +0.082] (95 %). {IMAGES} lowered, -0.040 "
        "[-0.060, -0.020] (95 %). Accuracy went from chance (0.05) to 0.79."
    )
    assert fine_tuning_sentences(FineTuningFinding("net", None, None), "nmi") == "net: Not compared."
