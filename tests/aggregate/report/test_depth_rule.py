import pytest

from stages.aggregate.report.depth_rule import judge_depth, networks_by_status
from stages.aggregate.report.rule_words import depth_sentence
from stages.aggregate.uncertainty.layer_comparison import Lead

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


def test_networks_are_counted_by_status():
    findings = [
        judge_depth("a", 0.1, classes=SUPPORTED, images=SUPPORTED, over_pixels=None),
        judge_depth("b", 0.1, classes=None, images=SUPPORTED, over_pixels=None),
        judge_depth("c", 0.1, classes=SUPPORTED, images=SUPPORTED, over_pixels=Lead(-1, 1)),
    ]
    assert networks_by_status(findings, "classes") == {"supported": ["a"], "out of scope": ["c"]}
    assert networks_by_status(findings, "images") == {"supported": ["a", "b"], "out of scope": ["c"]}


def test_sentences():
    def sentence(**leads):
        return depth_sentence(judge_depth("net", 0.2, over_pixels=None, **leads), classes=20)

    assert sentence(classes=SUPPORTED, images=SUPPORTED) == (
        "net: Some earlier layer beats the last by at least 0.16 (95 %), on other classes too, not only on these 20. "
        "For these classes and trained networks, by at least 0.16 (95 %)."
    )
    assert sentence(classes=INCONCLUSIVE, images=None) == (
        "net: Not shown for other classes: these 20 are compatible with a lead of up to 0.30."
    )
    assert sentence(classes=None, images=CONTRADICTED) == (
        "net: For these classes and trained networks the last layer is the best (95 %)."
    )
    assert sentence(classes=None, images=None) == "net: Not tested."
    out = judge_depth("net", 0.2, classes=SUPPORTED, images=None, over_pixels=Lead(-1, 1))
    assert depth_sentence(out) == "net: out of scope, since no layer is shown to beat raw pixels."
