"""The campaigns themselves: what they count as what, and that a hang, a crash or a cut run is got over."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stages.prepare.decode import Decoded
from stages.shared.runtime.errors import UserError
from tests.faults import __main__ as command
from tests.faults import changed_raw_data, scarcity
from tests.faults.campaign import Place
from tests.faults.campaigns import CAMPAIGNS
from tests.faults.changed_raw_data import run_image
from tests.faults.outcomes import FAILURE, SAME, SENTENCE, Outcome, attempt, same_or_failure, sentence
from tests.faults.record import Record
from tests.faults.workers import Done, carry_out
from tests.workflow import ROOT


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("error: data/x.csv: must be whole, found half of it; run it again\n", SENTENCE),
        ("embed: 5/9 batches, 15 s\nerror: data/x.csv: must be whole\n", SENTENCE),
        ("Traceback (most recent call last):\n  File\nValueError: data/x.csv\n", FAILURE),
        ("error: data/x.csv: OSError(5)\n", FAILURE),
        ("error: data/y.csv: must be whole\n", FAILURE),
        ("error: data/x.csv\nerror: data/x.csv\n", FAILURE),
        ("data/x.csv is damaged\n", FAILURE),
        ("error: data/x.csv\n" + "and so on\n" * 9, FAILURE),
        ("error: data/x.csv \x1b[31m\n", FAILURE),
        ("", FAILURE),
    ],
)
def test_one_clear_sentence_is_one_line_that_names_the_file(said: str, kind: str):
    assert sentence(said, ["data/x.csv"]).kind == kind


def test_a_call_ends_as_its_command_would():
    def fail(error: Exception) -> Outcome:
        def call() -> None:
            raise error

        return attempt(call, "seed")

    assert attempt(lambda: None) == Outcome(SAME)
    assert fail(UserError("seed: must be a number")) == Outcome(SENTENCE, "error: seed: must be a number")
    assert fail(UserError("steps: must be numbers")).kind == FAILURE
    assert fail(KeyError("seed")).kind == FAILURE
    assert fail(AssertionError("other files")).said == "a wrong result in silence\nother files"


def test_other_bytes_are_a_failure_that_names_the_files():
    whole = {"a": b"1", "b": b"2"}
    assert same_or_failure(dict(whole), whole).kind == SAME
    assert same_or_failure({"a": b"1", "b": b"3", "c": b""}, whole) == Outcome(FAILURE, "other bytes in silence: b, c")


def test_want_of_room_that_fails_a_stage_whose_work_is_whole_is_a_failure():
    said = "error: data/durations.jsonl: there is no room left to write (File too large); free some\n"
    assert scarcity._judge("room", 2, said, whole=False).kind == SENTENCE
    assert scarcity._judge("room", 2, said, whole=True).kind == FAILURE
    assert scarcity._judge("room", 0, "", whole=True).kind == SAME


@pytest.mark.slow
@pytest.mark.long
def test_workers_get_over_hangs_and_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ["same", "hang", "exit", "raise", "fill memory", "same", "same"]
    until = time.monotonic() + 300
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    trials = [("made up", name) for name in names]
    done = list(carry_out(trials, tmp_path, jobs=1, until=until, registry="tests.faults.made_up"))
    assert [each.trial for each in done] == names
    kinds = [each.outcome.kind for each in done]
    assert kinds == [SAME, FAILURE, FAILURE, FAILURE, FAILURE, SAME, SAME]
    said = [each.outcome.said for each in done]
    assert said[1] == "it hangs for more than 15 s"
    assert said[2] == "it ends the process (7)"
    assert "ValueError: wrong" in said[3]
    assert said[4].startswith("it takes 1")
    assert said[5] == said[6] != said[0]  # a process goes on, unless a trial failed in it


def test_nothing_is_started_when_time_is_over(tmp_path: Path):
    trials = [("made up", "same")] * 3
    over = carry_out(trials, tmp_path, jobs=1, until=time.monotonic(), registry="tests.faults.made_up")
    assert list(over) == []


def test_a_worker_that_cannot_start_ends_the_run(tmp_path: Path):
    trials = [("made up", "same")]
    with pytest.raises(EOFError):
        list(carry_out(trials, tmp_path, jobs=1, until=time.monotonic() + 300, registry="tests.faults.not_there"))


def test_the_last_outcome_of_a_trial_counts_and_a_cut_line_does_not(tmp_path: Path):
    record = Record(tmp_path / "new" / "outcomes.jsonl")
    assert record.read() == {}
    first, last = (Done("images", "PNG 1", Outcome(kind, "said", "how"), 1.5) for kind in (FAILURE, SAME))
    for done in (first, last, Done("images", "PNG 2", Outcome(SAME), 1.0)):
        record.append(done)
    record.path.write_text(record.path.read_text()[:-20])
    assert record.read() == {("images", "PNG 1"): last}


def test_names_of_trials_are_distinct_and_many():
    counts = {name: len(campaign.trials) for name, campaign in CAMPAIGNS.items()}
    assert counts["kills"] == 40 + 8
    assert counts["params"] == 2000
    for campaign in CAMPAIGNS.values():
        assert len(set(campaign.trials)) == len(campaign.trials)


def run(*options: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(command.main, [str(each) for each in options])
    return done.exit_code, done.output


def test_a_run_counts_goes_on_and_names_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    carried: list[object] = []

    def pretend(trials, bases, *, jobs, until):
        carried.append(list(trials))
        for campaign, trial in trials:
            yield Done(campaign, trial, Outcome(FAILURE if trial.endswith(" 3") else SAME, "wrong"), 1.0)

    monkeypatch.setattr(command, "carry_out", pretend)
    options = ("--only", "tables", "--folder", tmp_path)
    assert run(*options, "--trials", 3)[0] == 0
    status, printed = run(*options, "--trials", 6)
    assert carried[1] == [("tables", f"table {number}") for number in (3, 4, 5)]
    assert status == 1
    assert "python -m tests.faults --trial 'tables: table 3'" in printed
    (row,) = (line.split() for line in printed.splitlines() if line.startswith("tables  "))
    assert row[-7:-1] == ["6", "5", "0", "0", "1", "0"]
    assert run("--trial", "tables: table 3", "--folder", tmp_path)[0] == 1
    assert carried[2] == [("tables", "table 3")]
    assert run(*options, "--trials", 2, "--again")[0] == 0
    assert len(carried[3]) == 2


def test_a_trial_that_is_none_is_refused(tmp_path: Path):
    status, printed = run("--trial", "tables: chair 3", "--folder", tmp_path)
    assert status == 2
    assert "no trial 'tables: chair 3'" in printed


@pytest.mark.slow
@pytest.mark.long
def test_a_small_campaign_shows_no_failure(tmp_path: Path):
    """Of kills there are more in tests/test_faults.py."""
    short = [each for name in CAMPAIGNS if name != "kills" for each in ("--only", name)]
    command = [sys.executable, "-m", "tests.faults", *short, "--trials", "1", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (total,) = (line.split() for line in done.stdout.splitlines() if line.startswith("all  "))
    assert int(total[1]) == len(CAMPAIGNS) - 1


def test_a_program_that_an_image_started_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    executed = tmp_path / "executed"
    monkeypatch.setattr(changed_raw_data, "EXECUTED", executed)
    executed.touch()  # of an earlier run
    place = Place(bases=tmp_path, scratch=tmp_path)
    assert run_image("postscript", place).kind == SENTENCE
    monkeypatch.setattr(
        changed_raw_data, "read_pixels", lambda *_, **__: executed.touch() or Decoded(np.zeros((8, 8, 3)), None, 8)
    )
    assert run_image("postscript", place) == Outcome(FAILURE, "it ran a program")
