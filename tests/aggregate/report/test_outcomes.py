"""The statuses alone say what the sentences say."""

from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.metric_info import BOTH
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.report.outcomes import Outcome, accuracy_outcomes, depth_outcomes, fine_tuning_outcomes
from tests.aggregate.report.networks import NO_INTERVALS, evidence, network


def test_accuracy_has_one_outcome_of_the_dataset_in_the_scope_of_its_status():
    shown = evidence(network("a", accuracy=0.78, unseen=0.3), network("b"))
    assert accuracy_outcomes(shown) == [Outcome("handwriting", None, "classes", "shown", "a against b")]
    images = evidence(network("a", accuracy=0.78, unseen=0.3), network("b"), scopes=("images",))
    assert [(each.scope, each.status) for each in accuracy_outcomes(images)] == [
        ("images", "shown for these classes and trained networks")
    ]
    none = accuracy_outcomes(evidence(network("a", accuracy=0.78, unseen=0.5), network("b")))
    assert (none[0].status, none[0].note[:17]) == ("no counter-example", "2 networks; 0.01 ")  # (2.00 + 0.85) x 0.005


def test_why_accuracy_cannot_be_judged():
    for known, why in (
        (evidence(network("a")), "one accurate network"),
        (evidence(network("a", accuracy=None)), "no fine-tuned head"),
        (evidence(network("a"), network("b"), scopes=()), "no interval"),
    ):
        assert accuracy_outcomes(known) == [Outcome("handwriting", None, None, "cannot be judged", why)]


def test_depth_and_fine_tuning_have_one_of_every_network_and_scope():
    known = evidence(network("a"), network("b", **NO_INTERVALS))
    assert depth_outcomes(known) == [
        *(Outcome("handwriting", "a", scope, "supported") for scope in BOTH),
        Outcome("handwriting", "b", None, "cannot be judged", "no interval"),
    ]
    assert fine_tuning_outcomes(known)[0].note == "no step 0 beside a later step"
    lowered = FineTuningFinding("a", None, Estimate(-0.2, 0.01, 40))
    assert fine_tuning_outcomes(evidence(network("a"), fine_tuning=[lowered])) == [
        Outcome("handwriting", "a", "images", "lowered")
    ]
