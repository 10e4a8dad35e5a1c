import os
import shutil
from pathlib import Path

import pytest

from stages.shared.workflow.stage_run import FINISHED, StageRun
from stages.shared.runtime.processes import STARTED_BY_DVC
from stages.shared.workflow.kept_work import KeptWork, claim_work


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which DVC runs a stage that can be gone on from."""
    (tmp_path / "params.yaml").write_text("embed: {size: 8}")
    (tmp_path / "input").write_text("pixels")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STARTED_BY_DVC, "embed@mine-net-0-0")
    return tmp_path


def start(stage: str = "embed") -> StageRun:
    return StageRun(
        stage, Path("params.yaml"), keys=[stage], reads=[Path("input")], writes=[Path(f"{stage}.out")], resumable=True
    )


def run(rows: str) -> KeptWork:
    """Run the stage: it goes on from what there is, or writes its rows; then it ends well."""
    with start() as stage:
        work = claim_work(stage, {}, print)
        out = stage.scratch(Path("embed.out"))
        if work.progress is None:
            out.mkdir(parents=True)
            (out / "shard").write_text(rows)
            work.keep({"done": rows}, [out / "shard"])
        (out / "digests").write_text("of shard")
    return work


def test_a_result_that_was_not_stored_is_gone_on_from(cell: Path):
    assert run("first").progress == {"done": "first"}
    shutil.rmtree("embed.out")  # as DVC does before it runs a stage again
    assert run("second").progress == {"done": "first"}
    assert Path("embed.out/shard").read_text() == "first"
    assert sorted(path.name for path in Path("embed.out").iterdir()) == ["digests", "shard"]


def test_it_takes_no_room(cell: Path):
    run("first")
    assert Path("embed.out/shard").samefile(FINISHED / "embed@mine-net-0-0" / "embed.out" / "shard")


def test_what_was_damaged_since_is_not_used(cell: Path, capsys: pytest.CaptureFixture[str]):
    run("first")
    Path("embed.out/shard").write_text("wrong")  # the same file by its other name
    shutil.rmtree("embed.out")
    assert run("second").progress == {"done": "second"}
    assert "embed.out/shard is damaged; it is removed" in capsys.readouterr().out


def test_the_next_stage_that_dvc_starts_removes_it(cell: Path, monkeypatch: pytest.MonkeyPatch):
    run("first")
    monkeypatch.setenv(STARTED_BY_DVC, "measure@mine-net-0-0")
    start("measure")
    assert not FINISHED.exists()


def test_another_stage_does_not_take_it(cell: Path, monkeypatch: pytest.MonkeyPatch):
    run("first")
    shutil.rmtree("embed.out")
    monkeypatch.setenv(STARTED_BY_DVC, "embed@mine-net-0-1")
    assert run("second").progress == {"done": "second"}


def test_a_person_who_starts_a_stage_keeps_and_removes_nothing(cell: Path, monkeypatch: pytest.MonkeyPatch):
    run("first")
    shutil.rmtree("embed.out")
    monkeypatch.delenv(STARTED_BY_DVC)
    assert run("second").progress == {"done": "second"}
    assert (FINISHED / "embed@mine-net-0-0").is_dir()


def test_without_hard_links_nothing_is_kept_and_the_result_is_there(cell: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run("first")
    assert Path("embed.out/shard").read_text() == "first"
    assert not [*FINISHED.iterdir()]
