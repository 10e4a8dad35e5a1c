import copy
import json
import re

import pytest

from tests.tools.recorded import FIXED, ROOT, RUNS, differences, limits, numbers_of, read_use

ON_CPU = ("WHICHLAYER_DEVICE", "WHICHLAYER_PRECISION")
RUNS_KNOWN = json.loads(RUNS.read_text())
NAME, RUN = next(iter(RUNS_KNOWN.items()))


def changed(**values):
    return copy.deepcopy(RUN) | values


@pytest.mark.parametrize("name", RUNS_KNOWN)
def test_every_recorded_run_is_as_recorded(name):
    assert list(differences(RUNS_KNOWN, RUNS_KNOWN[name])) == []


def test_limits_are_the_range_widened_by_its_width_and_by_a_hundredth_at_least():
    assert limits([0.5, 0.53, 0.52]) == pytest.approx((0.47, 0.56))
    assert limits([0.5]) == pytest.approx((0.49, 0.51))


@pytest.mark.parametrize("name", numbers_of(RUN))
def test_a_number_beyond_what_runs_of_the_seed_gave_is_a_difference(name):
    run = changed()
    use, _, which = name.partition(", ")
    (run["uses"][use] if which else run)[which or use] += 0.25
    (line,) = differences(RUNS_KNOWN, run)
    assert line.startswith(f"{name}: must lie in ")


def test_a_layer_that_ties_is_as_recorded_and_another_is_not():
    known = {run["uses"]["retrieval"]["layer"] for run in RUNS_KNOWN.values() if run["seed"] == RUN["seed"]}
    run = changed()
    run["uses"]["retrieval"] |= {"layer": 1, "ties": [1, min(known)]}
    assert list(differences(RUNS_KNOWN, run)) == []
    run["uses"]["retrieval"]["ties"] = [1]
    (line,) = differences(RUNS_KNOWN, run)
    assert line.startswith(f"retrieval: layer {min(known)}")


def test_another_status_is_a_difference():
    run = changed(findings=dict.fromkeys(RUN["findings"], "unheard of"))
    lines = list(differences(RUNS_KNOWN, run))
    assert len(lines) == len(RUN["findings"])
    assert all(line.endswith("found unheard of") for line in lines)


def test_bytes_are_compared_where_all_that_fixes_rounding_is_the_same():
    fixed = changed(environment=dict.fromkeys(FIXED, "1"))
    other = copy.deepcopy(fixed) | {"sha256": {"weights": "a", "scores": RUN["sha256"]["scores"]}}
    assert list(differences({"one": fixed}, other)) == ["weights: must be the bytes of one"]
    unfixed = changed(environment={})
    assert list(differences({"one": unfixed}, changed(environment={}, sha256=other["sha256"]))) == []


def test_the_makefile_sets_all_that_fixes_rounding():
    exact = (ROOT / "Makefile").read_text().partition("ifdef EXACT")[2].partition("endif")[0]
    assert re.findall(r"^export (\w+) := \S", exact, flags=re.M) == [*ON_CPU, *FIXED]


def test_a_use_is_read_with_what_it_names_and_the_numbers_that_are_printed():
    layers = [{"depth": 2}, {"depth": 3}]
    gain = {"estimate": 0.01239, "low": -0.01, "high": None, "crossvalidated": 0.02, "status": "undecided"}
    record = {
        "metric": "nmi",
        "best": {"depth": 3, "step": 0, "value": 0.7, "classes": {"value": 0.61239}},
        "shortlist": layers,
        "gain_over_last": gain,
        "untrained": None,
    }
    named = {"score": "nmi", "step": 0, "layer": 4, "ties": [3, 4], "status": "undecided"}
    assert read_use(record) == named | {"value": 0.6124, "estimate": 0.0124, "low": -0.01, "crossvalidated": 0.02}
