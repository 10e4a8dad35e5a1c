"""A stage ends soon after the DVC that started it; here a Python process plays DVC."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stages.shared.runtime import processes
from stages.shared.runtime.processes import ancestor_pids, is_running, orphaned

ROOT = Path(__file__).parents[3]
STAGE = """
import subprocess, sys, time
from pathlib import Path
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path("pids").write_text(f"{__import__('os').getpid()} {worker.pid}")
Path("started").touch()
time.sleep(float(sys.argv[1]))
from stages.shared.runtime.processes import DvcWatch
DvcWatch()
Path("watching").touch()
time.sleep(60)
"""
DVC = """
import subprocess, sys
subprocess.run(sys.argv[1:])
"""


@pytest.fixture
def start(tmp_path: Path):
    """Start a stage below a process that plays DVC; return the two and the stage's worker. All end with the test."""
    started: list[psutil.Process] = []
    parents: list[subprocess.Popen[bytes]] = []

    def start(*command: str, by_dvc: bool = True, delay: float = 0) -> list[psutil.Process]:
        (tmp_path / "stage.py").write_text(STAGE)
        environment = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"} | {"PYTHONPATH": str(ROOT)}
        environment |= {"DVC_STAGE": "measure"} if by_dvc else {}
        run = [*command, f"{sys.executable} stage.py {delay}"] if command else [sys.executable, "stage.py", str(delay)]
        played = [sys.executable, "-c", DVC, *run]
        # a session of its own, as a terminal or a scheduler gives: whoever adopts an orphan is in another one
        parents.append(dvc := subprocess.Popen(played, cwd=tmp_path, env=environment, start_new_session=True))
        ready = tmp_path / ("started" if delay else "watching")
        wait(ready.exists, 30)
        pids = [dvc.pid, *map(int, (tmp_path / "pids").read_text().split())]
        started.extend(map(psutil.Process, pids))
        return started

    yield start
    for process in started:
        if process.is_running():
            process.kill()
    for parent in parents:
        parent.wait()


def wait(until: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("command", [(), ("sh", "-c"), ("bash", "-c", "$0; exit $?")], ids=["direct", "sh", "stays"])
def test_stage_and_workers_end_within_a_second_of_dvc(start, command: tuple[str, ...]):
    dvc, stage, worker = start(*command)
    time.sleep(0.5)
    assert is_running(stage.pid)
    dvc.send_signal(signal.SIGKILL)
    assert wait(lambda: not is_running(stage.pid) and not is_running(worker.pid), 5) < 1


def test_a_stage_whose_dvc_ended_while_it_started_ends(start, tmp_path: Path):
    dvc, stage, worker = start(delay=2)
    dvc.send_signal(signal.SIGKILL)
    wait(lambda: not is_running(stage.pid) and not is_running(worker.pid), 10)
    assert not (tmp_path / "watching").exists()


def test_a_stage_that_a_person_started_goes_on(start):
    shell, stage, worker = start(by_dvc=False)
    shell.send_signal(signal.SIGKILL)
    time.sleep(1)
    assert is_running(stage.pid)
    assert is_running(worker.pid)


def test_the_line_ends_at_the_first_process_that_is_no_shell(monkeypatch: pytest.MonkeyPatch):
    line = ancestor_pids()
    assert line[0] == os.getpid()
    assert line[1] == os.getppid()
    names = [psutil.Process(pid).name() for pid in line[1:]]
    assert set(names[:-1]) <= set(processes.SHELLS)
    assert names[-1] not in processes.SHELLS
    assert not orphaned([os.getpid(), os.getppid()])


@pytest.mark.parametrize("line", [[os.getpid()], [os.getpid(), os.getpid()], [os.getpid(), 2**22 - 1]])
def test_a_line_that_is_broken_means_an_orphan(line: list[int]):
    assert orphaned(line)


def test_a_process_that_ended_is_not_running_even_if_nobody_waited_for_it():
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait(lambda: not is_running(process.pid), 10)
    assert psutil.pid_exists(process.pid)
    process.wait()
    assert not is_running(process.pid)
    assert is_running(os.getpid())
