import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.shared.kept_work import RECORD, KeptWork

FACTS = {"code": "1", "machine": "2"}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a stopped run left: two finished files, and what it was just writing."""
    folder = tmp_path / "left"
    (folder / "out" / "deep").mkdir(parents=True)
    for name in ("out/deep/a", "state"):
        (folder / name).write_bytes(name.encode() * 1000)
    KeptWork(folder, FACTS).keep({"step": 7}, [folder / "out" / "deep" / "a", folder / "state"])
    (folder / "out" / "half" / "written").mkdir(parents=True)
    (folder / "out" / "half" / "written" / "b").write_text("half")
    (folder / "out" / "deep" / "c").write_text("half")
    (folder / f"{RECORD}.new").write_text("half")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_finished_files_are_taken_over_and_nothing_else(left: Path, tmp_path: Path):
    work = KeptWork(tmp_path / "new", FACTS)
    assert work.take_over(left) == ""
    assert work.progress == {"step": 7}
    assert files(tmp_path / "new") == ["out", "out/deep", "out/deep/a", RECORD, "state"]
    assert not left.exists()


def test_a_later_record_takes_the_place_of_the_one_before(left: Path, tmp_path: Path):
    work = KeptWork(tmp_path / "new", FACTS)
    work.take_over(left)
    (work.folder / "later").write_text("state")
    work.keep({"step": 9}, [work.folder / "out" / "deep" / "a", work.folder / "later"])
    assert files(work.folder) == ["later", "out", "out/deep", "out/deep/a", RECORD]
    again = KeptWork(tmp_path / "again", FACTS)
    assert again.take_over(work.folder) == ""
    assert again.progress == {"step": 9}


def test_numbers_as_keys_come_back_as_texts(tmp_path: Path):
    (tmp_path / "a").mkdir()
    KeptWork(tmp_path / "a", FACTS).keep({"rows": {0: 5, 80: 5, 160: 3}}, [])
    work = KeptWork(tmp_path / "b", FACTS)
    assert work.take_over(tmp_path / "a") == ""
    assert work.progress == {"rows": {"0": 5, "80": 5, "160": 3}}


def test_a_run_that_is_stopped_twice_at_the_same_place_goes_on_again(left: Path, tmp_path: Path):
    KeptWork(tmp_path / "new", FACTS).take_over(left)
    again = KeptWork(tmp_path / "again", FACTS)
    assert again.take_over(tmp_path / "new") == ""
    assert again.progress == {"step": 7}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"code": "3"}, "it was made with other code"),
        ({"code": "3", "machine": "4"}, "it was made with other code and machine"),
        ({"weights": "new"}, "it was made with other weights"),
    ],
)
def test_work_of_other_facts_is_left_where_it_is(left: Path, tmp_path: Path, facts: dict[str, str], said: str):
    work = KeptWork(tmp_path / "new", {**FACTS, **facts})
    assert work.take_over(left) == said
    assert work.progress is None
    assert left.exists()
    assert not work.folder.exists()


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["out/deep/a", "state"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda p: flip(p, 2500), lambda p: flip(p, -1), lambda p: p.write_bytes(p.read_bytes()[:-1]), Path.unlink,
        lambda p: p.write_bytes(b""), lambda p: p.write_bytes(bytes(p.stat().st_size)),
    ],
    ids=["flip", "last", "cut", "delete", "empty", "zeros"],
)  # fmt: skip
def test_a_damaged_file_is_named_and_nothing_is_taken_over(
    left: Path, tmp_path: Path, name: str, damage: Callable[[Path], object]
):
    damage(left / name)
    work = KeptWork(tmp_path / "new", FACTS)
    assert work.take_over(left) == f"{left / name} is damaged"
    assert work.progress is None


def test_no_bit_of_the_record_can_change_unnoticed(left: Path, tmp_path: Path):
    whole = (left / RECORD).read_bytes()
    assert json.loads(whole)["progress"] == {"step": 7}
    for position in range(len(whole)):
        for bit in (1, 64):
            damaged = bytearray(whole)
            damaged[position] ^= bit
            (left / RECORD).write_bytes(damaged)
            work = KeptWork(tmp_path / "new", FACTS)
            assert work.take_over(left) == f"{left / RECORD} is damaged", position
    (left / RECORD).write_text("[1]")
    assert "damaged" in KeptWork(tmp_path / "new", FACTS).take_over(left)


def test_a_run_that_was_stopped_before_it_kept_anything_leaves_nothing_to_say(left: Path, tmp_path: Path):
    (left / RECORD).unlink()
    work = KeptWork(tmp_path / "new", FACTS)
    assert work.take_over(left) == ""
    assert work.progress is None
