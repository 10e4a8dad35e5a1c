import io
import os
import tarfile
import zipfile

import pytest

from stages.prepare.limits import LimitsParams, Resources
from stages.prepare.raw_files import open_raw
from stages.shared.runtime.errors import UserError

FILES = {"a/1.png": b"one", "a/2.png": b"two", "b/3.png": b"three" * 1000}


def write_files(root):
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def write_tar(path, mode="w", files=FILES, links=()):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for kind, name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return path


def write_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def contents(files):
    return {path: files.content(path)() for path in files.paths}


def test_reads_a_folder(tmp_path, resources):
    assert contents(open_raw(write_files(tmp_path), resources)) == FILES


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.tgz", "w:gz"), ("x.tar.bz2", "w:bz2"), ("x.tar.xz", "w:xz")],
)
def test_reads_a_tar(tmp_path, resources, name, mode):
    assert contents(open_raw(write_tar(tmp_path / name, mode), resources)) == FILES


def test_reads_a_zip(tmp_path, resources):
    assert contents(open_raw(write_zip(tmp_path / "x.zip"), resources)) == FILES


def test_reads_the_one_archive_of_a_folder(tmp_path, resources):
    write_tar(tmp_path / "x.tar")
    (tmp_path / "source.json").write_text("{}")
    (tmp_path / "README.md").write_text("about")
    assert contents(open_raw(tmp_path, resources)) == FILES


def test_follows_links_to_a_folder_an_archive_and_files_within(tmp_path, resources):
    write_files(tmp_path / "data")
    write_zip(tmp_path / "x.zip")
    for name, target in (("folder", "data"), ("link", "folder"), ("archive", "x.zip")):
        (tmp_path / name).symlink_to(tmp_path / target)
        assert contents(open_raw(tmp_path / name, resources)) == FILES
    (tmp_path / "data" / "b" / "4.png").symlink_to(tmp_path / "data" / "a" / "1.png")
    assert contents(open_raw(tmp_path / "folder", resources)) == {**FILES, "b/4.png": b"one"}


@pytest.mark.parametrize("link", ["c", "b/deep", "b/back"])
def test_links_to_folders_within_are_refused(tmp_path, resources, link):
    """DVC records nothing of what lies behind them."""
    write_files(tmp_path / "data")
    (tmp_path / "mine").symlink_to(tmp_path / "data")
    target = tmp_path / "data" if link == "b/back" else tmp_path / "data" / "a"
    (tmp_path / "data" / link).symlink_to(target)
    for raw in (tmp_path / "data", tmp_path / "mine"):
        with pytest.raises(UserError) as error:
            open_raw(raw, resources)
        assert f"{raw}/{link}: must not be a link to a folder, found one to {target}:" in str(error.value)
        assert f"link {raw} as a whole" in str(error.value)


def test_a_repository_of_dvc_within_is_refused(tmp_path, resources):
    write_files(tmp_path)
    (tmp_path / ".dvc").mkdir()
    open_raw(tmp_path, resources)
    (tmp_path / "a" / ".dvc").mkdir()
    with pytest.raises(UserError, match=r"/a: must not be a DVC repository of its own"):
        open_raw(tmp_path, resources)


def test_a_link_to_itself_or_to_nothing_is_no_link_to_a_folder(tmp_path, resources):
    write_files(tmp_path)
    (tmp_path / "a" / "loop.png").symlink_to("loop.png")
    (tmp_path / "a" / "gone.png").symlink_to("nowhere.png")
    assert set(open_raw(tmp_path, resources).paths) == {*FILES, "a/loop.png", "a/gone.png"}


def test_hidden_files_and_clutter_are_left_out(tmp_path, resources):
    write_files(tmp_path)
    for name in (".DS_Store", "a/._1.png", "a/Thumbs.db", "source.json"):
        (tmp_path / name).write_bytes(b"x")
    assert open_raw(tmp_path, resources).paths == tuple(FILES)
    clutter = {**FILES, "__MACOSX/a/1.png": b"x", "a/.hidden": b"x", "./b/4.png": b"four"}
    assert contents(open_raw(write_zip(tmp_path / "x.zip", clutter), resources)) == {**FILES, "b/4.png": b"four"}


def test_links_inside_a_tar_are_read(tmp_path, resources):
    links = [(tarfile.SYMTYPE, "b/4.png", "../a/1.png"), (tarfile.LNKTYPE, "b/5.png", "a/2.png")]
    files = open_raw(write_tar(tmp_path / "x.tar", links=links), resources)
    assert files.content("b/4.png")() == b"one"
    assert files.content("b/5.png")() == b"two"


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_members_that_point_outside_are_refused(tmp_path, resources, name):
    for archive in (write_tar(tmp_path / "x.tar", files={name: b"x"}), write_zip(tmp_path / "x.zip", {name: b"x"})):
        with pytest.raises(UserError, match=r"x\.(tar|zip): member .*evil.* points outside"):
            open_raw(archive, resources)


@pytest.mark.parametrize(
    ("kind", "target"),
    [(tarfile.SYMTYPE, "../../etc/passwd"), (tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../x")],
)
def test_links_that_point_outside_are_refused(tmp_path, resources, kind, target):
    with pytest.raises(UserError, match="points outside"):
        open_raw(write_tar(tmp_path / "x.tar", links=[(kind, "a/link.png", target)]), resources)


def test_devices_are_refused(tmp_path, resources):
    with pytest.raises(UserError, match="'pipe' is neither a file"):
        open_raw(write_tar(tmp_path / "x.tar", links=[(tarfile.FIFOTYPE, "pipe", "")]), resources)


@pytest.mark.parametrize("keep", [100, 512, 900, 1024, 2000, 5000])
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_a_truncated_archive_is_named(tmp_path, resources, name, keep):
    files = {path: os.urandom(3000) for path in FILES}
    path = tmp_path / name
    write_zip(path, files) if name == "x.zip" else write_tar(path, "w:gz" if name.endswith("gz") else "w", files)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=rf"{name}: the archive cannot be read"):
        contents(open_raw(path, resources))


def test_what_is_missing_or_empty_is_named(tmp_path, resources):
    with pytest.raises(UserError, match=r"nowhere: no such folder or archive.*ln -s"):
        open_raw(tmp_path / "nowhere", resources)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: must hold images, found no file"):
        open_raw(tmp_path / "empty", resources)
    with pytest.raises(UserError, match=r"x\.tar: must hold images, found no file"):
        open_raw(write_tar(tmp_path / "x.tar", files={}), resources)
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UserError, match="must be a folder or an archive"):
        open_raw(tmp_path / "file.txt", resources)


def test_several_archives_are_refused(tmp_path, resources):
    write_tar(tmp_path / "x.tar")
    write_zip(tmp_path / "y.zip")
    with pytest.raises(UserError, match=r"must hold one archive, found x\.tar, y\.zip"):
        open_raw(tmp_path, resources)


@pytest.mark.parametrize(
    "links",
    [
        [(tarfile.SYMTYPE, "a/x.png", "../b/y.png"), (tarfile.SYMTYPE, "b/y.png", "../a/x.png")],
        [(tarfile.SYMTYPE, "a/x.png", "x.png")],
        [(tarfile.LNKTYPE, "a/x.png", "a/x.png")],
        [(tarfile.SYMTYPE, "b/z.png", "y.png"), (tarfile.SYMTYPE, "b/y.png", "./y.png")],
    ],
)
def test_links_in_a_circle_are_refused(tmp_path, resources, links):
    with pytest.raises(UserError, match=r"x\.tar: member '[ab]/[xyz]\.png' is a link in a circle; pack the files"):
        open_raw(write_tar(tmp_path / "x.tar", links=links), resources)


@pytest.mark.parametrize(("ending", "mode"), [("gz", "w:gz"), ("bz2", "w:bz2"), ("xz", "w:xz")])
def test_one_wrong_bit_in_a_compressed_archive_is_found(tmp_path, resources, ending, mode):
    files = {path: os.urandom(3000) for path in FILES}
    path = write_tar(tmp_path / f"x.tar.{ending}", mode, files)
    whole = path.read_bytes()
    found = 0
    for position in range(10, len(whole), 97):  # behind the time and name in gzip's header, which nothing covers
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            assert contents(open_raw(path, resources)) == files
        except UserError as error:
            assert "the archive cannot be read" in str(error)  # noqa: PT017 (which of the two depends on the byte)
            found += 1
    assert found > 0.9 * len(range(10, len(whole), 97))


def test_a_file_of_more_bytes_than_the_limit_is_not_read(tmp_path):
    write_files(tmp_path)
    with Resources(LimitsParams(file_bytes=5000)) as resources:
        files = open_raw(tmp_path, resources)
        assert len(files.content("b/3.png")()) == 5000
    (tmp_path / "b" / "3.png").write_bytes(bytes(5001))
    with pytest.raises(OSError, match=r"more than 5000 bytes, prepare\.limits\.file_bytes"):
        files.content("b/3.png")()


def test_hidden_folders_of_a_folder_are_named(tmp_path, resources):
    write_files(tmp_path)
    for name in (".cats/1.png", "a/.old/deep/1.png", "a/._1.png", ".DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert open_raw(tmp_path, resources).hidden == (".cats", "a/.old")
