import pytest

from stages.aggregate.report.findings import evaluate_findings
from tests.aggregate.report.networks import STEPS, network


def test_both_claims_are_judged_for_every_dataset_from_main_rows_alone():
    rows = [network("a"), network("b"), network("a", dataset="flowers"), network("z", main=False)]
    first, second = evaluate_findings(rows, STEPS)
    assert list(first.summaries) == list(second.details) == ["handwriting", "flowers"]
    assert second.summaries["flowers"] == "supported for a (the lead is above 0)."
    assert [len(lines) for lines in second.details.values()] == [2, 1]


@pytest.mark.parametrize(("metric", "named"), [("nmi", "95 % intervals"), ("ari", "intervals of no proven level")])
def test_intervals_are_named_by_the_level_that_they_hold(metric, named):
    for finding in evaluate_findings([network(metric=metric)], STEPS):
        assert f"Brackets: {named} over images" in finding.caution
