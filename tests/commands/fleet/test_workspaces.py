"""Folders of workers: what is removed, what is kept, and what is left alone since it may be another user's."""

import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.commands.fleet import workspaces


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a killed worker left in the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "whichlayer-fleet-left"
    (folder / "data").mkdir(parents=True)
    (folder / workspaces.HELD).touch()
    return folder


def test_what_a_killed_worker_left_is_removed_and_what_is_at_work_stays(tmp_path: Path, left: Path):
    with workspaces.own_workspace() as first:
        assert not left.exists()
        with workspaces.own_workspace() as second:
            assert first.is_dir()
            assert second.is_dir()
            assert second != first
    assert list(tmp_path.iterdir()) == []


def make_link_to_a_file(left: Path) -> None:
    (left / workspaces.HELD).unlink()
    (left / workspaces.HELD).symlink_to(left.parent / "made")


def make_fifo(left: Path) -> None:
    (left / workspaces.HELD).unlink()
    os.mkfifo(left / workspaces.HELD)


def make_link_to_a_folder(left: Path) -> None:
    left.rename(left.parent / "folder")
    left.symlink_to(left.parent / "folder")


@pytest.mark.parametrize(
    "change",
    [make_link_to_a_file, make_fifo, make_link_to_a_folder, lambda left: left.chmod(0o777), Path.is_dir],
    ids=["link", "fifo", "link to a folder", "writable by all", "another user's"],
)
def test_nothing_is_opened_in_what_may_be_another_user_s(
    left: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
):
    """Everybody may make folders of these names in the folder of temporary files."""
    change(left)
    before = sorted(left.parent.rglob("*"))
    if change is Path.is_dir:
        monkeypatch.setattr(os, "getuid", lambda: left.lstat().st_uid + 1)
    workspaces.remove_left_workspaces()
    assert sorted(left.parent.rglob("*")) == before


def test_a_workspace_that_is_written_to_while_it_is_removed_is_removed_once_that_ends(
    left: Path, monkeypatch: pytest.MonkeyPatch
):
    remove, writes = shutil.rmtree, iter([True, True, False])

    def remove_under_a_writer(folder: Path, **options: bool) -> None:
        remove(folder, **options)
        if next(writes):
            (folder / "data").mkdir(parents=True)  # and no file that is held

    monkeypatch.setattr(shutil, "rmtree", remove_under_a_writer)
    workspaces.remove_left_workspaces()
    assert left.exists()
    workspaces.remove_left_workspaces(patience=10)
    assert not left.exists()


def write_kept(folder: Path, step: int, files: dict[str, str]) -> None:
    """Keep a point as a training does: files, then the record that names them with their hashes."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    hashes = {name: f"hash {text}" for name, text in files.items()}
    (folder / "resume.json").write_text(json.dumps({"progress": step, "files": hashes}))


def read_kept(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_a_training_keeps_is_copied_whole_and_follows_it(tmp_path: Path):
    source, kept = tmp_path / "data" / ".weights.partial-7-7", tmp_path / "kept"
    unfinished = "data/.weights.partial-"
    workspaces.keep_training(tmp_path, unfinished, kept)
    assert not kept.exists()
    write_kept(source, 1, {"weights/a": "A", "state_1": "one"})
    (source / "half").write_text("not yet named")
    workspaces.keep_training(tmp_path, unfinished, kept)
    (source / "half").unlink()
    assert read_kept(kept) == read_kept(source)
    (kept / "weights" / "a").write_text("copied before")
    (source / "state_1").unlink()
    write_kept(source, 2, {"weights/a": "A", "weights/b": "B", "state_2": "two"})
    workspaces.keep_training(tmp_path, unfinished, kept)
    assert read_kept(kept) == {**read_kept(source), "weights/a": "copied before"}  # no file is copied twice
    before = read_kept(kept)
    write_kept(source, 3, {"weights/a": "A", "weights/b": "B", "state_3": "three"})
    (source / "state_3").unlink()  # the training is further
    workspaces.keep_training(tmp_path, unfinished, kept)
    assert read_kept(kept) == before


def cached(workspace: Path) -> dict[str, str]:
    return read_kept(workspace / ".dvc" / "cache" / "files")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine that has the images of a dataset, which a first workspace pulled."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with workspaces.inputs_of_machine(tmp_path / "first", {"outs": "images"}):
        (tmp_path / "first" / ".dvc" / "cache" / "files" / "md5").mkdir(parents=True)
        (tmp_path / "first" / ".dvc" / "cache" / "files" / "md5" / "a").write_text("pulled")
    (folder,) = (tmp_path / "temporary").iterdir()
    return folder


def test_images_that_one_worker_pulled_are_there_for_the_next_and_results_stay_apart(tmp_path: Path, made: Path):
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    (tmp_path / "first" / ".dvc" / "cache" / "files" / "result").write_text("of a cell")
    with workspaces.inputs_of_machine(tmp_path / "second", {"outs": "images"}):
        assert cached(tmp_path / "second") == {"md5/a": "pulled"}
    with workspaces.inputs_of_machine(tmp_path / "third", {"outs": "other images"}):
        assert cached(tmp_path / "third") == {}
    assert len([*made.parent.iterdir()]) == 2


def test_images_that_nobody_used_for_a_day_go_with_the_next_pull(tmp_path: Path, made: Path):
    long_ago = time.time() - 2 * 86400
    os.utime(made, (long_ago, long_ago))
    with workspaces.inputs_of_machine(tmp_path / "second", {"outs": "other images"}):
        assert not made.exists()


def test_a_folder_of_images_that_others_may_write_to_is_neither_read_nor_removed(tmp_path: Path, made: Path):
    made.chmod(0o777)
    with workspaces.inputs_of_machine(tmp_path / "second", {"outs": "images"}):
        assert cached(tmp_path / "second") == {}
        (tmp_path / "second" / ".dvc" / "cache" / "files").mkdir(parents=True)
        (tmp_path / "second" / ".dvc" / "cache" / "files" / "b").write_text("pulled again")
    assert read_kept(made / "files") == {"md5/a": "pulled"}
