"""Folders of workers: what is removed, what is kept, and what is left alone since it may be another user's."""

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


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine that has the images of a dataset, which a first worker pulled."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with workspaces.inputs_of_machine({"outs": "images"}) as folder:
        (Path(folder) / "pulled").touch()
    return Path(folder)


def test_images_that_one_worker_pulled_are_there_for_the_next(made: Path):
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    with workspaces.inputs_of_machine({"outs": "images"}) as folder:
        assert Path(folder) == made
        assert (made / "pulled").is_file()
    with workspaces.inputs_of_machine({"outs": "other images"}) as folder:
        assert [path.name for path in Path(folder).iterdir()] == [workspaces.HELD]
    assert len([*made.parent.iterdir()]) == 2


def test_images_that_nobody_used_for_a_day_go_with_the_next_pull(made: Path):
    long_ago = time.time() - 2 * 86400
    os.utime(made, (long_ago, long_ago))
    with workspaces.inputs_of_machine({"outs": "other images"}):
        assert not made.exists()


def test_a_folder_of_images_that_others_may_write_to_is_neither_used_nor_removed(made: Path):
    made.chmod(0o777)
    with workspaces.inputs_of_machine({"outs": "images"}) as folder:
        assert folder == ""
    assert (made / "pulled").is_file()
