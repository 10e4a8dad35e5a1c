import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.shared.runtime import bound, console
from stages.shared.runtime import progress as progress_module
from stages.shared.runtime.console import Stopwatch, run_main, stop_on_signals
from stages.shared.runtime.durations import machine, read_durations
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.runtime.processes import is_running
from stages.shared.runtime.progress import progress


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nmii", "did you mean 'nmi' or 'ami'? (known: ami, ari, nmi)"),
        ("am", "did you mean 'ami'? (known: ami, ari, nmi)"),
        ("probe", "choose from ami, ari, nmi"),
    ],
)
def test_nearest_offers_what_resembles_the_name_and_lists_the_known(name: str, message: str):
    assert did_you_mean(name, ["nmi", "ari", "ami"]) == message


def test_nearest_shortens_a_long_list():
    message = did_you_mean("zzz", [f"blocks.{i:03}" for i in range(100)])
    assert "blocks.029" in message
    assert "blocks.030" not in message
    assert message.endswith("and 70 more")


class Clock:
    def __init__(self, *seconds: float) -> None:
        self.seconds = iter(seconds)

    def monotonic(self) -> float:
        return next(self.seconds)


def test_progress_prints_a_plain_line_every_15_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(progress_module, "time", Clock(0, 10, 20, 30, 36, 60))
    assert list(progress("abcde", total=5, what="embed", unit="batch")) == list("abcde")
    lines = ["embed: 2/5 batch, 20 s, about 30 s left", "embed: 4/5 batch, 36 s, about 8 s left"]
    assert capsys.readouterr().err.splitlines() == lines


@pytest.mark.parametrize(("seconds", "told"), [((0, 9, 10, 19, 19), "18 of 19 s"), ((0, 1, 18, 19, 19), "")])
def test_work_that_mostly_waits_for_its_images_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: tuple[float, ...], told: str
):
    monkeypatch.setattr(bound, "time", Clock(*seconds))
    assert list(bound.tell_bound("ab", total=2, what="embed", by="images")) == ["a", "b"]
    assert capsys.readouterr().err == (f"embed: {told} went into waiting for images\n" if told else "")


def test_progress_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(range(3), total=3, what="finetune", unit="step")) == [0, 1, 2]
    assert "finetune:   0%|" in capsys.readouterr().err


def test_the_stopwatch_prints_one_line_and_logs_the_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(console, "time", Clock(100.0, 101.26))
    log = tmp_path / "new" / "durations.jsonl"
    Stopwatch("embed", "handwriting-lite0-0", log).done("12 images", images=12, parameters={"embed": {"dtype": 1}})
    assert capsys.readouterr().out == "embed handwriting-lite0-0: 12 images, 1.3 s\n"
    (row,) = read_durations(log)
    assert (row["stage"], row["cell"], row["seconds"]) == ("embed", "handwriting-lite0-0", 1.26)
    assert (row["images"], row["parameters"]) == (12, {"embed": {"dtype": 1}})
    assert 2**24 < row["memory"] < 2**36
    assert row["machine"] == machine(os.environ)


def test_runs_are_of_one_machine_if_the_same_threads_and_gpus_are_theirs():
    assert machine({"PATH": "/a"}) == machine({})
    assert machine({"OMP_NUM_THREADS": "1"}) != machine({})
    assert machine({"CUDA_VISIBLE_DEVICES": ""}) != machine({})


def test_lines_that_a_full_disk_cut_are_passed_over(tmp_path: Path):
    assert read_durations(tmp_path / "none") == ()
    (tmp_path / "log").write_text('{"stage": "embed", "cell": "c", "seconds": 1.5}\n{"stage": "me')
    assert read_durations(tmp_path / "log") == ({"stage": "embed", "cell": "c", "seconds": 1.5},)


def test_a_log_that_cannot_be_written_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for log in (tmp_path, tmp_path / "file" / "log"):  # a folder; below a file
        (tmp_path / "file").touch()
        Stopwatch("embed", "cell", log).done("1 image")
        out, err = capsys.readouterr()
        assert out.startswith("embed cell: 1 image, 0.")
        assert re.fullmatch(rf"warning: {log}: the duration could not be written \(.+\); the result is whole\n", err)


def test_the_log_is_optional(capsys: pytest.CaptureFixture[str]):
    Stopwatch("embed", "cell", None).done("1 image")
    assert capsys.readouterr().out.startswith("embed cell: 1 image, 0.")


def test_run_main_turns_a_user_error_into_one_message_and_status_2(capsys: pytest.CaptureFixture[str]):
    def main() -> None:
        raise UserError("data: must exist")

    with pytest.raises(SystemExit) as exit_:
        run_main(main)
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "error: data: must exist\n"


def test_a_message_is_made_harmless(capsys: pytest.CaptureFixture[str]):
    def main() -> None:
        raise UserError("datasets.\x1b[2Jx: must exist")

    with pytest.raises(SystemExit):
        run_main(main)
    assert capsys.readouterr().err == "error: datasets.\\x1b[2Jx: must exist\n"


def test_a_path_that_cannot_be_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    for path, said in ((tmp_path / ("a" * 5000), "File name too long"), (tmp_path / "loop", "Too many levels")):
        with pytest.raises(SystemExit) as exit_:
            run_main(lambda path=path: path.read_text())  # type: ignore[misc]
        assert exit_.value.code == 2
        assert f"must be a path that the system accepts, found: {said}" in capsys.readouterr().err


def test_a_main_that_ends_well_exits_with_0():
    with pytest.raises(SystemExit) as exit_:
        run_main(lambda: None)
    assert exit_.value.code == 0


def test_run_main_leaves_other_errors_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: print(1 / 0))


SLEEPER = """
import signal, subprocess, sys, time
from contextlib import ExitStack
from pathlib import Path
from stages.shared.runtime.console import run_main

def main():
    with ExitStack() as stack:
        stack.callback(Path("cleaned").touch)
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(worker.pid, flush=True)
        time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts beside itself ignore it
run_main(main)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_one_line_after_cleaning_up(tmp_path: Path, number: signal.Signals, status: int):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.send_signal(number)
        _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (status, f"stopped by {number.name}\n")
    assert (tmp_path / "cleaned").exists()
    deadline = time.monotonic() + 20  # a busy machine takes a while to end what was killed
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(worker)


READS_ON = """
import asyncio, threading, time
from stages.shared.runtime.console import run_main
from stages.shared.runtime.errors import UserError

async def read():
    await asyncio.sleep(0.5)
    await asyncio.to_thread(print)  # which Python refuses while it ends

async def read_all():
    task = asyncio.create_task(read())
    await asyncio.wait([task])
    del task  # its error was never asked for

def main():
    threading.Thread(target=asyncio.run, args=[read_all()]).start()
    time.sleep(0.2)
    raise UserError("images: must be whole")

run_main(main)
"""


def test_a_library_that_reads_on_adds_nothing_to_the_message():
    done = subprocess.run([sys.executable, "-c", READS_ON], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: images: must be whole\n")


def test_signals_mean_what_they_did_afterwards():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_on_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
