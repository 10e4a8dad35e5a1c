"""Which score names the layer, and what is then known of it by another one."""

from dataclasses import replace

import numpy as np
import pytest

from stages.core.choose import Candidates, decide, naming_score
from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.description import facts_of
from tests.aggregate.refit_frames import refits_of

SCORES = facts_of(LAYER_SCORES)
NMI, MAP_AT_R = SCORES["nmi"], SCORES["map_at_r"]


@pytest.mark.parametrize(
    ("use", "measured", "n_classes", "least_images", "named_by"),
    [
        ("discovery", ["nmi", "map_at_r"], 9, 100, "map_at_r"),
        ("discovery", ["nmi", "map_at_r"], 100, 9, "map_at_r"),
        ("discovery", ["nmi", "map_at_r"], 10, 10, "nmi"),
        ("discovery", ["nmi"], 5, 5, "nmi"),
        ("classifier", ["nmi", "map_at_r"], 5, 5, "nmi"),
    ],
)
def test_few_labels_name_the_layer_for_discovery_by_map_at_r(use, measured, n_classes, least_images, named_by):
    of_name = {name: SCORES[name] for name in measured}
    assert naming_score(use, "nmi", of_name, n_classes=n_classes, least_images=least_images) == named_by


def test_map_at_r_of_unnormalized_embeddings_names_no_layer():
    scores = facts_of(LAYER_SCORES, "none")
    assert naming_score("discovery", "nmi", scores, n_classes=5, least_images=5) == "nmi"


def candidates(score, mean, *, by=None, **settings):
    """Layers of these mean scores, on one fold with six classes and eight halves that vary alike."""
    random, mean = np.random.default_rng(0), np.array(mean)
    halves = mean + random.normal(0, 0.03, (1, 1, 8, 1)) + random.normal(0, 0.01, (1, 1, 8, len(mean)))
    refits = refits_of(mean[None, None], None, halves, score=score)
    return Candidates(
        score=score, gains=mean[None, None], refits={0: refits}, pixels={}, by=by, **({"levels": {}} | settings)
    )


def test_the_layer_that_map_at_r_names_keeps_its_own_nmi_gain_and_interval():
    own = candidates(NMI, [0.50, 0.62, 0.60, 0.40])
    named = replace(own, by=candidates(MAP_AT_R, [0.2, 0.3, 0.5, 0.1]))
    plain, found = decide(own, 0.02), decide(named, 0.02)
    assert (plain.choice.taken, plain.choice.by_another) == ((0, 1), False)
    assert (found.choice.taken, found.choice.by_another) == ((0, 2), True)
    assert set(found.tied) == {*plain.tied, 2}
    gain, best = found.choice.over_last, found.sure["images"].best
    assert best.value == pytest.approx(0.60)
    assert (best.low, best.high) == (found.sure["images"].low[2], found.sure["images"].high[2])
    assert gain.low <= gain.estimate <= 0.20 + 1e-9 <= gain.high <= gain.at_most
    assert gain.crossvalidated == pytest.approx(0.20, abs=0.02)
    np.testing.assert_array_equal(found.losses, plain.losses)


def test_a_layer_below_raw_pixels_is_not_named_by_another_score():
    own = candidates(NMI, [0.50, 0.62, 0.60, 0.40], levels={"raw_pixels": 0.61})
    found = decide(replace(own, by=candidates(MAP_AT_R, [0.2, 0.3, 0.5, 0.1])), 0.02)
    assert (found.choice.taken, found.choice.by_another, found.unbeaten) == ((0, 1), False, None)
