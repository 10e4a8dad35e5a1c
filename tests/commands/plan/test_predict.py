"""How long stages take: as earlier runs of the same work took, else by pieces that are timed once and multiplied."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.commands.plan import predict
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.predict import (
    LIBRARIES,
    LOADED,
    Engine,
    Line,
    Machine,
    Predictor,
    fleet_seconds,
    predict_dvc,
    side_by_side,
)
from stages.commands.plan.work import Images, Work
from stages.embed.embedder import pooled_layers
from stages.embed.taps.tap import Tap
from stages.shared.runtime.durations import machine
from tests.commands.edited import config, content

IMAGES = Images(1800, 600, 500, 15, 5)
LAYERS = pooled_layers([Tap(str(n), n, "vector", False, 0, 8, 1, 1) for n in range(9)], ["auto"])
WORK = Work(1, 7200, 1200, 5000, 1100, 1.0, 1, 1, 50, layers=LAYERS, baselines=1)
LITE0 = "efficientnet_lite0"
STAGES = ("finetune", "embed", "measure")
HERE = Machine(2, 8 * 2**30)
LINE = Line("handwriting", LITE0, ["0"], IMAGES, WORK)
PIECES: dict[str, Any] = {
    "time_training": Cost(0.01, 1e6),
    "time_embedding": (3.0, Cost(0.002, 2e5)),
    "time_measuring": Cost(4.0, 3e8),
}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was timed."""
    found = list[str]()

    def piece(name: str) -> Any:
        def work(*arguments: object, **options: object) -> Any:
            found.append(name)
            return PIECES[name]

        return work

    for name in PIECES:
        monkeypatch.setattr(predict, name, piece(name))
    return found


def predictor(
    changes: dict[str, Any], log: Path = Path("none"), engine: Engine | None = None, here: Machine = HERE
) -> Predictor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "this_machine", lambda: here)
        patch.setattr(predict, "stage_path", lambda stage, option: log)
        return Predictor(config(changes), engine or Engine(1, 2), [LINE])


def test_a_cell_takes_what_its_passes_take(timed: list[str]):
    found = predictor({"finetune.steps": [0, 100]}).stages(LINE, STAGES)
    assert found["finetune"].seconds == pytest.approx(LOADED + 3 + 7200 * 0.01 + 1200 * 0.002)
    assert found["embed"].seconds == pytest.approx(LOADED + 3 + (5000 - 1200) * 0.002)
    assert found["measure"].seconds == pytest.approx(2 * LOADED + (9 * 4 + 2) / 2)
    assert found["finetune"].memory == LIBRARIES["finetune"] + 16 + 72 * 1e6
    assert found["embed"].memory == LIBRARIES["embed"] + 50 + 128 * 2e5
    assert found["measure"].memory == 2 * (LIBRARIES["measure"] + 3e8)


def test_a_cell_of_a_fleet_is_measured_in_as_many_processes_as_it_has_threads(timed: list[str]):
    found = predictor({}, engine=Engine(2)).stages(LINE, ["measure"])["measure"]
    assert found.seconds == pytest.approx(2 * LOADED + 9 * 4 + 4 / 3)  # raw pixels at one of three steps
    assert found.memory == LIBRARIES["measure"] + 3e8
    assert timed == ["time_measuring"]  # alone, since it alone is open


def test_memory_of_a_gpu_is_not_known(timed: list[str]):
    found = predictor({}, engine=Engine(1), here=Machine(2, 8 * 2**30, "cuda", 1)).stages(LINE, STAGES)
    assert [found[stage].memory for stage in STAGES] == [0, 0, LIBRARIES["measure"] + 3e8]


def test_what_costs_the_same_is_timed_once(timed: list[str]):
    found = predictor({})
    scratch = Line("handwriting", f"{LITE0}_scratch", ["0"], Images(900, 300, 500, 10, 5), WORK)
    for line in (LINE, scratch, LINE):
        found.stages(line, STAGES)
    assert sorted(timed) == ["time_embedding", "time_measuring", "time_measuring", "time_training"]


def logged(folder: Path, changes: dict[str, Any], **row: Any) -> Path:
    """A log of one run of finetune, with the parameters of params.yaml."""
    tree = content(changes)
    parameters = {"finetune": tree["finetune"], f"models.{LITE0}.network": tree["models"][LITE0]["network"]}
    names = {"stage": "finetune", "cell": "d", "seconds": 100.0, "memory": 5e8, "machine": machine(os.environ)}
    path = folder / "durations.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({**names, "images": 2400, "parameters": parameters, **row}) + "\n")
    return path


def test_passes_and_scores_of_another_network_or_of_other_checkpoints_tell_nothing(tmp_path: Path, timed: list[str]):
    tree = content({})
    work = {"images": 1100, "checkpoints": 3, "operations": 1, "classes": 20, "layers": 10}
    embed = {"embed": tree["embed"], f"models.{LITE0}.taps": tree["models"][LITE0]["taps"]}
    logged(tmp_path, {}, stage="embed", parameters=embed, **work)
    log = logged(tmp_path, {}, stage="measure", parameters={"measure": tree["measure"]}, **work)

    def are_logged(changes: dict[str, Any], line: Line = LINE) -> list[bool]:
        found = predictor(changes, log, engine=Engine()).stages(line, ["embed", "measure"])
        return [cost.logged for cost in found.values()]

    assert are_logged({}) == [True, True]
    assert are_logged({"finetune.steps": [0, 100]}) == [False, False]
    larger = pooled_layers([Tap(str(n), n, "vector", False, 0, 8, 1, 2) for n in range(9)], ["auto"])
    assert are_logged({}, replace(LINE, work=replace(WORK, layers=larger))) == [False, True]


def finetune(log: Path, changes: dict[str, Any], images: Images = IMAGES) -> tuple[float, bool]:
    found = predictor(changes, log, engine=Engine()).stages(
        Line("handwriting", LITE0, ["0"], images, WORK), ["finetune"]
    )
    return found["finetune"].seconds, found["finetune"].logged


def test_an_earlier_run_of_the_same_work_tells_how_long_it_takes(tmp_path: Path, timed: list[str]):
    log = logged(tmp_path, {})
    assert finetune(log, {}) == (100.0, True)
    assert finetune(log, {"finetune.learning_rate": 0.1}) == (100.0, True)  # which costs nothing
    assert finetune(log, {}, Images(1980, 660, 500, 15, 5)) == (pytest.approx(110.0), True)
    for seconds in (20.0, 40.0):
        logged(tmp_path, {}, seconds=seconds)
    assert finetune(log, {}) == (40.0, True)  # the median
    assert timed == []


def test_other_work_and_other_machines_tell_nothing(tmp_path: Path, timed: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WHICHLAYER_WORKERS", raising=False)  # of the machine, as a fleet of one worker has it
    log = logged(tmp_path, {})
    assert finetune(log, {"finetune.steps": [0, 50, 200]})[1] is False
    assert finetune(log, {f"models.{LITE0}.network.image_size": 96})[1] is False
    assert finetune(log, {}, Images(5000, 600, 500, 15, 5))[1] is False
    assert predictor({}, log, engine=Engine(1)).stages(LINE, ["finetune"])["finetune"].logged is False
    log.unlink()
    logged(tmp_path, {}, machine="another")
    logged(tmp_path, {}, resumed=True)
    with log.open("a") as file:
        file.write('{"stage": "finetune", "cell": "d", "seconds": 7.0}\n')  # as earlier versions logged it
    assert finetune(log, {})[1] is False


def test_dvc_takes_longer_the_more_its_lock_file_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "DVC_SECONDS", (3.0, 0.5))
    grid = [f"s{number}" for number in range(100)]

    def mean_over_stages(stages: list[str], recorded: list[str]) -> float:
        """Each stage finds in the lock file what was there and the stages before it, and half of itself."""
        new = [stage for stage in stages if stage not in recorded]
        entries = [len(recorded) + new.index(stage) + 0.5 for stage in new] or [len(recorded)]
        return 3.0 + 0.5 * sum(entries) / len(entries)

    for stages, recorded in ((grid, []), (grid, grid), (grid[:40], grid[40:]), (grid[:10], grid[5:])):
        assert predict_dvc(stages, recorded) == pytest.approx(mean_over_stages(stages, recorded))


def test_aggregate_takes_what_grids_of_its_size_took(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "AGGREGATE_STARTS", {4: 2.0, 8: 10.0, 100: 20.0})
    found = [predictor({}).aggregate(cells) / LOADED for cells in (1, 4, 6, 8, 54, 100, 2000)]
    assert found == pytest.approx([2, 2, 6, 10, 15, 20, 20])  # between two sizes in proportion, beyond them as there


def test_a_fleet_takes_what_was_measured_around_its_cells():
    measured = {14: 18, 44: 19, 506: 45, 3002: 425}
    assert [fleet_seconds(stages) for stages in measured] == pytest.approx([*measured.values()], rel=0.1)


def test_cells_at_once_end_with_the_longest(monkeypatch: pytest.MonkeyPatch):
    def end(*seconds: float) -> float:
        cells = [{"finetune": Cost(each, 1.0), "measure": Cost(50.0, 1.0)} for each in seconds]
        return side_by_side(cells, ["finetune"], 2)

    monkeypatch.setattr(predict, "FLEET_CELL_SECONDS", 0.0)
    assert end(100.0, 40.0, 60.0) == 100.0
    assert end(3.0, 3.0, 2.0, 2.0, 2.0) == 7.0  # longest first: 3 2 2 and 3 2
    monkeypatch.setattr(predict, "FLEET_CELL_SECONDS", 1.5)
    assert end(3.0, 3.0, 2.0, 2.0, 2.0) == 7.0 + 3 * 1.5
    assert side_by_side([], ["finetune"], 2) == 0.0


def test_a_download_is_not_begun(tmp_path: Path):
    (tmp_path / "calligraphy").mkdir()
    (tmp_path / "calligraphy" / "source.json").write_text("{}")
    assert predictor({}).prepare(tmp_path, "calligraphy") == 0


TWO = Machine(2, 8 * 2**30)


def test_dvc_repro_takes_what_the_stages_take_by_themselves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "5")
    engine = Engine()
    assert (str(engine), engine.processes) == ("dvc repro", 5)
    assert engine.slowdown(TWO) == 1.0


def test_a_fleet_takes_what_its_options_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "5")
    assert (str(Engine(2)), Engine(2).processes) == ("whichlayer fleet --workers 2", 1)
    assert str(Engine(2, 3)) == "whichlayer fleet --workers 2 --threads 3"
    assert (Engine(2, 3).environment["OMP_NUM_THREADS"], Engine(2, 3).processes) == ("3", 3)


def test_cells_share_processors():
    assert [Engine(workers).slowdown(TWO) for workers in (1, 2, 4)] == [1, 1, 2]
    assert Engine(1, 4).slowdown(TWO) == 1  # what is timed is as slow
    assert Engine(2, 2).slowdown(TWO) == 2
