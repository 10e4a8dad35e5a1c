"""Archives: listed where they lie, unpacked when a first file is read, and nothing of that left at the end."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.prepare.archives import open_archive
from stages.shared.runtime.errors import UserError, explain_system_error
from tests.faults import archives
from tests.faults.archives import FILES, write_archive

SUFFIXES = [".zip", *archives.TAR_MODES]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, in which the test runs."""
    (tmp_path / "project" / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def unpacked(project: Path) -> list[str]:
    """List what is unpacked in a project."""
    return [path.name for path in project.rglob("*") if path.is_file()]


def read(path: Path) -> dict[str, bytes]:
    with ExitStack() as resources:
        files = open_archive(path, resources)
        return {name: files.content(name)() for name in files.paths}


def write_links(path: Path, *links: tuple[bytes, str, str]) -> Path:
    """Write a tar archive of FILES and links, or other members: (kind, name, target)."""
    with tarfile.open(path, "w") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for kind, name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_archive_gives_its_files_and_leaves_nothing(project: Path, suffix: str):
    path = write_archive(project.parent / f"x{suffix}")
    with ExitStack() as resources:
        files = open_archive(path, resources)
        assert files.paths == tuple(FILES)
        assert unpacked(project) == []
        assert {name: files.read(name) for name in files.paths} == FILES
        assert sorted(unpacked(project)) == sorted(Path(name).name for name in FILES)
    assert [*project.rglob("*")] == [project / ".dvc", project / ".dvc" / "tmp"]


def test_an_error_leaves_nothing(project: Path):
    resources = ExitStack()
    open_archive(write_archive(project.parent / "x.tar"), resources).read("a/1.png")
    resources.__exit__(RuntimeError, RuntimeError(), None)
    assert unpacked(project) == []


def test_what_a_killed_run_unpacked_is_removed_by_the_next(project: Path):
    path = write_archive(project.parent / "x.tar")
    code = f"""
import os, signal
from contextlib import ExitStack
from pathlib import Path
from stages.prepare.archives import open_archive
open_archive(Path({str(path)!r}), ExitStack()).read("a/1.png")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(unpacked(project)) == len(FILES)
    assert read(path) == FILES
    assert unpacked(project) == []


def test_nothing_is_unpacked_where_there_is_no_room(project: Path, monkeypatch: pytest.MonkeyPatch):
    path, size = write_archive(project.parent / "x.zip"), sum(map(len, FILES.values()))
    for free in (size, size - 1):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        if free == size:
            assert read(path) == FILES
            continue
        with pytest.raises(UserError, match=rf"x\.zip: must have room to be unpacked, {size} bytes, found {free} free"):
            read(path)
        assert unpacked(project) == []


def test_a_zip_archive_may_have_something_before_it_and_backslashes(tmp_path: Path):
    path = archives.write_zip(tmp_path / "x.zip", {name.replace("/", "\\"): FILES[name] for name in FILES})
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read(path) == FILES


def test_links_inside_a_tar_are_read(tmp_path: Path):
    links = [(tarfile.SYMTYPE, "b/5.png", "../a/1.png"), (tarfile.LNKTYPE, "b/6.png", "a/2.png")]
    found = read(write_links(tmp_path / "x.tar", *links))
    assert found == {**FILES, "b/5.png": FILES["a/1.png"], "b/6.png": FILES["a/2.png"]}


def test_hidden_files_are_left_out_and_hidden_folders_named(tmp_path: Path):
    hidden = {".cats/1.png": b"1", "a/.old/deep/1.png": b"1", "__MACOSX/.x/1.png": b"1", "a/._1.png": b"1"}
    for suffix in (".zip", ".tar"):
        with ExitStack() as resources:
            files = open_archive(write_archive(tmp_path / f"x{suffix}", {**FILES, **hidden}), resources)
            assert files.hidden == (".cats", "a/.old")
            assert files.paths == tuple(FILES)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png"])
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_members_that_point_outside_are_refused(tmp_path: Path, suffix: str, name: str):
    with pytest.raises(UserError, match=rf"x\{suffix}: member .*evil.* points outside"):
        read(write_archive(tmp_path / f"x{suffix}", {name: b"x"}))


@pytest.mark.parametrize(
    "member",
    [
        (tarfile.SYMTYPE, "a/link.png", "../../etc/passwd"),
        (tarfile.SYMTYPE, "a/link.png", "/etc/passwd"),
        (tarfile.LNKTYPE, "a/link.png", "../x"),
        (tarfile.SYMTYPE, "a/link.png", "link.png"),
        (tarfile.FIFOTYPE, "a/link.png", ""),
        (tarfile.CHRTYPE, "a/link.png", ""),
    ],
)
def test_links_that_lead_out_and_devices_are_never_read(tmp_path: Path, member: tuple[bytes, str, str]):
    with pytest.raises((UserError, OSError), match=r"x\.tar: the archive cannot be read \(.*link\.png|symbolic links"):
        read(write_links(tmp_path / "x.tar", member))


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_file_that_is_there_twice_is_reported(tmp_path: Path, suffix: str):
    path = write_archive(tmp_path / f"x{suffix}", {"a/1.png": b"1", "a/./1.png": b"2"})
    with pytest.raises(UserError, match=r"member 'a/1\.png' is there twice; repack the archive"):
        read(path)


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar_archive(tmp_path: Path):
    path = archives.write_tar(tmp_path / "x.tar")
    content = path.read_bytes()
    path.write_bytes(archives.flip(content, content.index(b"b/3.png")))
    with pytest.raises(UserError, match=r"cannot be read .*a header is damaged"):
        read(path)
    path.write_bytes(content + content)
    with pytest.raises(UserError, match="there is more after its end mark"):
        read(path)


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(suffix=st.sampled_from(SUFFIXES), seed=st.integers(0, 2**32))
def test_a_damaged_archive_is_an_error_or_gives_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int
):
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(archives.damaged(write_archive(path).read_bytes(), seed))
    try:
        found = read(path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017 (which of the two depends on the damage)
        return
    if suffix == ".tar":  # its contents have no checksum, and without its last members it is one as well
        assert set(found) <= set(FILES)
    else:
        assert found == FILES


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), r"/x\.[\w.]+: not enough memory; free some"),
        (OSError(errno.ENOSPC, "x", "/a/1.png"), "^/a/1.png: there is no room left to write"),
    ],
)
def test_what_the_machine_lacks_is_no_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, error: Exception, said: str
):
    def fail(*_: object, **__: object) -> None:
        raise error

    for name in ("zipfile.ZipFile.extractall", "tarfile.TarFile.extractall"):
        monkeypatch.setattr(name, fail)
    with pytest.raises(type(error)) as caught:
        read(write_archive(tmp_path / f"x{suffix}"))
    assert re.search(said, explain_system_error(caught.value) or "")
    if hasattr(error, "__notes__"):
        del error.__notes__


def test_an_encrypted_zip_archive_is_one_sentence(tmp_path: Path):
    path = archives.write_zip(tmp_path / "x.zip", compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip: the archive cannot be read \(.*encrypted"):
        read(path)
