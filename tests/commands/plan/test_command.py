"""`whichlayer plan`: what it prints of a grid."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stages.commands.plan.command import disk, plan
from stages.commands.project import size
from stages.shared.runtime.errors import UserError
from tests.commands.edited import file


def planned(*words: object) -> str:
    return CliRunner().invoke(plan, [*map(str, words), "--no-time"], catch_exceptions=False).stdout


def test_results_and_their_copy_in_the_cache_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 * 2**30))
    for needed, fits in ((4.9, True), (5.1, False)):
        assert ("that may not fit" not in disk(needed * 2**30, tmp_path / "cache")) == fits


def test_a_grid_is_planned_from_another_params_file(tmp_path: Path):
    params = file(tmp_path, {"run.seeds": [0, 1], "run.folds": [0, 3], "run.models": ["efficientnet_lite0_scratch"]})
    printed = planned("--params", params)
    assert "1 prepare, 4 finetune, 4 embed, 4 measure, 1 aggregate" in printed  # all: DVC has not seen this file
    found = json.loads(planned("--params", params, "--json"))
    assert found["stages"] == {"prepare": 1, "finetune": 4, "embed": 4, "measure": 4, "aggregate": 1}
    assert f"disk: {size(found['disk'])} " in printed
    assert found["costs"] == {}


def test_a_pipe_is_named_before_dvc_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    params = file(tmp_path, {"run.datasets": ["cifar100"], "run.folds": [0]})
    (tmp_path / "cifar100").mkdir()
    os.mkfifo(tmp_path / "cifar100" / "source.json")
    monkeypatch.setattr("stages.commands.plan.command.RAW", tmp_path)
    with pytest.raises(UserError, match=r"cifar100/source\.json: must be a regular file, found a named pipe"):
        planned("--params", params)
