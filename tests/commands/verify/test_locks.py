import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stages.commands.verify.locks import stale_locks
from stages.shared.console import UserError


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def holder(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


@pytest.mark.parametrize("content", [None, "{}", '{"write": {}, "read": {}}'])
def test_no_lock_and_a_free_one_are_no_stale_ones(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "rwlock").write_text(content)
    (tmp_path / "lock").write_text(f" {os.getpid()}\n")  # of zc.lockfile, which ends with its process
    assert stale_locks(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b'{"wri', "no list of locks"),
        (b"[]", "no list of locks"),
        (b'{"read": {"a": [5]}}', "no list of locks"),
        (b"\0" * 9, "no list of"),
    ],
)
def test_a_damaged_list_is_found(tmp_path: Path, content: bytes, found: str):
    (tmp_path / "rwlock").write_bytes(content)
    (lock,) = stale_locks(tmp_path)
    assert lock.path == tmp_path / "rwlock"
    assert lock.found.startswith(found)


def test_holders_that_have_ended_are_found(tmp_path: Path, ended: int):
    (tmp_path / "rwlock").write_text(json.dumps({"write": {"a": holder(ended)}, "read": {"b": [holder(ended)] * 2}}))
    assert [lock.found for lock in stale_locks(tmp_path)] == [f"entries of processes that have ended ({ended})"]


def test_a_holder_that_runs_is_respected_if_it_is_dvc(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as running:
        (tmp_path / "rwlock").write_text(json.dumps({"read": {"a": [holder(running.pid)]}}))
        with pytest.raises(UserError, match=rf"nothing may run .*, found that process {running.pid} does .*wait until"):
            stale_locks(tmp_path)
        (tmp_path / "rwlock").write_text(json.dumps({"read": {"a": [holder(os.getppid())]}}))  # its id was used again
        assert len(stale_locks(tmp_path)) == 1
        running.communicate(b"\n")


def test_hard_links_of_this_host_are_found(tmp_path: Path, ended: int):
    (tmp_path / "lock").write_text(f"{tmp_path}/lock|{socket.gethostname()}|{ended}|123456\n")
    (tmp_path / "rwlock.lock").write_text(f"{tmp_path}/rwlock.lock|elsewhere|{ended}|123456\n")
    assert [lock.path.name for lock in stale_locks(tmp_path)] == ["lock"]
