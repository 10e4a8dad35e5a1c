import pytest

from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.report.depth_rule import judge_depth

SUPPORTED, CONTRADICTED, INCONCLUSIVE = Lead(0.16, 0.37), Lead(-0.2, -0.02), Lead(-0.1, 0.3)


@pytest.mark.parametrize(
    ("classes", "images", "pixels", "expected"),
    [
        (SUPPORTED, SUPPORTED, None, ("supported", "supported")),
        (INCONCLUSIVE, SUPPORTED, Lead(0.1, 0.2), ("inconclusive", "supported")),
        (None, CONTRADICTED, None, (None, "contradicted")),
        (SUPPORTED, SUPPORTED, Lead(-0.01, 0.2), ("out of scope", "out of scope")),
        (Lead(0.0, 0.3), Lead(-0.2, 0.0), None, ("inconclusive", "contradicted")),
    ],
)
def test_status_by_scope(classes, images, pixels, expected):
    found = judge_depth("net", 0.1, classes=classes, images=images, over_pixels=pixels)
    assert (found.on_other_classes, found.on_these_classes) == expected
