import errno
import hashlib
import json
from pathlib import Path

import pytest

from stages.shared.runtime.errors import UserError, explain_system_error
from stages.shared.workflow.digests import (
    DIGESTS,
    Digests,
    Record,
    cell_id,
    read_digests,
    write_digests,
)

OF = {"dataset": "mine", "seed": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, one in a folder, and a third of which there are no digests."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "z").write_bytes(b"not covered")
    write_digests(tmp_path / DIGESTS, [tmp_path / "b", tmp_path / "a"], format="f/1", of=OF)
    return tmp_path


def read(folder: Path, **changes: object) -> Digests:
    return read_digests(folder / DIGESTS, **{"format": "f/1", "of": OF, "stage": "measure", **changes})


def test_the_record_is_sorted_and_holds_size_and_hash(folder: Path):
    record = json.loads((folder / DIGESTS).read_text())
    assert record.pop("hash") == Record.model_validate_json((folder / DIGESTS).read_text()).hash_others()
    assert record == {
        "format": "f/1",
        "of": {"dataset": "mine", "seed": 0},
        "files": {"a": [0, hashlib.sha256().hexdigest()], "b/c": [3, hashlib.sha256(b"abc").hexdigest()]},
    }
    assert list(record["files"]) == ["a", "b/c"]


def test_what_is_as_it_was_passes_and_only_what_is_asked_for_is_read(folder: Path):
    read(folder).check("a", "b")
    (folder / "b" / "c").write_bytes(b"abd")
    read(folder).check("a").check_sizes("b")
    with pytest.raises(UserError, match=r"b/c: must be as the measure stage wrote it, found different content; remove"):
        read(folder).check("a", "b")


def test_a_file_is_read_once(folder: Path):
    digests = read(folder).check("b")
    (folder / "b" / "c").write_bytes(b"abd")
    digests.check("b")
    (folder / "a").write_bytes(b"x")
    with pytest.raises(UserError, match="/a: must be as the measure stage wrote it"):
        digests.check("b", "a")  # what comes after a file that was read is read all the same


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no file"), (b"ab", "2 of 3 bytes"), (b"abcd", "4 bytes"), (b"", "0 of 3 bytes")],
)
def test_a_file_of_another_size_is_seen_without_reading_it(folder: Path, content: bytes | None, found: str):
    (folder / "b" / "c").unlink()
    if content is not None:
        (folder / "b" / "c").write_bytes(content)
    with pytest.raises(UserError, match=rf"/b/c: must be as the measure stage wrote it, found {found};"):
        read(folder).check_sizes("b")


@pytest.mark.parametrize("name", ["z", "b"])
def test_a_file_that_was_not_written_is_seen(folder: Path, name: str):
    (folder / "b" / "new").write_bytes(b"")
    with pytest.raises(UserError, match="found one that it did not write"):
        read(folder).check(name)


def test_a_file_that_neither_was_written_nor_is_there_passes(folder: Path):
    read(folder).check("k_sensitivity.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "f/2"}, "must be of format f/2, found f/1 of another version; run `dvc repro`"),
        ({"of": {"dataset": "mine", "seed": 1}}, "must be of dataset mine, seed 1, found dataset mine, seed 0;"),
        ({"of": {"fold": "0"}}, "must be of fold 0, found fold None;"),
    ],
)
def test_another_version_and_another_owner_are_refused(folder: Path, changes: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        read(folder, **changes)


def test_the_remedy_names_whose_file_it_is(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"whole")
    cell = cell_id(("mine", "net", "0", 1))
    write_digests(tmp_path / DIGESTS, [tmp_path / "a"], format="f/1", of=cell)
    (tmp_path / "a").write_bytes(b"other")
    with pytest.raises(
        UserError, match=r"verify --remove` and run `dvc repro`, or .* --force measure@mine-net-0-1`\)$"
    ):
        read_digests(tmp_path / DIGESTS, format="f/1", of=cell, stage="measure").check("a")


@pytest.mark.parametrize(
    "changes",
    [{"format": "f/2"}, {"of": {"dataset": "other"}}, {"files": {"a": (0, "0" * 32)}}],
    ids=lambda c: next(iter(c)),
)
def test_the_records_own_hash_covers_all_that_it_says(folder: Path, changes: dict[str, object]):
    record = Record.model_validate_json((folder / DIGESTS).read_text())
    assert record.model_copy(update=changes).hash_others() != record.hash
    (folder / DIGESTS).write_text(record.model_copy(update=changes).model_dump_json())
    with pytest.raises(UserError, match="digests"):
        read(folder, of={}, format=changes.get("format", "f/1"))


@pytest.mark.parametrize("position", range(0, 240, 7))
def test_a_flipped_bit_in_digests_is_theirs(folder: Path, position: int):
    content = bytearray((folder / DIGESTS).read_bytes())
    content[position] ^= 1
    (folder / DIGESTS).write_bytes(content)
    with pytest.raises(UserError, match=r"digests\.json: must be"):
        read(folder).check("a", "b")


def test_a_link_to_a_file_that_was_lost_is_one_sentence(folder: Path):
    (folder / "b" / "c").unlink()
    (folder / "b" / "c").symlink_to(folder / "cache" / "lost")
    with pytest.raises(UserError, match=r"b/c: must be as the measure stage wrote it, found a link to no file; remove"):
        read(folder).check_sizes("b")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "must be a place that you may read and write"),
        (errno.EMFILE, "too many files are open"),
        (errno.EIO, "could not be read or written"),
    ],
)
def test_what_the_machine_lacks_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str):
    def fail(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, "x", str(path))

    digests = read(folder)
    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    for name, call in ((DIGESTS, lambda: read(folder)), ("b/c", lambda: digests.check("b"))):
        with pytest.raises(OSError, match=r".") as caught:
            call()
        assert f"{folder / name}: {said}" in (explain_system_error(caught.value) or "")
