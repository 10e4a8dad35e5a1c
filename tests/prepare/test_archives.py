import errno
import random
import re
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.prepare.limits import LimitsParams, Resources
from stages.prepare.raw_files import open_archive
from stages.shared.runtime.errors import UserError, explain_system_error
from tests.faults import archives
from tests.faults.archives import FILES, MIB, write_archive

MANY = {f"KEY.{number}": "" for number in range(101)}
SUFFIXES = [".zip", *archives.TAR_MODES]


def read(path: Path, **limits: float) -> dict[str, bytes]:
    with Resources(LimitsParams(**limits)) as resources:  # type: ignore[arg-type]
        files = open_archive(path, resources)
        return {name: files.content(name)() for name in files.paths}


def test_every_kind_of_archive_gives_its_files(tmp_path: Path):
    for suffix in SUFFIXES:
        assert read(write_archive(tmp_path / f"x{suffix}")) == FILES


def test_a_zip_archive_may_have_something_before_it(tmp_path: Path):
    archives.write_zip(tmp_path / "x.zip")
    (tmp_path / "x.zip").write_bytes(b"#!/bin/sh\n" + (tmp_path / "x.zip").read_bytes())
    assert read(tmp_path / "x.zip") == FILES


def test_a_tar_archive_that_ends_with_a_zip_archive_is_a_tar_archive(tmp_path: Path):
    inner = archives.write_zip(tmp_path / "inner.zip").read_bytes()
    assert read(archives.write_tar(tmp_path / "x.tar", {"a/1.zip": inner})) == {"a/1.zip": inner}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_limits_are_limits(tmp_path: Path, suffix: str):
    path = write_archive(tmp_path / f"x{suffix}")
    largest = max(map(len, FILES.values()))
    assert (
        read(path, files=len(FILES), file_bytes=largest, ratio=1) == FILES
    )  # a MiB may be unpacked whatever the ratio
    with pytest.raises(UserError, match=r"must have at most 3 files, found more.*prepare\.limits\.files"):
        read(path, files=3)
    with pytest.raises(
        UserError, match=rf"'b/3\.png' must have at most {largest - 1} bytes, found {largest}.*limits\.file_bytes"
    ):
        read(path, file_bytes=largest - 1)


def test_files_and_folders_and_links_all_count(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for number in range(50):
            member = tarfile.TarInfo(f"a{number}")
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
    with pytest.raises(UserError, match="at most 20 files"):
        read(tmp_path / "x.tar", files=20)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (archives.zip_bomb, "x.zip", r"member 'a/bomb\.png': must unpack to at most 200 times its \d+ bytes"),
        (archives.zip_that_lies, "x.zip", "cannot be read .*CRC"),
        (archives.tar_bomb, "x.tar.gz", r"x\.tar\.gz: must unpack to at most 200 times its \d+ bytes, found more"),
        (archives.tar_with_endless_tail, "x.tar.gz", "must unpack to at most 200 times"),
        (lambda path: archives.tar_with_header(path, b"x", 2**33), "x.tar", "cannot be read"),
        (lambda path: archives.tar_with_header(path, b"L", 2**33), "x.tar", "cannot be read"),
        (lambda path: archives.tar_with_header(path, b"0", 2**40), "x.tar", r"'x' must have at most 300000000 bytes"),
        (lambda path: archives.tar_with_header(path, b"0", -512), "x.tar", "cannot be read|a size below 0"),
        (lambda path: archives.tar_with_header(path, b"x", -512), "x.tar", "cannot be read"),
        (lambda path: archives.sparse_tar(path, 2**40), "x.tar", r"'a/1\.png' must have at most 300000000 bytes"),
    ],
)
def test_bombs_are_refused_before_they_fill_memory(
    tmp_path: Path, make: Callable[[Path], Path], name: str, message: str
):
    path = make(tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda path: archives.tar_with_map(path, 200_000), "x.tar", "a header of more than 1048576 bytes"),
        (lambda path: archives.tar_with_map(path, 200_000), "x.tar.gz", "must unpack to at most 200 times"),
        (lambda path: archives.tar_of_empty_files(path, 9000), "x.tar.gz", "must unpack to at most 200 times"),
        (lambda path: archives.tar_of_empty_files(path, 1, **MANY), "x.tar", "or 100 values that all members have"),
        (archives.tar_that_goes_back, "x.tar", r"cannot be read \((a size below 0|invalid offset)\)"),  # as Python says
        (lambda path: archives.tar_with_name(path, "a/" * 101 + "1"), "x.tar", "at most 100 folders in each other"),
        (lambda path: archives.tar_with_name(path, "a" * 5000), "x.tar", "at most 4096 characters, found 5000"),
        (lambda path: archives.tar_with_long_number(path, 10**6), "x.tar", "a number of 50 digits in a header"),
    ],
)
def test_headers_that_take_much_more_than_their_bytes_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], name: str, message: str
):
    path, began = make(tmp_path / name), time.process_time()
    with pytest.raises(UserError, match=message):
        read(path)
    assert time.process_time() - began < 5


def test_holes_of_all_files_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stages.prepare.tar_files.MAX_HOLES", 1000)
    assert len(read(archives.tar_with_map(tmp_path / "x.tar", 1000, members=2))) == 2
    with pytest.raises(UserError, match="more than 1000 holes"):
        read(archives.tar_with_map(tmp_path / "x.tar", 1002, members=2))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_many_links_take_a_time_that_grows_with_their_number(tmp_path: Path, kind: bytes):
    """As a chain, or all to one file: looked for one by one, each would take as long as there are others."""
    archives.tar_of_links(tmp_path / "x.tar", kind, 4000)
    began = time.process_time()
    found = read(tmp_path / "x.tar")
    assert found == dict.fromkeys((f"a/{number}.png" for number in range(4001)), b"one")
    assert time.process_time() - began < 5  # and one by one 8 million comparisons


def test_a_link_to_no_file_is_reported(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind, target in (("b", tarfile.DIRTYPE, ""), ("a/1.png", tarfile.SYMTYPE, "../b")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    with pytest.raises(
        UserError, match=r"x\.tar: member 'a/1\.png' is a link to 'b', which is no file in it; pack the"
    ):
        read(tmp_path / "x.tar")


@pytest.mark.parametrize("suffix", archives.TAR_MODES)
def test_what_tar_writes_is_read(tmp_path: Path, suffix: str):
    path = tmp_path / f"x{suffix}"
    with_holes = archives.tar_with_map(path, 2000, members=2)
    assert read(with_holes) == dict.fromkeys(("a/0.png", "a/1.png"), b"hello" + bytes(5))
    commit = archives.tar_of_empty_files(path, 3, comment="f" * 40)  # as git writes it
    assert read(commit) == {f"a/{number}.png": b"" for number in range(3)}
    deep = "/".join(["a" * 35] * 100) + "/1.png"
    assert read(archives.write_tar(path, {deep: b"1"})) == {deep: b"1"}
    noise = random.Random(0).randbytes(3000 * 100)
    small = {f"class/{number:06}.png": noise[100 * number : 100 * (number + 1)] for number in range(3000)}
    assert read(archives.write_tar(path, small)) == small


def test_of_data_that_is_trusted_the_ratio_may_be_raised(tmp_path: Path):
    files = {"a/1.bmp": bytes(4 * MIB)}
    for name in ("x.zip", "x.tar.gz"):
        path = write_archive(tmp_path / name, files)
        with pytest.raises(UserError, match=r"of data that you trust, set prepare\.limits\.ratio"):
            read(path)
        assert read(path, ratio=2000) == files


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_unpacks_without_a_bound_is_refused(tmp_path: Path, compression: int):
    path = archives.write_zip(tmp_path / "x.zip", compression=compression)
    with pytest.raises(UserError, match=r"member 'a/1\.png' must be stored or deflated"):
        read(path)


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_a_file_that_is_there_twice_is_reported(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("warnings.warn", lambda *_, **__: None)  # Python's, of what is meant here
    path = tmp_path / name
    if name == "x.zip":
        with zipfile.ZipFile(path, "w") as archive:
            for content in (b"1", b"2"):
                archive.writestr("a/1.png", content)
    else:
        with tarfile.open(path, "w") as tar:
            for _ in range(2):
                tar.addfile(tarfile.TarInfo("a/1.png"))
    with pytest.raises(UserError, match=r"x\.\w+: member 'a/1\.png' is there twice; pack the archive again"):
        read(path)


def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar_archive(tmp_path: Path):
    path = archives.write_tar(tmp_path / "x.tar")
    content = path.read_bytes()
    third = content.index(b"b/3.png")
    path.write_bytes(archives.flip(content, third))
    with pytest.raises(UserError, match=r"cannot be read .*a header is damaged"):
        read(path)


def test_files_behind_the_end_mark_of_a_tar_archive_are_not_passed_over(tmp_path: Path):
    one, two = (archives.write_tar(tmp_path / f"{name}.tar", {f"{name}/1.png": b"x"}) for name in "ab")
    one.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(UserError, match="there is more after its end mark"):
        read(one)


def test_hidden_folders_are_named(tmp_path: Path):
    hidden = {".cats/1.png": b"1", "a/.old/deep/1.png": b"1", "__MACOSX/.x/1.png": b"1", "a/._1.png": b"1"}
    for suffix in (".zip", ".tar"):
        with Resources() as resources:
            files = open_archive(write_archive(tmp_path / f"x{suffix}", {**FILES, **hidden}), resources)
            assert files.hidden == (".cats", "a/.old")
            assert files.paths == tuple(FILES)


def test_no_wrong_bit_of_a_zip_archive_gives_other_files(tmp_path: Path):
    path = archives.write_zip(tmp_path / "x.zip", {"a/1.png": b"one", "b/2.png": b"two"})
    content, found = path.read_bytes(), 0
    for position in range(len(content)):
        for bit in range(8):
            path.write_bytes(archives.flip(content, position, bit))
            try:
                assert read(path) == {"a/1.png": b"one", "b/2.png": b"two"}
            except UserError:
                found += 1
    assert found > 4 * len(content)


def test_a_zip_archive_may_have_many_members_and_a_comment(tmp_path: Path):
    files = {f"a/{n}.png": b"" for n in range(2**16 + 3)}
    path = archives.write_zip(tmp_path / "x.zip", files, zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"x" * 65535
    assert len(read(path)) == len(files)


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


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), r"/x\.[\w.]+: not enough memory; free some"),
        (OSError(errno.EMFILE, "x", "/a/x.zip"), "^/a/x.zip: too many files are open; raise the limit"),
        (OSError(errno.EIO, "x"), r"/x\.[\w.]+: could not be read or written, .*check the disk"),
    ],
    ids=["memory", "files", "disk"],
)
def test_what_the_machine_lacks_is_no_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, error: OSError, said: str
):
    path = write_archive(tmp_path / f"x{suffix}")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("zipfile.ZipFile.__init__", fail)
    monkeypatch.setattr("tarfile.open", fail)
    with pytest.raises(type(error)) as caught:
        read(path)
    assert re.search(said, explain_system_error(caught.value) or "")
    del error.__notes__
