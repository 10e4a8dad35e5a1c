"""The files of a folder, of the archive that it holds, and of links to either."""

from types import SimpleNamespace

import pytest

from stages.prepare.raw_data import open_raw
from stages.shared.runtime.errors import UserError
from tests.faults.archives import write_archive

FILES = {"a/1.png": b"one", "a/2.png": b"two", "b/3.png": b"three" * 2**18}


def write_files(root):
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def contents(files):
    return {path: files.content(path)() for path in files.paths}


def test_reads_a_folder(tmp_path, resources):
    assert contents(open_raw(write_files(tmp_path), resources)) == FILES


def test_reads_the_one_archive_of_a_folder(tmp_path, resources):
    write_archive(tmp_path / "x.tar", FILES)
    (tmp_path / "source.json").write_text("{}")
    (tmp_path / "README.md").write_text("about")
    assert contents(open_raw(tmp_path, resources)) == FILES
    write_archive(tmp_path / "y.zip", FILES)
    with pytest.raises(UserError, match=r"must hold one archive, found x\.tar, y\.zip"):
        open_raw(tmp_path, resources)


def test_an_archive_beside_folders_and_hidden_files_is_a_file_like_others(tmp_path, resources):
    write_archive(tmp_path / "x.tar", FILES)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "circle.zip").symlink_to("circle.zip")
    assert contents(open_raw(tmp_path, resources)) == FILES
    (tmp_path / "a").mkdir()
    assert "x.tar" in open_raw(tmp_path, resources).paths


def test_follows_links_to_a_folder_an_archive_and_files_within(tmp_path, resources):
    write_files(tmp_path / "data")
    write_archive(tmp_path / "x.zip", FILES)
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
    for name in (".DS_Store", "a/._1.png", "a/Thumbs.db", "source.json", ".cats/1.png", "a/.old/deep/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    files = open_raw(tmp_path, resources)
    assert files.paths == tuple(FILES)
    assert files.hidden == (".cats", "a/.old")


def test_what_is_missing_or_empty_is_named(tmp_path, resources):
    with pytest.raises(UserError, match=r"nowhere: no such folder or archive.*ln -s"):
        open_raw(tmp_path / "nowhere", resources)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: must hold images, found no file"):
        open_raw(tmp_path / "empty", resources)
    with pytest.raises(UserError, match=r"x\.tar: must hold images, found no file"):
        open_raw(write_archive(tmp_path / "x.tar", {}), resources)
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UserError, match="must be a folder or an archive"):
        open_raw(tmp_path / "file.txt", resources)


def test_a_file_of_more_bytes_than_memory_has_is_not_read(tmp_path, resources, monkeypatch):
    files = open_raw(write_files(tmp_path), resources)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**20 - 1))
    assert files.read("a/1.png") == b"one"
    with pytest.raises(UserError, match=r"b/3\.png: must fit in the memory that is free, found 1310720 bytes"):
        files.read("b/3.png")
