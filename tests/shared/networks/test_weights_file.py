"""Files of weights: regular ones alone, and those whose content the entry says."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from stages.shared.networks.params import WeightsParams, check_file
from stages.shared.runtime.errors import UserError

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def entry(path: Path, sha256: str | None = DIGEST) -> WeightsParams:
    return WeightsParams(source="file", path=str(path), sha256=sha256)


@pytest.mark.parametrize("digits", [8, 16, 64])
def test_a_file_is_known_by_the_head_of_its_hash(digits: int, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT)
    assert check_file(entry(path, DIGEST[:digits])) == path


def test_without_a_hash_the_message_gives_the_line_to_add(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT)
    with pytest.raises(UserError, match=rf'weights\.sha256 is missing: .*w\.pth holds; .*: sha256: "{DIGEST[:16]}"$'):
        check_file(entry(path, None))


def test_another_file_under_the_same_name_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT + b"!")
    found = hashlib.sha256(CONTENT + b"!").hexdigest()[:16]
    with pytest.raises(UserError, match=rf'must have a SHA-256 that begins with {DIGEST}, found {found}.*"{found}"'):
        check_file(entry(path))


@pytest.mark.parametrize("kind", ["folder", "named pipe", "socket", "device", "link to a device"])
def test_what_is_no_regular_file_is_not_opened(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = Path("w.pth")
    if kind == "folder":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("w.pth")
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=rf"must be a regular file, found a.* {kind.split()[-1]}; use a weights file"):
        check_file(entry(path))


@pytest.mark.parametrize("name", ["/proc/kmsg", "/proc/self/status", "empty.pth"])
def test_a_file_without_a_size_is_not_opened(name: str, tmp_path: Path) -> None:
    """As those of /proc are, which are regular: the kernel's log has no end, and reading it waits."""
    path = tmp_path / name
    if name == "empty.pth":
        path.touch()
    elif not path.exists():
        pytest.skip("no /proc on this system")
    with pytest.raises(UserError, match="must hold weights, found a file of 0 bytes; use a weights file"):
        check_file(entry(path))


@pytest.mark.parametrize("name", ["absent.pth", "x" * 5000])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"weights\.path: must be a safetensors or torch file that can be read, found at"
    ):
        check_file(entry(tmp_path / name))


@pytest.mark.parametrize("value", ["", "abc", "0123456G", "0" * 65])
def test_a_hash_is_8_to_64_hexadecimal_digits(value: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        entry(Path("w.pth"), value)


def test_a_hash_goes_with_a_file_alone() -> None:
    with pytest.raises(ValueError, match="`sha256` goes with `source: file`, and only with it"):
        WeightsParams(source="none", sha256=DIGEST)
