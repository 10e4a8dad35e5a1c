"""Locks of cells, and the record of what became of each."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.commands.fleet.record import add, begin, held_cells, hold_cells, read_states, reason, summary
from stages.commands.fleet.worker import Outcome, Source, Task, at_work
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError


def outcome(name: str, *, failed: str = "", stages: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        name, failed, tuple({"stage": stage, "cell": name, "seconds": 1.0} for stage in stages), {}, "said", "h", 2
    )


HOLD = """
import sys; from pathlib import Path; from stages.commands.fleet.record import hold_cells
with hold_cells(Path(sys.argv[1]), sys.argv[2:]):
    print("holds", flush=True); sys.stdin.read()
"""


def held(folder: Path) -> set[str]:
    """The cells that processes hold."""
    with held_cells(folder) as names:
        return names


@contextmanager
def holding(folder: Path, *names: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds cells."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", HOLD, str(folder), *names]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        try:
            yield other
        finally:
            other.kill()


def test_a_second_holder_of_one_cell_is_refused_by_its_name_and_another_cell_is_free(tmp_path: Path):
    with holding(tmp_path, "a-0", "b-0") as other:
        assert held(tmp_path) == {"a-0", "b-0"}
        with pytest.raises(UserError, match="cell b-0: must be computed by one process at a time"):
            hold_cells(tmp_path, ["c-0", "b-0"]).__enter__()
        with hold_cells(tmp_path, ["c-0"]):
            assert held(tmp_path) == {"a-0", "b-0", "c-0"}
        assert held(tmp_path) == {"a-0", "b-0"}
        other.kill()
        other.wait()
        with hold_cells(tmp_path, ["b-0"]):  # nothing is left of a process that was killed
            assert held(tmp_path) == {"b-0"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.lock"]


def test_a_fleet_that_ends_while_another_looks_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / "h-1.cells"])
    assert held(tmp_path) == set()


def test_thousands_of_cells_are_held_by_few_open_files(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 20, hard))
    try:
        with hold_cells(tmp_path, [f"cell-{number}" for number in range(3000)]):
            assert len(held(tmp_path)) == 3000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_record_counts_what_ran_what_came_from_the_cache_and_what_failed(tmp_path: Path):
    durations = tmp_path / "durations.jsonl"
    durations.write_text('{"stage": "prepare", "cell": "d", "seconds": 1.0}\n')
    begin(tmp_path, "abcd")
    assert read_states(tmp_path, "abcde") == dict.fromkeys("abcd", ("open", ""))
    ended = [outcome("a", stages=("finetune", "embed")), outcome("b")]
    ended.append(outcome("c", failed="embed@c", stages=("finetune",)))
    added = {each.name: add(tmp_path, each, durations) for each in ended}
    assert added == {
        "a": ("computed", "a: computed finetune, embed, 2 s on h"),
        "b": ("from the cache", "b: from the cache, 2 s on h"),
        "c": ("failed", f"c: embed@c failed on h: said; see {tmp_path / 'c.log'}"),
    }
    states = read_states(tmp_path, "abcde")
    assert states == {**added, "d": ("open", "")}
    counted = summary({name: state for name, (state, _) in states.items()})
    assert counted == "1 computed, 1 from the cache, 1 failed, 1 open"
    rows = [json.loads(line) for line in durations.read_text().splitlines()]
    assert [(row["stage"], row["cell"]) for row in rows] == [
        ("prepare", "d"), ("finetune", "a"), ("embed", "a"), ("finetune", "c"),
    ]  # fmt: skip
    assert (tmp_path / "c.log").read_text() == "said\n"


def test_a_cell_runs_while_its_worker_does_and_its_log_can_be_read_meanwhile(tmp_path: Path):
    source, folder = Source(b"", str(tmp_path), 1), tmp_path / "fleet"
    folder.mkdir()
    begin(folder, "ab")
    with at_work(source, Task("a", (), ("finetune@a", "embed@a"), "", {}, {}), "h", tmp_path) as log:
        log.write_text("step 5")
        runs = f"a: finetune, embed on h, see {folder / 'a.log'}"
        assert read_states(folder, "abc") == {"a": ("running", f"{runs}, since 0 s"), "b": ("open", "")}
        assert (folder / "a.log").read_text() == "step 5"
    assert read_states(folder, "a") == {"a": ("open", f"{runs}; was lost or stopped there")}
    add(folder, outcome("a"), tmp_path / "durations.jsonl")
    assert read_states(folder, "a")["a"][0] == "from the cache"
    assert (folder / "a.log").read_text() == "step 5said\n"
    begin(folder, "a")
    assert read_states(folder, "ab") == {"a": ("open", ""), "b": ("open", "")}


def test_a_log_that_the_worker_wrote_is_not_written_twice(tmp_path: Path):
    (tmp_path / "a.log").write_text("before\nsaid\n")
    add(tmp_path, outcome("a"), tmp_path / "durations.jsonl")
    assert (tmp_path / "a.log").read_text() == "before\nsaid\n"


def test_why_a_cell_failed_is_the_last_line_that_is_not_of_dvc():
    log = "Traceback\nRuntimeError: broken\x1b[0m\n\nERROR: failed to reproduce 'embed@c': failed to run: python\n"
    assert reason(log) == "RuntimeError: broken\\x1b[0m"
    assert reason(" \n") == "nothing was printed"
    killed = "embed: 5/9 batches\nERROR: failed to reproduce 'embed@c': failed to run: python -m x, exited with -9\n"
    assert reason(killed) == "it exited with -9"


def test_without_a_fleet_there_is_nothing_to_report(tmp_path: Path):
    (tmp_path / "b.json").touch()  # the machine lost its power
    assert read_states(tmp_path, ["a", "b"]) == {}
    assert summary({}) == "no cell"
