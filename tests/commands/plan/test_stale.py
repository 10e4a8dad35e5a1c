"""Which stages would run: what DVC says has changed, and what follows."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.commands.plan import stale
from stages.commands.plan.stale import all_stages, count_stages, following, open_stages, recorded_stages
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams

RUN = RunParams(datasets=["a", "b"], models=["m", "n"], folds=[0, "all"], seeds=[0])


def test_what_follows_from_a_changed_stage():
    assert following([], RUN) == set()
    assert following(["measure@a-m-0-0"], RUN) == {"measure@a-m-0-0", "aggregate"}
    after_prepare = {
        f"{stage}@b-{m}-{fold}-0" for stage in ("finetune", "embed", "measure") for m in "mn" for fold in ("0", "all")
    }
    assert following(["prepare@b"], RUN) == {"prepare@b", "aggregate"} | after_prepare


def test_stages_are_counted_and_a_failure_of_dvc_is_said(monkeypatch: pytest.MonkeyPatch):
    changed = SimpleNamespace(returncode=0, stdout=json.dumps({"embed@a-m-0-0": []}))
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: changed)
    assert count_stages(open_stages(RUN)) == "0 prepare, 0 finetune, 1 embed, 1 measure, 1 aggregate"
    failed = SimpleNamespace(returncode=253, stderr="one\nERROR: no lock\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(UserError, match="`dvc status` must succeed, found: ERROR: no lock"):
        open_stages(RUN)


def test_all_stages_of_a_grid():
    assert count_stages(all_stages(RUN)) == "2 prepare, 8 finetune, 8 embed, 8 measure, 1 aggregate"


def test_dvc_that_is_at_work_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []

    def run(words: list[str], **kwargs: object) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(returncode=0, stdout="{}")

    monkeypatch.setattr(subprocess, "run", run)
    assert open_stages(RUN) == set()
    assert asked[0][2:] == ["dvc", "--wait-for-lock", "status", "--json"]


def test_stages_of_the_lock_file_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stale, "ROOT", tmp_path)
    assert recorded_stages() == set()
    lines = ["schema: '2.0'", "stages:", "  prepare@a:", "    cmd: x", "    deps:", "    - path: b:", "  aggregate:"]
    (tmp_path / "dvc.lock").write_text("\n".join([*lines, "    cmd: y", ""]))
    assert recorded_stages() == {"prepare@a", "aggregate"}
