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
from stages.aggregate.inference.intervals import Power
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.command import (
    SMALLER,
    disk,
    duration,
    memory_lines,
    needed_disk,
    pilot,
    plan,
    table,
    time_lines,
)
from stages.commands.plan.predict import Engine, Line, Machine
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


MACHINE = Machine(2, 8 * 2**30)
GPU = Machine(8, 8 * 2**30, "cuda", 2)


def test_a_disk_that_is_too_small_is_said_with_what_saves_room(tmp_path: Path):
    assert "warning" not in disk(2**20, tmp_path, tmp_path / "cache")
    assert disk(3 * 2**30, tmp_path, tmp_path).startswith("disk: 3.0 GiB for prepared images, checkpoints and stores")
    assert "finetune.keep: last" in disk(1e18, tmp_path, tmp_path)


def test_another_disk_of_the_cache_needs_room_too(monkeypatch: pytest.MonkeyPatch):
    here, there = (
        SimpleNamespace(
            stat=lambda device=device: SimpleNamespace(st_dev=device),
            exists=lambda: True,
            absolute=lambda: Path("/"),
            room=room,
        )
        for device, room in ((1, 10 * 2**30), (2, 4 * 2**30))
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=folder.room))
    few, many = disk(3 * 2**30, here, there), disk(5 * 2**30, here, there)  # type: ignore[arg-type]
    assert "10.0 GiB free; as much for DVC's cache, 4.0 GiB free there" in few
    assert "warning" not in few
    assert "that may not fit" in many


def test_prepared_images_take_disk_too():
    params = config({"run.datasets": ["handwriting"]})
    images = Images(1000, 400, 100, 15, 5, packed=2000)
    planned = [Line("handwriting", "efficientnet_lite0", ["0", "1"], images, WORK)]
    own = 2 * (WORK.checkpoints + WORK.embeddings)
    assert needed_disk(params, planned) == own + 2000 * 64 * 64 * 3
    planned.append(replace(planned[0], images=replace(images, packed=0), folds=["all"]))
    assert needed_disk(params, planned) == own * 3 // 2 + 2000 * 64 * 64 * 3  # of all folds together


CELLS = [{"finetune": Cost(seconds, 1.0)} for seconds in (100.0, 40.0, 60.0)]
AROUND = {"prepare": [5.0], "aggregate": [15.0]}


def test_time_of_dvc_repro_adds_up_stage_by_stage():
    title, *rows, total = time_lines(CELLS, AROUND | {"DVC": [2.0] * 5}, Engine(), MACHINE)
    assert title == (
        "time of `dvc repro` on this machine (2 processors, no GPU), from some seconds of each network's work, "
        "within a factor of 1.5:"
    )
    assert rows == [
        "  prepare      1 x 5 s", "  finetune     3 x up to 2 min", "  aggregate    1 x 15 s", "  DVC          5 x 2 s"
    ]  # fmt: skip
    assert total == "  in all 4 min, one stage after another"
    assert [duration(s) for s in (89, 600, 7200)] == ["89 s", "10 min", "2.0 h"]


def test_time_of_a_fleet_ends_with_its_last_cell():
    cells = [{"finetune": Cost(seconds, 1.0)} for seconds in (20.0, 10.0, 10.0)]

    def total(engine: Engine, machine: Machine = MACHINE) -> str:
        return time_lines(cells, AROUND | {"fleet": [20.0]}, engine, machine)[-1]

    assert total(Engine(2)) == f"  in all {5 + 15 + 20 + 27:.0f} s, 2 cells at once with 1 thread each"  # 2 x 13.5
    assert total(Engine(1, 2)) == "  in all 2 min, 1 cell at once with 2 threads each"
    assert "2.0 times slower than one alone, since processors are too few" in total(Engine(2, 2))


def test_where_gpus_are_few_cells_wait_for_them_and_measure_does_not():
    cells = [{"finetune": Cost(16.5, 0.0), "embed": Cost(10.0, 0.0), "measure": Cost(100.0, 1.0)}] * 8
    words = "; finetune and embed of 2 at once, on 2 GPUs"
    measured = time_lines(cells, {"prepare": [], "aggregate": []}, Engine(4), GPU)[-1]
    assert measured == f"  in all 4 min, 4 cells at once with 1 thread each{words}"  # 2 x 130
    crowded = time_lines(cells * 4, {"prepare": [], "aggregate": []}, Engine(64), replace(GPU, processors=64))[-1]
    assert crowded == f"  in all 8 min, 64 cells at once with 1 thread each{words}"  # 16 x 30


def memory(engine: Engine, machine: Machine = MACHINE, **gib: float) -> list[str]:
    return memory_lines([{stage: Cost(1.0, size * 2**30) for stage, size in gib.items()}], engine, machine)


def test_the_source_of_predictions_is_said():
    earlier, timed = Cost(1.0, 1.0, logged=True), Cost(1.0, 1.0)
    both = "earlier runs on this machine and some seconds of each network's work"
    for cells, source in (
        ([], "earlier runs on this machine"),
        ([{"finetune": earlier}], "earlier runs on this machine"),
        ([{"finetune": earlier, "embed": timed}], both),
    ):
        assert f"no GPU), from {source}, within" in time_lines(cells, AROUND, Engine(), MACHINE)[0]


def test_memory_that_is_lacking_is_said_with_what_lowers_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "2")
    first, *warnings = memory(Engine(), finetune=5, embed=1, measure=9)
    assert first == "memory of one cell: finetune 5.0 GiB, embed 1.0 GiB, measure 9.0 GiB; 8.0 GiB in this machine"
    assert warnings == [f"warning: measure may not fit; {SMALLER['measure']}"]
    assert memory(Engine(), finetune=9)[1] == "warning: finetune may not fit; lower finetune.batch_size"
    assert memory(Engine()) == []


def test_memory_that_a_fleet_lacks_is_said_with_its_own_options():
    assert memory(Engine(2), finetune=5)[1] == (
        "warning: finetune in 2 cells at once may not fit; take fewer --workers"
    )


def test_the_table_has_a_line_per_network():
    header, _, line = table([Line("handwriting", "lite0", ["0", "1"], Images(1, 1, 1, 1), WORK)]).splitlines()
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

    (one, _), (two, _), (three, _), (both, printed) = map(disk, ([0], [0, 1], [0, 1, 2], [0, "all"]))
    assert two > one
    assert abs((three - two) - (two - one)) <= 1  # but for the images, which are prepared once for all folds
    lines = [line.split() for line in printed.splitlines() if line.startswith("handwriting")]
    assert [line[2] for line in lines] == ["0", "all"]
    assert [line[5] for line in lines] == ["6,600", f"{3 * 800 + 3 * 800 + 20 * 100:,}"]
    assert both > one


def test_a_plan_for_programs_has_the_numbers_of_the_table(tmp_path: Path):
    params = file(tmp_path, {"run.folds": [0, 1]})
    words = ["--params", str(params), "--no-time"]
    found = json.loads(CliRunner().invoke(plan, [*words, "--json"], catch_exceptions=False).stdout)
    assert found["stages"] == {"prepare": 1, "finetune": 2, "embed": 2, "measure": 2, "aggregate": 1}
    (line,) = found["lines"]
    assert (line["dataset"], line["model"], line["folds"]) == ("handwriting", "efficientnet_lite0", ["0", "1"])
    printed = CliRunner().invoke(plan, words, catch_exceptions=False).stdout
    assert f" {line['work']['trained']:,} " in printed
    assert f"disk: {size(found['disk'])} " in printed
    assert "seconds" not in found


def test_a_fold_that_a_dataset_lacks_is_named(tmp_path: Path):
    params = file(tmp_path, {"run.folds": [4]})
    with pytest.raises(UserError, match=r"'handwriting' of run\.datasets has no fold 4; it has 4 numbered folds"):
        CliRunner().invoke(plan, ["--params", str(params), "--no-time"], catch_exceptions=False)


def test_a_pipe_is_named_before_dvc_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    params = file(tmp_path, {"run.datasets": ["cifar100"], "run.folds": [0]})
    (tmp_path / "cifar100").mkdir()
    os.mkfifo(tmp_path / "cifar100" / "source.json")
    monkeypatch.setattr("stages.commands.plan.command.RAW", tmp_path)
    with pytest.raises(UserError, match=r"cifar100/source\.json: must be a regular file, found a named pipe"):
        CliRunner().invoke(plan, ["--params", str(params), "--no-time"], catch_exceptions=False)


def test_what_a_lead_takes_is_said_by_a_finished_study(tmp_path: Path):
    write_facts(tmp_path, Facts([], [], power=[Power("d", "m", 0.2, 0.1, {4: 0.2, 16: 0.1}, {}, {10: 0.1})]))
    (sentence,) = pilot(tmp_path, 0.15)
    assert sentence.endswith("A lead of 0.15 takes 16 folds, or at least 10 unseen classes in each fold.")
    write_facts(tmp_path, Facts([], []))
    with pytest.raises(UserError, match=r"--lead: .* must hold a study that tells of other classes"):
        pilot(tmp_path, 0.15)


def test_threads_without_a_fleet_are_refused():
    with pytest.raises(UserError, match="--threads is of the cells of a fleet; give --workers, too"):
        CliRunner().invoke(plan, ["--threads", "2"], catch_exceptions=False)
