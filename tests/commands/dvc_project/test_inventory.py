import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.lock import LockError as DvcLockError
from dvc.repo import Repo

from stages.commands.dvc_project.inventory import locked, stale_list
from stages.shared.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dvc") / "project"
    folder.mkdir()
    Repo.init(str(folder), no_scm=True).close()
    return folder


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "project"))


@pytest.fixture
def tmp(project: Path) -> Path:
    """DVC's temporary folder."""
    return project / ".dvc" / "tmp"


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def stale_locks(project: Path) -> dict[Path, str]:
    with Repo(str(project)) as repo, locked(repo):
        return stale_list(repo)


def holder(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


@pytest.mark.parametrize("content", [None, "{}", '{"write": {}, "read": {}}'])
def test_no_lock_and_a_free_one_are_no_stale_ones(project: Path, tmp: Path, content: str | None):
    if content is not None:
        (tmp / "rwlock").write_text(content)
    (tmp / "lock").write_text(f" {os.getpid()}\n")  # of zc.lockfile, which ends with its process
    assert stale_locks(project) == {}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_list_of_locks_without_an_end_is_not_read(project: Path, tmp: Path, make: Callable[[Path], None]):
    (tmp / "rwlock").unlink(missing_ok=True)
    make(tmp / "rwlock")
    assert stale_locks(project) == {tmp / "rwlock": "no regular file"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b'{"wri', "no list of locks"),
        (b"[]", "no list of locks"),
        (b"[" * 100_000, "no list of locks"),
        (b'{"read": {"a": [5]}}', "no list of locks"),
        (b"\0" * 9, "no list of"),
    ],
)
def test_a_damaged_list_is_found(project: Path, tmp: Path, content: bytes, found: str):
    (tmp / "rwlock").write_bytes(content)
    ((path, problem),) = stale_locks(project).items()
    assert path == tmp / "rwlock"
    assert problem.startswith(found)


def test_holders_that_have_ended_are_found(project: Path, tmp: Path, ended: int):
    (tmp / "rwlock").write_text(json.dumps({"write": {"a": holder(ended)}, "read": {"b": [holder(ended)] * 2}}))
    assert [*stale_locks(project).values()] == [f"entries of processes that have ended ({ended})"]


def test_a_holder_that_runs_is_respected_if_it_is_dvc(project: Path, tmp: Path):
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as running:
        (tmp / "rwlock").write_text(json.dumps({"read": {"a": [holder(running.pid)]}}))
        with pytest.raises(UserError, match=rf"nothing may run .*, found that process {running.pid} does .*wait until"):
            stale_locks(project)
        (tmp / "rwlock").write_text(json.dumps({"read": {"a": [holder(os.getppid())]}}))  # its id was used again
        assert len(stale_locks(project)) == 1
        running.communicate(b"\n")


@pytest.mark.parametrize(
    ("words", "hours"), [(["sh", "-c", "read line", "dvc"], 0), ([sys.executable, "-c", "input()", "dvc"], 1)]
)
def test_another_process_under_the_number_of_one_that_has_ended_is_not_waited_for(
    project: Path, tmp: Path, words: list[str], hours: int
):
    """One that is no DVC, as `vim dvc.yaml`, or that began after the list was written."""
    with subprocess.Popen(words, stdin=subprocess.PIPE) as running:
        (tmp / "rwlock").write_text(json.dumps({"read": {"a": [holder(running.pid)]}}))
        written = time.time() - 3600 * hours
        os.utime(tmp / "rwlock", (written, written))
        assert len(stale_locks(project)) == 1
        running.communicate(b"\n")


def test_dvc_is_kept_out_meanwhile(project: Path):
    with Repo(str(project)) as repo, Repo(str(project)) as other:
        with locked(repo), pytest.raises(DvcLockError):
            other.lock.lock()
        with (
            other.lock,
            pytest.raises(UserError, match=r"nothing may run .*, found that DVC does; wait .*, or remove that file"),
            locked(repo),
        ):
            pass
        with other.lock:
            pass
