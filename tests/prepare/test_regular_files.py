import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.prepare.raw_files import check_regular, read_file
from stages.shared.runtime.errors import UserError


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "cats").mkdir(parents=True)
    (tmp_path / "raw" / "cats" / "1.png").touch()
    return tmp_path / "raw"


def test_files_folders_and_links_to_files_are_regular(raw: Path, tmp_path: Path):
    (tmp_path / "elsewhere").touch()
    (raw / "cats" / "2.png").symlink_to(tmp_path / "elsewhere")
    (raw / "cats" / "lost.png").symlink_to("nowhere")
    (raw / "cats" / "self.png").symlink_to("self.png")
    (tmp_path / "link").symlink_to(raw)
    for path in (raw, tmp_path / "link", raw / "cats" / "1.png", tmp_path / "not_there"):
        check_regular(path)


@pytest.mark.parametrize(("target", "said"), [("2.png", "Too many levels"), ("nowhere", "No such file")])
def test_links_that_lead_nowhere_may_be_refused(raw: Path, target: str, said: str):
    (raw / "cats" / "2.png").symlink_to(target)
    with pytest.raises(UserError, match=rf"cats/2\.png: is a link to {target}: {said}.*; remove it"):
        check_regular(raw, for_dvc=True)


@pytest.mark.parametrize("name", ["pipe", ".hidden", "cats/1.jpg"])
def test_a_pipe_is_refused_without_opening_it(raw: Path, name: str):
    os.mkfifo(raw / name)
    with pytest.raises(UserError, match=rf"raw/{name}: must be a regular file, found a named pipe; remove it"):
        check_regular(raw)


def test_a_link_to_a_device_is_refused(raw: Path):
    (raw / "cats" / "2.png").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"cats/2.png: .*found a device, through a link to /dev/zero; remove it"):
        check_regular(raw)


def test_a_socket_is_refused(raw: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(raw)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    with pytest.raises(UserError, match="socket: must be a regular file, found a socket"):
        check_regular(Path())


@contextmanager
def within_seconds(seconds: int):
    """Interrupt whoever waits for a pipe."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits"))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_pipe_is_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "1.png")
    with within_seconds(10), pytest.raises(UserError, match=r"1\.png: must be a regular file, found a named pipe"):
        read_file(tmp_path / "1.png")


def test_what_is_a_pipe_by_the_time_that_it_is_opened_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "before").touch()
    regular = (tmp_path / "before").stat()
    os.mkfifo(tmp_path / "1.png")
    monkeypatch.setattr(Path, "stat", lambda self, **_: regular)
    with within_seconds(10), pytest.raises(UserError, match=r"1\.png: must be a regular file, found a named pipe"):
        read_file(tmp_path / "1.png")


def test_a_device_without_end_is_not_read(tmp_path: Path):
    (tmp_path / "1.png").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="found a device, through a link to /dev/zero"):
        read_file(tmp_path / "1.png")


def test_of_a_file_that_grows_as_much_is_read_as_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "1.png").write_bytes(b"abc")
    before = (tmp_path / "1.png").stat()
    (tmp_path / "1.png").write_bytes(b"abcdef")
    monkeypatch.setattr(os, "fstat", lambda _: before)
    assert read_file(tmp_path / "1.png") == b"abc"


def test_raw_data_that_are_a_pipe_are_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "raw")
    with pytest.raises(UserError, match="raw: must be a regular file, found a named pipe"):
        check_regular(tmp_path / "raw")


@pytest.mark.parametrize("source", ["folder", "table, table: list.csv", "handwriting, train: 1, test: 2, unseen: 2"])
def test_the_stage_does_not_wait_for_a_pipe(raw: Path, tmp_path: Path, source: str, write_params):
    os.mkfifo(raw / "source.json")
    params = write_params(f"{{source: {source}, image_size: 16}}")
    paths = ["--raw", raw, "--out", tmp_path / "out", "--thumbnails", tmp_path / "small", "--params", params]
    command = [sys.executable, "-m", "stages.prepare", "--dataset", "mine", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "source.json: must be a regular file, found a named pipe" in done.stderr


@pytest.mark.parametrize("name", ["dvc.yaml", "cats/dvc.yaml", "cats/1.png.dvc", ".hidden/.dvcignore", "cats/.dvc"])
def test_files_that_dvc_takes_for_its_own_are_refused_where_it_would_find_them(raw: Path, tmp_path: Path, name: str):
    (raw / name).parent.mkdir(exist_ok=True)
    (raw / name).touch()
    (raw / "notes_on_dvc.yaml").touch()
    with pytest.raises(UserError, match=rf"raw/{name}: must not lie in a raw folder: DVC takes"):
        check_regular(raw, for_dvc=True)
    check_regular(raw)
    (tmp_path / "link").symlink_to(raw)  # DVC follows no link to a folder, and the folder may be its own repository
    check_regular(tmp_path / "link", for_dvc=True)
