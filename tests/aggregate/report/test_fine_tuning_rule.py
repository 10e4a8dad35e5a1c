import pytest

from stages.aggregate.report.fine_tuning_rule import FineTuningFinding, fine_tuning_status
from stages.aggregate.report.rule_words import fine_tuning_sentence
from stages.aggregate.uncertainty.contrasts import Estimate


@pytest.mark.parametrize(
    ("value", "status"),
    [(0.3, "raised"), (-0.3, "lowered"), (0.19, "not distinguishable"), (0.0, "not distinguishable")],
)
def test_the_two_sided_interval_decides(value, status):
    assert fine_tuning_status(Estimate(value, 0.1, 1000)) == status


def test_without_folds_or_halves_nothing_is_said():
    assert fine_tuning_status(None) is None
    assert fine_tuning_sentence(FineTuningFinding("net", None, None)) == "net: g not compared."


def test_a_sentence_has_both_scopes_and_accuracy():
    found = FineTuningFinding("net", Estimate(-0.04, 0.05, 6), Estimate(-0.04, 0.01, 40), (0.05, 0.79))
    assert (found.on_other_classes, found.on_these_classes) == ("not distinguishable", "lowered")
    assert fine_tuning_sentence(found) == (
        "net: g lowered, -0.04 [-0.06, -0.02] for these classes and trained networks; not distinguishable, "
        "-0.04 [-0.16, +0.08] on other classes of this domain, training repeated. Accuracy went from 0.05 to 0.79."
    )
