import json
from dataclasses import replace

import numpy as np
import pytest

from stages.aggregate.render.write import headline_numbers
from stages.aggregate.tables.summary import summarize
from stages.aggregate.words.documents import strict_json
from tests.aggregate.recommended import OVER_BEFORE, OVER_LAST, UNTRAINED, recommendation
from tests.aggregate.synthetic import uncertain
from tests.aggregate.tables.conftest import two_seeds


@pytest.fixture
def scores():
    return two_seeds()


def headline(rows, recommendations):
    text = strict_json(headline_numbers(rows, recommendations))
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_metrics_hold_the_headline_of_every_dataset_and_model(scores):
    known = uncertain(scores, ci_images_low=0.5, ci_images_high=0.6123456789)
    expected = {
        "step": 10,
        "accuracy": 0.8,
        "g_unseen": 0.55,
        "g_seen": 0.9,
        "last_value": 0.55,
        "scope": "images",
        "ci_low": 0.5,
        "ci_high": 0.612346,
        "uses": {},
    }
    assert headline(summarize(known, "nmi"), []) == {"d": {"m": expected}}
    wider = headline(
        summarize(uncertain(scores, ci_images_low=0.5, ci_classes_low=0.3, ci_classes_high=0.7), "nmi"), []
    )["d"]["m"]
    assert (wider["scope"], wider["ci_low"]) == ("classes", 0.3)


def test_each_use_has_its_layer_its_score_and_what_choosing_it_gains(scores):
    found = [recommendation(dataset="d", model="m"), recommendation(dataset="d", model="other", use="retrieval")]
    uses = headline(summarize(uncertain(scores), "nmi"), found)["d"]["m"]["uses"]
    assert list(uses) == ["discovery"]
    value, low, high = found[0].best.estimate
    expected = {
        "layer": "blocks.3",
        "depth": 4,
        "step": 100,
        "score": value,
        "low": low,
        "high": high,
        "last_score": 0.24,
    }
    assert {name: uses["discovery"][name] for name in expected} == pytest.approx(expected)
    assert uses["discovery"]["gain_over_last"] == vars(OVER_LAST)
    assert uses["discovery"]["gain_over_before"] == vars(OVER_BEFORE)
    assert uses["discovery"]["untrained"]["layer"] == "blocks.1"
    assert uses["discovery"]["untrained"]["gain_over_last"] == vars(UNTRAINED.gain_over_last)
    tiny = recommendation(dataset="d", model="m", gain_over_last=replace(OVER_LAST, low=-1e-9))
    assert "-0.0," not in strict_json(headline_numbers(summarize(uncertain(scores), "nmi"), [tiny]))


def test_it_is_strict_json_whatever_the_numbers(scores):
    known = headline(summarize(uncertain(scores, ci_images_high=np.inf), "nmi"), [])["d"]["m"]
    assert (known["ci_high"], known["g_unseen"]) == (None, 0.55)
    assert {type(value) for value in known.values()} <= {int, float, str, type(None), dict}
