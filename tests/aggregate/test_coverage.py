"""A small run of the benchmark of coverage: 60 data sets, so that a coverage of 0.95 comes out above 0.85."""

import pytest
from threadpoolctl import threadpool_limits

from tests.bench.coverage import Mixture, intervals, share_holding

SCORES = ("knn_purity", "nn1_accuracy", "collapse", "nmi")


@pytest.fixture(scope="module")
def table():
    with threadpool_limits(1):
        return intervals(Mixture((3.0,), n=30), SCORES, sets=60, resamples=200)


@pytest.mark.parametrize("score", SCORES)
def test_intervals_hold_the_mean_score_of_fresh_images(table, score):
    """Of 60, a coverage of 0.95 leaves 51 or more with a probability of 0.9999."""
    assert share_holding(table, score) >= 0.85


def test_half_as_wide_they_would_not(table):
    """Means of independent terms: half the interval holds 67 %, and 51 of 60 with a probability of 0.002."""
    assert share_holding(table, "collapse", shrink=0.5) < 0.85


def test_resampled_neighbours_alone_are_too_narrow(table):
    """What their width makes up for: the image is a neighbour of others as well."""
    knn = table[table["score"] == "knn_purity"]
    truth = knn["value"].mean()
    assert ((knn["plain_low"] <= truth) & (truth <= knn["plain_high"])).mean() < 0.85
