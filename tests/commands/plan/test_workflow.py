"""What is estimated of a tiny grid before it runs, against what its stages log."""

import json
from pathlib import Path

import pytest

from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow


TIMED = """import sys
from stages.commands.cli import main
from stages.commands.plan import cost
cost.UNTIMED, sys.argv = 0.0, ["whichlayer", "plan", "--json"]
main()"""
"""Times a study that is too small for it."""


def test_time_and_memory_are_estimated_within_a_factor_of_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "1")  # whose log has the memory of all
    project = Workflow(tmp_path / "project")
    tiny_params(project, ["mine"], ["net"])
    tiny_images(project.folder / "data" / "raw" / "mine", seed=0)
    project.start_repository()
    counted = json.loads(project.run("whichlayer", "plan", "--json").stdout)["costs"]["measure"]
    assert [(cost["memory"], cost["seconds"] < 60) for cost in counted] == [(0, True)]
    first = json.loads(project.run("python", "-c", TIMED).stdout)
    project.repro()
    rows = [json.loads(line) for line in project.text("data/durations.jsonl").splitlines()]
    for row in (row for row in rows if row["stage"] in ("finetune", "embed", "measure")):
        (cost,) = first["costs"][row["stage"]]
        assert 0.5 < cost["seconds"] / row["cpu"] < 2, row["stage"]
        assert 0.5 < cost["memory"] / row["memory"] < 2, row["stage"]
    (project.folder / "dvc.lock").unlink()
    again = json.loads(project.run("whichlayer", "plan", "--json").stdout)
    told = {stage: [cost["seconds"] for cost in runs] for stage, runs in again["costs"].items()}
    logged = {row["stage"]: [row["cpu"]] for row in rows if row["stage"] in told}
    assert told == {stage: pytest.approx(seconds) for stage, seconds in logged.items()}
