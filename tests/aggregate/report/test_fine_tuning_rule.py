import pytest

from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding, fine_tuning_status


@pytest.mark.parametrize(
    ("value", "status"),
    [(0.3, "raised"), (-0.3, "lowered"), (0.19, "not distinguishable"), (0.0, "not distinguishable")],
)
def test_the_two_sided_interval_decides(value, status):
    assert fine_tuning_status(Estimate(value, 0.1, 1000)) == status


def test_without_folds_or_halves_nothing_is_said():
    assert fine_tuning_status(None) is None


def test_each_scope_has_its_own_status():
    found = FineTuningFinding("net", Estimate(-0.04, 0.05, 6), Estimate(-0.04, 0.01, 40))
    assert (found.on_other_classes, found.on_these_classes) == ("not distinguishable", "lowered")
