"""Locks of cells, and the record of what became of each."""

import json
from pathlib import Path

import pytest

from stages.commands.fleet.record import Record, hold_cells, is_held, read_states, summary
from stages.commands.fleet.worker import Outcome
from stages.shared.console import UserError


def outcome(name: str, *, failed: str = "", stages: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        name, failed, tuple({"stage": stage, "cell": name, "seconds": 1.0} for stage in stages), "said", "h", 2
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
    assert read_states(tmp_path) == dict.fromkeys("abcd", "open")
    record.add(outcome("a", stages=("finetune", "embed")), durations)
    record.add(outcome("b"), durations)
    record.add(outcome("c", failed="embed@c", stages=("finetune",)), durations)
    assert read_states(tmp_path) == {"a": "computed", "b": "from the cache", "c": "failed", "d": "open"}
    assert summary(read_states(tmp_path)) == "1 computed, 1 from the cache, 1 failed, 1 open"
    rows = [json.loads(line) for line in durations.read_text().splitlines()]
    assert [(row["stage"], row["cell"]) for row in rows] == [
        ("prepare", "d"), ("finetune", "a"), ("embed", "a"), ("finetune", "c"),
    ]  # fmt: skip
    assert record.log("c").read_text() == "said\n"


def test_without_a_fleet_there_is_nothing_to_report(tmp_path: Path):
    assert read_states(tmp_path) == {}
    assert summary({}) == "no cell"
