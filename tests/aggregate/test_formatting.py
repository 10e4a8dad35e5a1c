import numpy as np
import pandas as pd
import pytest

from stages.aggregate.formatting import beaten_by, depths_of, interval, joined, number, runs, with_interval


def test_numbers_carry_their_standard_deviation_where_there_is_one():
    assert number(0.12345, 0.01) == "0.123 ± 0.010"
    assert number(0.12345) == "0.123"
    assert number(float("nan"), 0.1) == "–"


def test_an_interval_needs_both_ends():
    row = pd.Series({"lead": -0.01, "lead_low": -0.0504, "lead_high": 0.03, "a_low": 0.1, "a_high": np.nan})
    assert interval(row, "lead") == "[-0.050, 0.030]"
    assert with_interval(row, "lead", "lead", sign=True) == "-0.010 [-0.050, 0.030]"
    assert (interval(row, "a"), interval(row, "missing")) == ("", "")
    assert with_interval(row, "lead", "a") == "-0.010"


@pytest.mark.parametrize(
    ("depths", "words"),
    [([3], "3"), ([3, 5], "3 and 5"), ([3, 4], "3 and 4"), ([1, 3, 4, 5, 8], "1, 3 to 5 and 8"), ([0, 1, 2], "0 to 2")],
)
def test_depths_are_named_by_their_runs(depths, words):
    assert runs(depths) == words


def test_names_are_joined_as_in_a_sentence():
    assert [joined(list("abc")[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("written", "depths"),
    [("3;4;10", [3, 4, 10]), (4, [4]), (4.0, [4]), ("4", [4]), (np.nan, []), (None, []), (pd.NA, []), ("", [])],
)
def test_a_best_set_is_read_however_pandas_took_it(written, depths):
    assert depths_of(written) == depths


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
    row = pd.Series({"unseen": unseen, "baseline": 0.3, "chance": np.nan, "better": better})
    assert beaten_by(row) == beaten


def test_chance_is_named_where_raw_pixels_are_beaten_or_unknown():
    assert beaten_by(pd.Series({"unseen": 0.2, "baseline": 0.1, "chance": 0.2})) == "chance (0.200)"
    assert beaten_by(pd.Series({"unseen": 0.2, "baseline": None, "chance": 0.25})) == "chance (0.250)"
