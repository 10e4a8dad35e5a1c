"""How long stages take: pieces that are timed once and multiplied, DVC's own time, and what ran before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.commands.plan import predict
from stages.commands.plan import timer as timer_module
from stages.commands.plan.calibrate import Speed
from stages.commands.plan.cost import Cost
from stages.commands.plan.images import Images
from stages.commands.plan.machine import Engine, Machine
from stages.commands.plan.predict import (
    AGGREGATE_STARTS,
    between,
    predict_aggregate,
    predict_cell,
    predict_cells,
    predict_dvc,
    predict_prepare,
    side_by_side,
)
from stages.commands.plan.timer import Timer
from tests.commands.edited import config

IMAGES = Images(1800, 600, 500, 15, 5)
COST = Cost(1, 7200, 5000, 1.0, 1, 1, 1, 50, layers=9, middle_width=8)
LITE0 = "efficientnet_lite0"
STAGES = ("finetune", "embed", "measure")
SPEEDS: dict[str, Any] = {
    "time_training": Speed(0.01, 1e9, 2.0),
    "time_embedding": Speed(0.002, 2e8, 3.0),
    "time_measuring": (Speed(4.0, 3e8, 1.0), 2.0),
}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int | None]]:
    """What was timed in new processes, and on how many threads."""
    found: list[tuple[str, int | None]] = []

    def in_new_process(work: Callable[..., Any], *arguments: object, threads: int | None = None) -> Any:
        found.append((work.__name__, threads))
        return SPEEDS[work.__name__]

    monkeypatch.setattr(timer_module, "in_new_process", in_new_process)
    return found


def test_a_cell_takes_what_its_passes_take(timed: list[tuple[str, int | None]]):
    timer = Timer(config({"finetune.steps": [0, 100]}), 2)
    found = predict_cell(timer, ("handwriting", LITE0, IMAGES, COST), STAGES, Engine(1, 2), Machine(2, 8 * 2**30))
    assert found.seconds["finetune"] == pytest.approx(2 + 7200 * 0.01 + 2 * 600 * 0.002)
    assert found.seconds["embed"] == pytest.approx(3 + (5000 - 1200) * 0.002)
    assert found.seconds["measure"] == pytest.approx(2 + (9 * 4 + 2) / 2)
    assert found.memory == {"finetune": 1e9, "embed": 2e8 + 50, "measure": 6e8}
    assert {threads for _, threads in timed} == {2}


def test_a_cell_of_a_fleet_is_measured_in_as_many_processes_as_it_has_threads(timed: list[tuple[str, int | None]]):
    cell = ("handwriting", LITE0, IMAGES, COST)
    found = predict_cell(Timer(config({}), 1), cell, ["measure"], Engine(2), Machine(8, 8 * 2**30))
    assert (found.seconds, found.memory) == ({"measure": 2 + 9 * 4 + 2}, {"measure": 3e8})
    assert timed == [("time_measuring", 1)]  # alone, since it alone is open


def test_embeddings_that_wait_to_be_written_take_no_memory_of_a_gpu(timed: list[tuple[str, int | None]]):
    machine = Machine(2, 8 * 2**30, "cuda", 1, 2**30)
    cell = ("handwriting", LITE0, IMAGES, COST)
    assert predict_cell(Timer(config({}), None), cell, STAGES, Engine(), machine).memory["embed"] == 2e8


def test_what_costs_the_same_is_timed_once_and_what_is_not_open_never(timed: list[tuple[str, int | None]]):
    params = config(
        {"datasets.other": {**config({}).datasets["handwriting"].model_dump(mode="json", exclude_unset=True)}}
    )
    planned = [
        ("handwriting", LITE0, IMAGES, ["0"], COST),
        ("other", f"{LITE0}_scratch", Images(900, 300, 500, 10, 5), ["0"], COST),
        ("handwriting", LITE0, Images(2400, 800, 0, 20), ["all"], COST),
    ]
    open_of = {
        ("handwriting", LITE0, "0", 0): STAGES,
        ("other", f"{LITE0}_scratch", "0", 0): STAGES,
        ("handwriting", LITE0, "all", 0): (),
    }
    found = predict_cells(Timer(params, None), planned, open_of, Engine(), Machine(2, 8 * 2**30))
    assert list(found) == [("handwriting", LITE0, "0"), ("other", f"{LITE0}_scratch", "0")]
    names = [name for name, _ in timed]
    assert sorted(names) == ["time_embedding", "time_measuring", "time_measuring", "time_training"]


def test_dvc_takes_longer_the_more_its_lock_file_holds():
    grid = {f"s{number}" for number in range(506)}
    assert predict_dvc(grid, []) == pytest.approx(1 + 0.031 * 253)  # it grows from nothing
    assert predict_dvc(grid, grid) == pytest.approx(1 + 0.031 * 506)
    half = set(sorted(grid)[:200])
    assert predict_dvc(half, grid - half) == pytest.approx(1 + 0.031 * (506 - 100))


def test_aggregate_takes_what_grids_of_its_size_took():
    assert [between(AGGREGATE_STARTS, cells) for cells in (1, 4, 105, 2000)] == [7.7, 7.7, 72, 103]


def test_what_ran_before_tells_how_long_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "time_start", {"aggregate": 2.0}.__getitem__)
    log = tmp_path / "durations.jsonl"
    assert predict_aggregate(["a", "b"], log) == 15.4
    rows = [
        ("prepare", "d", 9), ("measure", "a", 5), ("measure", "b", 5), ("aggregate", "", 30), ("prepare", "d", 7),
        ("prepare", "e", 1),
    ]  # fmt: skip
    log.write_text("".join(json.dumps({"stage": s, "cell": c, "seconds": n}) + "\n" for s, c, n in rows))
    assert predict_prepare(config({}), tmp_path, "d", log) == 7
    assert predict_aggregate(["a", "b"], log) == 30
    assert predict_aggregate(["a"], log) == 15.4  # that was another grid
    assert predict_aggregate([str(number) for number in range(42)], log) == 108


def test_cells_at_once_end_with_the_longest():
    assert side_by_side([100.0, 40.0, 60.0], 2) == 100.0
    assert side_by_side([3.0, 3.0, 2.0, 2.0, 2.0], 2) == 7.0  # longest first: 3 2 2 and 3 2
