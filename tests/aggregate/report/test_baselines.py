import pytest

from stages.aggregate.report.baselines import beaten_by
from tests.aggregate.report.networks import network


@pytest.mark.parametrize(
    ("better", "unseen", "beaten"),
    [
        ("higher", 0.4, None),
        ("higher", 0.3, "raw pixels (0.300)"),
        ("lower", 0.25, None),
        ("lower", 0.4, "raw pixels (0.300)"),
    ],
)
def test_raw_pixels_are_the_level_to_beat_in_the_scores_own_direction(better, unseen, beaten):
    assert beaten_by(network(unseen=unseen, baseline=0.3, chance=None, better=better)) == beaten


def test_chance_is_named_where_raw_pixels_are_beaten_or_unknown():
    assert beaten_by(network(unseen=0.2, baseline=0.1, chance=0.2)) == "chance (0.200)"
    assert beaten_by(network(unseen=0.2, baseline=None, chance=0.25)) == "chance (0.250)"
