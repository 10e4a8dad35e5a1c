import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.shared.workflow.stage_run import RECORD, StageRun
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.kept_work import KeptWork, claim_work

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


@pytest.mark.parametrize(
    ("facts", "said"),
    [
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
        lambda p: flip(p, -1), lambda p: p.write_bytes(p.read_bytes()[:-1]), Path.unlink,
    ],
    ids=["flip", "cut", "delete"],
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


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """A folder with what a stage reads."""
    (tmp_path / "params.yaml").write_text("embed: {size: 8}")
    (tmp_path / "input").write_text("pixels")
    return tmp_path


def run_of(cell: Path) -> StageRun:
    return StageRun(
        "embed", cell / "params.yaml", keys=["embed"], reads=[cell / "input"], writes=[cell / "out"], resumable=True
    )


def keep_one(work: KeptWork, name: str) -> None:
    (work.folder / "out").mkdir(parents=True, exist_ok=True)
    (work.folder / "out" / name).write_text(name)
    work.keep({"done": name}, [*(work.folder / "out").iterdir()])


def edit_and_fail(cell: Path) -> None:
    """Run a stage, in a process that has ended, that keeps work before and after an edit and fails for that."""
    run = run_of(cell)

    def embed() -> None:
        with run:
            work = claim_work(run, {}, print)
            keep_one(work, "before")
            (cell / "params.yaml").write_text("embed: {size: 9}")
            keep_one(work, "after")

    with pytest.raises(UserError, match="changed while embed ran"):
        embed()
    run.work.rename(cell / ".out.partial-7-1")


def test_work_of_a_run_that_an_edit_failed_is_gone_on_from_when_the_edit_is_taken_back(cell: Path):
    edit_and_fail(cell)
    (cell / "params.yaml").write_text("embed: {size: 8}")
    with run_of(cell) as run:
        assert claim_work(run, {}, print).progress == {"done": "after"}
    assert sorted(path.name for path in (cell / "out").iterdir()) == ["after", "before"]
    assert not [*cell.glob(".*")]


def test_work_made_from_an_old_input_and_a_new_one_is_not_kept(cell: Path):
    run = run_of(cell)

    def embed() -> None:
        with run:
            work = claim_work(run, {}, print)
            keep_one(work, "before")
            (cell / "input").write_text("other pixels")
            keep_one(work, "after")

    with pytest.raises(UserError, match="input changed while embed ran"):
        embed()
    assert not [*cell.glob(".*")]


@pytest.mark.parametrize("name", ["params.yaml", "input"])
def test_nothing_is_kept_under_facts_that_changed_while_they_were_loaded(cell: Path, name: str):
    run = run_of(cell)
    (cell / name).write_text("embed: {size: 9}")
    with pytest.raises(UserError, match=f"{name}.* changed while embed ran"):
        claim_work(run, {}, print)
