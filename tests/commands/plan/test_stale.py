"""Which stages would run: what DVC says has changed, and what follows."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from stages.commands.plan.stale import following, stages_to_run
from stages.shared.params import RunParams

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
    assert stages_to_run(RUN).endswith(": 0 prepare, 0 finetune, 1 embed, 1 measure, 1 aggregate")
    failed = SimpleNamespace(returncode=253, stderr="one\nERROR: no lock\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    assert stages_to_run(RUN) == "stages: unknown, since `dvc status` failed: ERROR: no lock"
