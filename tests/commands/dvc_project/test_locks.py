import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.config import Config
from dvc.lock import HardlinkLock
from dvc.lock import LockError as DvcLockError
from dvc.repo import Repo

from stages.commands.dvc_project.locks import StaleLock, locked
from stages.shared.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

HOLD = """
import os, sys
from dvc.lock import make_lock
make_lock(sys.argv[1], tmp_dir=os.path.dirname(sys.argv[1]), hardlink_lock=True).lock()
print("held", flush=True)
input()
"""


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


def stale_locks(project: Path) -> list[StaleLock]:
    with Repo(str(project)) as repo, locked(repo) as locks:
        return locks


def holder(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


@pytest.mark.parametrize("content", [None, "{}", '{"write": {}, "read": {}}'])
def test_no_lock_and_a_free_one_are_no_stale_ones(project: Path, tmp: Path, content: str | None):
    if content is not None:
        (tmp / "rwlock").write_text(content)
    (tmp / "lock").write_text(f" {os.getpid()}\n")  # of zc.lockfile, which ends with its process
    assert stale_locks(project) == []


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
def test_a_damaged_list_is_found(project: Path, tmp: Path, content: bytes, found: str):
    (tmp / "rwlock").write_bytes(content)
    (lock,) = stale_locks(project)
    assert lock.path == tmp / "rwlock"
    assert lock.problem.startswith(found)


def test_holders_that_have_ended_are_found(project: Path, tmp: Path, ended: int):
    (tmp / "rwlock").write_text(json.dumps({"write": {"a": holder(ended)}, "read": {"b": [holder(ended)] * 2}}))
    assert [lock.problem for lock in stale_locks(project)] == [f"entries of processes that have ended ({ended})"]


def test_a_holder_that_runs_is_respected_if_it_is_dvc(project: Path, tmp: Path):
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as running:
        (tmp / "rwlock").write_text(json.dumps({"read": {"a": [holder(running.pid)]}}))
        with pytest.raises(UserError, match=rf"nothing may run .*, found that process {running.pid} does .*wait until"):
            stale_locks(project)
        (tmp / "rwlock").write_text(json.dumps({"read": {"a": [holder(os.getppid())]}}))  # its id was used again
        assert len(stale_locks(project)) == 1
        running.communicate(b"\n")


@contextmanager
def held(lock: Path, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a folder that holds a hard-link lock, and is killed."""
    command = [sys.executable, "-c", HOLD, str(lock), *words]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def use_hard_links(project: Path) -> None:
    with Config(str(project / ".dvc")).edit() as config:
        config["core"]["hardlink_lock"] = True


@pytest.mark.parametrize("name", ["lock", "rwlock.lock"])
def test_a_hard_link_of_a_killed_process_is_found_and_removed_with_its_claim(project: Path, tmp: Path, name: str):
    use_hard_links(project)
    with held(tmp / name, project):
        pass
    assert len(list(tmp.glob("*.lock"))) == (1 if name == "lock" else 2)
    (lock,) = stale_locks(project)
    assert lock.path == tmp / name
    assert (tmp / name).is_file()
    lock.remove()
    assert not list(tmp.glob("*lock"))
    assert stale_locks(project) == []


def test_a_hard_link_that_was_made_since_stays(project: Path, tmp: Path):
    use_hard_links(project)
    with held(tmp / "lock", project):
        pass
    (lock,) = stale_locks(project)
    (tmp / "lock").unlink()
    with held(tmp / "lock", project):
        lock.remove()
    assert (tmp / "lock").is_file()


def test_a_lock_of_the_other_kind_keeps_dvc_out_and_is_found(project: Path, tmp: Path):
    """A file of zc.lockfile stays when it is released, and is no lock to DVC until hard links are asked for."""
    assert stale_locks(project) == []
    assert (tmp / "lock").is_file()
    use_hard_links(project)
    assert [lock.path.name for lock in stale_locks(project)] == ["lock"]


def test_a_hard_link_is_respected_while_dvc_works_in_the_project(project: Path, tmp: Path, tmp_path: Path):
    use_hard_links(project)
    message = r"lock: nothing may run .*, found that process \d+ does"
    with held(tmp / "lock", project, "dvc"), pytest.raises(UserError, match=message):
        stale_locks(project)
    with held(tmp_path / "lock", tmp_path, "dvc"):  # of another project
        assert [lock.path.name for lock in stale_locks(project)] == ["lock"]


@pytest.mark.parametrize("linked", [False, True])
def test_dvc_is_kept_out_meanwhile(project: Path, linked: bool):
    if linked:
        use_hard_links(project)
    with Repo(str(project)) as repo, Repo(str(project)) as other:
        assert isinstance(other.lock, HardlinkLock) == linked
        with locked(repo), pytest.raises(DvcLockError):
            other.lock.lock()
        with other.lock:
            pass
