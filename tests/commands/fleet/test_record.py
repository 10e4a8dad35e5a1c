"""Locks of cells, and the record of what became of each."""

import json
from pathlib import Path

import pytest

from stages.commands.fleet.record import Record, hold_cells, is_held, read_states, reason, summary
from stages.commands.fleet.worker import RUNNING, Outcome, write_state
from stages.shared.runtime.errors import UserError


def outcome(name: str, *, failed: str = "", stages: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        name, failed, tuple({"stage": stage, "cell": name, "seconds": 1.0} for stage in stages), {}, "said", "h", 2
    )


def test_a_second_holder_of_one_cell_is_refused_by_its_name_and_another_cell_is_free(tmp_path: Path):
    with hold_cells(tmp_path, ["a-0", "b-0"]):
        assert is_held(tmp_path, "b-0")
        with pytest.raises(UserError, match="cell b-0: must be computed by one process at a time"):
            hold_cells(tmp_path, ["c-0", "b-0"]).__enter__()
        assert not is_held(tmp_path, "c-0")  # the refused one lets go of what it held already
        with hold_cells(tmp_path, ["c-0"]):
            assert is_held(tmp_path, "c-0")
    assert not is_held(tmp_path, "a-0")


def test_the_record_counts_what_ran_what_came_from_the_cache_and_what_failed(tmp_path: Path):
    durations = tmp_path / "durations.jsonl"
    durations.write_text('{"stage": "prepare", "cell": "d", "seconds": 1.0}\n')
    record = Record(tmp_path, ["a", "b", "c", "d"])
    assert read_states(tmp_path, "abcde") == dict.fromkeys("abcd", ("open", ""))
    record.add(outcome("a", stages=("finetune", "embed")), durations)
    record.add(outcome("b"), durations)
    line = record.add(outcome("c", failed="embed@c", stages=("finetune",)), durations)
    states = read_states(tmp_path, "abcde")
    assert {name: state for name, (state, _) in states.items()} == record.states
    assert record.states == {"a": "computed", "b": "from the cache", "c": "failed", "d": "open"}
    assert summary(record.states) == "1 computed, 1 from the cache, 1 failed, 1 open"
    assert states["a"][1] == "a: computed finetune, embed, 2 s on h"
    assert states["b"][1] == "b: from the cache, 2 s on h"
    assert states["c"][1] == line == f"c: embed@c failed on h: said; see {tmp_path / 'c.log'}"
    rows = [json.loads(line) for line in durations.read_text().splitlines()]
    assert [(row["stage"], row["cell"]) for row in rows] == [
        ("prepare", "d"), ("finetune", "a"), ("embed", "a"), ("finetune", "c"),
    ]  # fmt: skip
    assert (tmp_path / "c.log").read_text() == "said\n"


def test_a_cell_runs_from_when_its_worker_began_to_its_outcome_or_the_end_of_the_fleet(tmp_path: Path):
    names = ["a", "b"]
    with hold_cells(tmp_path, names):
        record = Record(tmp_path, names)
        write_state(tmp_path, "a", RUNNING, "a: runs on h")
        assert read_states(tmp_path, names) == {"a": ("running", "a: runs on h, since 0 s"), "b": ("open", "")}
        record.add(outcome("a"), tmp_path / "durations.jsonl")
        assert read_states(tmp_path, ["a"])["a"][0] == "from the cache"
        write_state(tmp_path, "b", RUNNING, "b: runs on h")
    assert read_states(tmp_path, ["b"]) == {"b": ("open", "")}
    with hold_cells(tmp_path, names):
        Record(tmp_path, names)
        assert read_states(tmp_path, names) == {"a": ("open", ""), "b": ("open", "")}


def test_why_a_cell_failed_is_the_last_line_that_is_not_of_dvc():
    log = "Traceback\nRuntimeError: broken\x1b[0m\n\nERROR: failed to reproduce 'embed@c': failed to run: python\n"
    assert reason(log) == "RuntimeError: broken\\x1b[0m"
    assert reason(" \n") == "nothing was printed"
    killed = "embed: 5/9 batches\nERROR: failed to reproduce 'embed@c': failed to run: python -m x, exited with -9\n"
    assert reason(killed) == "it exited with -9"


def test_without_a_fleet_there_is_nothing_to_report(tmp_path: Path):
    assert read_states(tmp_path, ["a"]) == {}
    assert summary({}) == "no cell"
