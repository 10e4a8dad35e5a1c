from dataclasses import replace

import pytest

from stages.aggregate.findings.facts import Claim, NetworkFindings, Status, change_status, lead_status
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Bounds
from tests.aggregate.networks import network


@pytest.mark.parametrize(
    ("lead", "status"),
    [
        (Bounds(0.16, 0.37, 0.37), Status.SUPPORTED),
        (Bounds(-0.2, -0.02, -0.02), Status.CONTRADICTED),
        (Bounds(-0.2, 0.0, 0.0), Status.CONTRADICTED),
        (Bounds(-0.1, 0.3, 0.3), Status.INCONCLUSIVE),
        (Bounds(0.0, 0.3, 0.3), Status.INCONCLUSIVE),
    ],
)
def test_a_leads_bounds_decide(lead, status):
    assert lead_status(lead) is status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (0.3, Status.RAISED), (-0.3, Status.LOWERED), (0.19, Status.NOT_DISTINGUISHABLE),
        (0.0, Status.NOT_DISTINGUISHABLE),
    ],
)  # fmt: skip
def test_the_two_sided_interval_decides(value, status):
    assert change_status(Estimate(value, 0.1, 1000)) is status


def test_each_scope_has_its_own_status_as_far_as_it_is_known():
    row = network(metric="knn_purity", lead_classes_at_least=-0.1, lead_classes_at_most=0.3, lead_images_at_least=0.16)
    changes = {"classes": Estimate(-0.04, 0.05, 6), "images": Estimate(-0.04, 0.01, 40)}
    found = NetworkFindings(row, changes=changes)
    assert found.statuses(Claim.DEPTH) == {"classes": Status.INCONCLUSIVE, "images": Status.SUPPORTED}
    beaten = NetworkFindings(replace(row, lead_classes_at_least=None), in_scope=False)
    assert beaten.statuses(Claim.DEPTH) == {}  # whatever evidence there is
    assert found.statuses(Claim.FINE_TUNING) == {"classes": Status.NOT_DISTINGUISHABLE, "images": Status.LOWERED}
    assert beaten.statuses(Claim.FINE_TUNING) == {}
