from dataclasses import replace

import pytest

from stages.aggregate.findings.outcomes import Claim, Depth, NetworkFindings, Status, change_status, lead_status
from stages.core.inference.contrasts import Estimate
from stages.core.inference.layer_comparison import Bounds
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
    assert found.depths[0].statuses == {"classes": Status.INCONCLUSIVE, "images": Status.SUPPORTED}
    beaten = NetworkFindings(replace(row, lead_classes_at_least=None), in_scope=False)
    assert beaten.depths[0].statuses == {}  # whatever evidence there is
    tuned = {each.scope: each.status for each in found.outcomes(Claim.FINE_TUNING)}
    assert tuned == {"classes": Status.NOT_DISTINGUISHABLE, "images": Status.LOWERED}
    assert [each.scope for each in beaten.outcomes(Claim.FINE_TUNING)] == [None]


def test_depth_is_judged_at_the_recommended_checkpoint_before_the_last():
    chosen = Depth(0, {"classes": Bounds(-0.1, 0.3, 0.1)})
    found = NetworkFindings(network(), recommended=chosen)
    assert [(each.step, each.status) for each in found.outcomes(Claim.DEPTH)] == [
        (0, Status.INCONCLUSIVE),
        (100, Status.SUPPORTED),
    ]
    beaten = replace(found, recommended=replace(chosen, in_scope=False))
    assert [each.status for each in beaten.outcomes(Claim.DEPTH)] == [Status.OUT_OF_SCOPE, Status.SUPPORTED]
