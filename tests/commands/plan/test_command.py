"""`whichlayer plan`: its table and totals, and what it prints of a grid."""

import re
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

from stages.commands.plan.command import disk, duration, memory_lines, plan, size, table, time_lines
from stages.commands.plan.cost import Cost
from stages.commands.plan.predict import CellTime, side_by_side
from stages.shared.console import UserError
from tests.commands.edited import file

COST = Cost(
    parameters=3_390_000,
    trained=7200,
    passed=8400,
    flops=1.5e15,
    checkpoints=3 * 2**20,
    embeddings=3 * 2**29,
    training_memory=2**20,
    embed_memory=52 * 2**20,
)


def test_a_disk_that_is_too_small_is_said_with_what_saves_room(tmp_path: Path):
    assert "warning" not in disk([COST], 1, tmp_path)
    assert "disk: 3.0 GiB for" in disk([COST], 2, tmp_path)
    assert "finetune.keep: last" in disk([COST] * 1000, 10_000, tmp_path)


def test_time_adds_up_stage_by_stage_and_cells_at_once_end_with_the_longest():
    by_stage = {"prepare": [5.0], "finetune": [100.0, 40.0, 60.0], "embed": [], "measure": [], "aggregate": [15.0]}
    lines = time_lines(by_stage, [100.0, 40.0, 60.0], workers=2)
    assert lines[1:4] == ["  prepare      1 x 5 s", "  finetune     3 x 2 min", "  aggregate    1 x 15 s"]
    assert lines[4].startswith("  in all 4 min, one stage after another; 2 min with 2 cells at once")
    assert side_by_side([100.0, 40.0, 60.0], 2) == 100.0
    assert side_by_side([3.0, 3.0, 2.0, 2.0, 2.0], 2) == 7.0  # longest first: 3 2 2 and 3 2
    assert [duration(s) for s in (89, 600, 7200)] == ["89 s", "10 min", "2.0 h"]


def test_memory_that_is_lacking_is_said_with_the_parameter_that_lowers_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * 2**30))
    times = {("d", "m", "0"): CellTime(1, 1, 1, {"finetune": 5 * 2**30, "embed": 2**30, "measure": 9 * 2**30})}
    first, *warnings = memory_lines(times, 1)
    assert first == "memory: finetune 5.0 GiB, embed 1.0 GiB, measure 9.0 GiB; 8.0 GiB in this machine"
    assert warnings == ["warning: measure may not fit; measure in fewer processes: WHICHLAYER_WORKERS=1"]
    assert memory_lines(times, 2)[1] == ("warning: finetune in 2 cells at once may not fit; lower finetune.batch_size")


def test_the_table_has_a_line_per_network():
    header, _, line = table([("handwriting", "lite0", ["0", "1"], COST)]).splitlines()
    assert " ".join(header.split()) == "dataset model folds params trained forward TFLOP weights store"
    assert " ".join(line.split()) == "handwriting lite0 0, 1 3.4M 7,200 8,400 1500.0 3 MiB 1.5 GiB"
    assert (size(3 * 2**20), size(1.5 * 2**30)) == ("3 MiB", "1.5 GiB")


def test_a_grid_is_planned_from_another_params_file(tmp_path: Path):
    params = file(tmp_path, {"run.seeds": [0, 1], "run.folds": [0, 3], "run.models": ["efficientnet_lite0_scratch"]})
    printed = CliRunner().invoke(plan, ["--params", str(params), "--no-time"], catch_exceptions=False).stdout
    assert "1 prepare, 4 finetune, 4 embed, 4 measure, 1 aggregate" in printed  # all: DVC has not seen this file
    assert "handwriting  efficientnet_lite0_scratch  0, 3 " in printed
    assert "For each of the folds of a line and one seed of 2." in printed


def test_fold_all_has_a_line_of_its_own_and_every_fold_counts_in_the_totals(tmp_path: Path):
    def disk(folds: list[object]) -> tuple[int, str]:
        params = file(tmp_path, {"run.folds": folds, "run.models": ["efficientnet_lite0_scratch"]})
        printed = CliRunner().invoke(plan, ["--params", str(params), "--no-time"], catch_exceptions=False).stdout
        return int(re.search(r"disk: (\d+) MiB", printed)[1]), printed

    (one, _), (two, _), (both, printed) = disk([0]), disk([0, 1]), disk([0, "all"])
    assert abs(two - 2 * one) <= 1
    lines = [line.split() for line in printed.splitlines() if line.startswith("handwriting")]
    assert [line[2] for line in lines] == ["0", "all"]
    assert [line[5] for line in lines] == ["8,400", f"{3 * 800 + 3 * 800 + 20 * 100 + 12 * 20 * 10:,}"]
    assert both > one


def test_a_fold_that_a_dataset_lacks_is_named(tmp_path: Path):
    params = file(tmp_path, {"run.folds": [4]})
    with pytest.raises(UserError, match=r"'handwriting' of run\.datasets has no fold 4; it has 4 numbered folds"):
        CliRunner().invoke(plan, ["--params", str(params), "--no-time"], catch_exceptions=False)
