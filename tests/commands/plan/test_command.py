"""`whichlayer plan`: its table and totals, and what it prints of a grid."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.findings.power import Power
from stages.commands.plan import report
from stages.commands.plan.command import plan
from stages.commands.plan.cost import Cost, Line
from stages.commands.plan.report import disk, duration, lead_lines, memory_lines, needed_disk, time_lines
from stages.commands.plan.work import Images, Work
from stages.commands.project import size
from stages.shared.runtime.errors import UserError
from tests.commands.edited import config, file

WORK = Work(
    parameters=3_390_000,
    trained=7200,
    tested=1200,
    passed=8400,
    embedded=1100,
    flops=1.5e15,
    checkpoints=3 * 2**20,
    embeddings=3 * 2**29,
    embed_memory=52 * 2**20,
    layers=[],
    baselines=1,
)


def planned(*words: object) -> str:
    return CliRunner().invoke(plan, [*map(str, words), "--no-time"], catch_exceptions=False).stdout


def test_results_and_their_copy_in_the_cache_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 * 2**30))
    for needed, fits in ((4.9, True), (5.1, False)):
        assert ("that may not fit" not in disk(needed * 2**30, tmp_path / "cache")) == fits


def test_prepared_images_take_disk_too():
    params = config({"run.datasets": ["handwriting"]})
    images = Images(1000, 400, 100, 15, 5, packed=2000)
    lines = [Line("handwriting", "efficientnet_lite0", ["0", "1"], images, WORK)]
    own = 2 * (WORK.checkpoints + WORK.embeddings)
    assert needed_disk(params, lines) == own + 2000 * 64 * 64 * 3
    lines.append(replace(lines[0], images=replace(images, packed=0), folds=["all"]))
    assert needed_disk(params, lines) == own * 3 // 2 + 2000 * 64 * 64 * 3  # of all folds together


def test_times_add_up_and_are_divided_by_the_processors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "processors", lambda: 4)
    costs = {"finetune": [Cost(seconds, 1.0) for seconds in (100.0, 40.0, 60.0)], "embed": [], "measure": [Cost(40, 1)]}
    _, *rows, total, _ = time_lines(costs, on_gpu=False)
    assert rows == ["  finetune     3 x 2 min", "  measure      1 x 40 s"]
    assert total == "  in all 4 min; by the clock 60 s where all 4 processors are at work"
    assert [duration(s) for s in (89, 600, 7200)] == ["89 s", "10 min", "2.0 h"]


def test_memory_that_is_lacking_is_said_with_what_lowers_it():
    costs = {"finetune": [Cost(1, 5 * 2**30)], "embed": [], "measure": [Cost(1, 9 * 2**30), Cost(1, 2**30)]}
    first, *warnings = memory_lines(costs, 8 * 2**30, on_gpu=False)
    assert first.endswith("finetune 5.0 GiB, measure 9.0 GiB; 8.0 GiB in this machine")
    assert [line.partition(";")[0] for line in warnings] == ["warning: measure may not fit"]


def test_a_grid_is_planned_from_another_params_file(tmp_path: Path):
    params = file(tmp_path, {"run.seeds": [0, 1], "run.folds": [0, 3], "run.models": ["efficientnet_lite0_scratch"]})
    printed = planned("--params", params)
    assert "1 prepare, 4 finetune, 4 embed, 4 measure, 1 aggregate" in printed  # all: DVC has not seen this file
    assert "handwriting  efficientnet_lite0_scratch  0, 3 " in printed


@pytest.mark.slow
def test_fold_all_has_a_line_of_its_own_and_every_fold_counts_in_the_totals(tmp_path: Path):
    def needed(folds: list[object]) -> tuple[int, str]:
        printed = planned(
            "--params", file(tmp_path, {"run.folds": folds, "run.models": ["efficientnet_lite0_scratch"]})
        )
        return int(re.search(r"disk: (\d+) MiB", printed)[1]), printed

    (one, _), (two, _), (three, _), (both, printed) = map(needed, ([0], [0, 1], [0, 1, 2], [0, "all"]))
    assert two > one
    assert abs((three - two) - (two - one)) <= 1  # but for the images, which are prepared once for all folds
    lines = [line.split() for line in printed.splitlines() if line.startswith("handwriting")]
    assert [line[2] for line in lines] == ["0", "all"]
    assert [line[5] for line in lines] == ["6,600", f"{3 * 800 + 3 * 800 + 20 * 100:,}"]
    assert both > one


def test_a_plan_for_programs_has_the_numbers_of_the_table(tmp_path: Path):
    params = file(tmp_path, {"run.folds": [0, 1]})
    found = json.loads(planned("--params", params, "--json"))
    assert found["stages"] == {"prepare": 1, "finetune": 2, "embed": 2, "measure": 2, "aggregate": 1}
    (line,) = found["lines"]
    assert (line["dataset"], line["model"], line["folds"]) == ("handwriting", "efficientnet_lite0", ["0", "1"])
    printed = planned("--params", params)
    assert f" {line['work']['trained']:,} " in printed
    assert f"disk: {size(found['disk'])} " in printed
    assert found["costs"] == {}


def test_a_pipe_is_named_before_dvc_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    params = file(tmp_path, {"run.datasets": ["cifar100"], "run.folds": [0]})
    (tmp_path / "cifar100").mkdir()
    os.mkfifo(tmp_path / "cifar100" / "source.json")
    monkeypatch.setattr("stages.commands.plan.command.RAW", tmp_path)
    with pytest.raises(UserError, match=r"cifar100/source\.json: must be a regular file, found a named pipe"):
        planned("--params", params)


def test_what_a_lead_takes_is_said_by_a_finished_study(tmp_path: Path):
    write_facts(tmp_path, Facts([], [], power=[Power("d", "m", 0.2, 0.1, {4: 0.2, 16: 0.1}, {}, {10: 0.1})]))
    (sentence,) = lead_lines(tmp_path, 0.15)
    assert sentence.endswith("A lead of 0.15 takes 16 folds, or at least 10 unseen classes in each fold.")
    write_facts(tmp_path, Facts([], []))
    with pytest.raises(UserError, match=r"--lead: .* must hold a study that tells of other classes"):
        lead_lines(tmp_path, 0.15)
