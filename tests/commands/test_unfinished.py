import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stages.commands import unfinished as module
from stages.commands.dvc_project import workspace
from stages.shared.runtime.processes import process_mark
from stages.shared.workflow.kept_work import KeptWork

DVC = """
stages:
  finetune: {cmd: "finetune --weights data/checkpoints/{dataset}/{model}/{fold}/{seed}/weights"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    for of in (workspace, module):
        monkeypatch.setattr(of, "ROOT", tmp_path)
    return tmp_path


def kept(folder: Path, name: str, done: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "state").write_bytes(bytes(3_000_000))
    KeptWork(folder / name, {}).keep({"done": done}, [folder / name / "state"])


def run() -> list[str]:
    return CliRunner().invoke(module.unfinished, [], catch_exceptions=False).stdout.splitlines()


def test_what_was_stopped_is_listed_with_its_cell_and_size(folder: Path):
    assert run() == ["nothing unfinished is kept"]
    alive = process_mark(os.getppid())
    kept(folder, "data/checkpoints/trees/net_1/all/3/.weights.partial-7-1", "optimizer step 8 of 9")
    kept(folder, f"data/checkpoints/trees/net_1/0/3/.partial-x/.weights.partial-{alive}", "elsewhere")
    kept(folder, f"data/checkpoints/trees/net_1/0/4/.weights.partial-{alive}", "optimizer step 2 of 9")
    (folder / "data/checkpoints/trees/net_1/0/3/.weights.partial-8-1").mkdir(parents=True)
    kept(folder, ".dvc/tmp/whichlayer-finished/finetune@trees-net_1-0-2", "optimizer step 8 of 9")
    beside = "data/checkpoints/trees/net_1"
    assert run() == [
        f"finetune@trees-net_1-0-3 was stopped with nothing to go on from: 0 MiB in {beside}/0/3/.weights.partial-8-1",
        "finetune@trees-net_1-0-4 runs, kept after optimizer step 2 of 9: 3 MiB in "
        f"{beside}/0/4/.weights.partial-{alive}",
        "finetune@trees-net_1-all-3 was stopped after optimizer step 8 of 9: 3 MiB in "
        f"{beside}/all/3/.weights.partial-7-1",
        "finetune@trees-net_1-0-2 has finished, kept until DVC starts another stage: 3 MiB in "
        ".dvc/tmp/whichlayer-finished/finetune@trees-net_1-0-2",
    ]


def test_a_file_that_a_running_stage_removes_meanwhile_takes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    kept(folder, "data/checkpoints/trees/net/0/3/.weights.partial-7-1", "optimizer step 8 of 9")
    stat = os.stat

    def removed(path: str | Path, *args: Any, **options: Any) -> os.stat_result:
        """The record is replaced just before it is looked at."""
        if str(path).endswith("resume.json"):
            raise FileNotFoundError(path)
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", removed)
    assert run() == [
        "finetune@trees-net-0-3 was stopped after optimizer step 8 of 9: 3 MiB in "
        "data/checkpoints/trees/net/0/3/.weights.partial-7-1"
    ]
