"""What stages take: as much as earlier runs of the same work, else by a piece that is timed once and multiplied."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.commands.grid import stage_names
from stages.commands.plan import cost
from stages.commands.plan.cost import MAX_MEASURED, Line, Predictor, scaled
from stages.commands.plan.trial import Trial
from stages.commands.plan.work import Images, Work
from stages.embed.embedder import pooled_layers
from stages.embed.taps.tap import Tap
from stages.shared.runtime.durations import machine
from tests.commands.edited import config, content

IMAGES = Images(1800, 600, 500, 15, 5, packed=4000)
LAYERS = pooled_layers([Tap(str(n), n, "vector", False, 0, 8, 1, 1) for n in range(9)], ["auto"])
WORK = Work(1, 7200, 1200, 5000, 1100, 1.0, 1, 1, 50, layers=LAYERS, baselines=1)
LITE0 = "efficientnet_lite0"
LINE = Line("handwriting", LITE0, ["0"], IMAGES, WORK)
TRIALS = {
    "train_a_batch": Trial(4.0, 0.5, 1e9),
    "embed_a_batch": Trial(3.0, 0.25, 6e8),
    "measure_a_layer": Trial(2.0, 5.0, 3e8, before=2e8),
}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was timed, and with which arguments."""
    found = list[tuple[Any, ...]]()

    def in_own_process(work: Callable[..., Trial], *args: object) -> Trial:
        found.append((work.__name__, *args))
        return TRIALS[work.__name__]

    monkeypatch.setattr(cost, "in_own_process", in_own_process)
    monkeypatch.setattr(cost, "processes", lambda: 3)
    return found


def predictor(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, log: Path = Path("none")) -> Predictor:
    monkeypatch.setattr(cost, "stage_path", lambda *_: log)
    return Predictor(config(changes))


def test_a_cell_takes_what_its_batches_and_layers_take(timed: list[object], monkeypatch: pytest.MonkeyPatch):
    found = predictor({}, monkeypatch)
    finetune, embed, measure = (found.stage(stage, LINE) for stage in ("finetune", "embed", "measure"))
    assert finetune.seconds == pytest.approx(4 + (7200 + 1200 / 3) / 72 * 0.5)
    assert finetune.memory == 1e9 + 4000 * 64 * 64 * 3
    assert embed.seconds == pytest.approx(3 + (5000 - 1200) / found.config.embed.batch_size * 0.25)
    assert embed.memory == 6e8 + 50
    assert measure.seconds == pytest.approx(3 * 2 + (9 + 1 / 3) * 5)  # raw pixels at one of three steps
    assert measure.memory == 3 * 3e8


def test_of_many_images_a_share_is_measured(timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    many = replace(LINE, images=replace(IMAGES, test=4 * MAX_MEASURED, classes=40, unseen=2000, unseen_classes=8))
    found = predictor({}, monkeypatch).stage("measure", many)
    assert timed[-1][2] == (("test", (MAX_MEASURED, 10)), ("unseen", (500, 2)))
    assert found.seconds == pytest.approx(3 * 2 + (9 + 1 / 3) * 5 * 4**2)
    assert found.memory == pytest.approx(3 * (2e8 + 4 * 1e8))
    assert scaled(9, 3, 0.2) == (4, 2)


def test_what_costs_the_same_is_timed_once(timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    found = predictor({"run.folds": [0, 1]}, monkeypatch)
    lines = [LINE, replace(LINE, folds=["1"])]
    costs = found.costs(lines, {name for cell in found.config.run.cells() for name in stage_names(cell)})
    assert {stage: len(runs) for stage, runs in costs.items()} == {"finetune": 2, "embed": 2, "measure": 2}
    assert sorted(name for name, *_ in timed) == sorted(TRIALS)


def logged(folder: Path, changes: dict[str, Any], **row: Any) -> Path:
    """A log of one run of finetune, with the parameters of params.yaml."""
    tree = content(changes)
    parameters = {"finetune": tree["finetune"], f"models.{LITE0}.network": tree["models"][LITE0]["network"]}
    names = {"stage": "finetune", "cell": "d", "seconds": 60.0, "cpu": 100.0, "memory": 5e8}
    path = folder / "durations.jsonl"
    with path.open("a") as file:
        whole = {**names, "machine": machine(os.environ), "images": 2400, "parameters": parameters, **row}
        file.write(json.dumps(whole) + "\n")
    return path


def test_passes_and_scores_of_another_network_or_of_other_checkpoints_tell_nothing(
    tmp_path: Path, timed: list[object], monkeypatch: pytest.MonkeyPatch
):
    tree = content({})
    work = {"images": 1100, "checkpoints": 3, "operations": 1, "classes": 20, "layers": 10}
    embed = {"embed": tree["embed"], f"models.{LITE0}.taps": tree["models"][LITE0]["taps"]}
    logged(tmp_path, {}, stage="embed", parameters=embed, **work)
    log = logged(tmp_path, {}, stage="measure", parameters={"measure": tree["measure"]}, **work)

    def are_logged(changes: dict[str, Any], line: Line = LINE) -> list[bool]:
        found = predictor(changes, monkeypatch, log)
        return [found.stage(stage, line).logged for stage in ("embed", "measure")]

    assert are_logged({}) == [True, True]
    assert are_logged({"finetune.steps": [0, 100]}) == [False, False]
    larger = pooled_layers([Tap(str(n), n, "vector", False, 0, 8, 1, 2) for n in range(9)], ["auto"])
    assert are_logged({}, replace(LINE, work=replace(WORK, layers=larger))) == [False, True]


def test_an_earlier_run_of_the_same_work_tells_what_it_takes(
    tmp_path: Path, timed: list[object], monkeypatch: pytest.MonkeyPatch
):
    log = logged(tmp_path, {})

    def seconds(changes: dict[str, Any], images: Images = IMAGES) -> float:
        found = predictor(changes, monkeypatch, log).stage("finetune", replace(LINE, images=images))
        assert found.logged
        return found.seconds

    assert seconds({}) == 100
    assert seconds({}, Images(1980, 660, 500, 15, 5)) == pytest.approx(110)
    for cpu in (20.0, 40.0):
        logged(tmp_path, {}, cpu=cpu)
    assert seconds({}) == 40  # the median
    assert timed == []


def test_other_work_and_other_machines_tell_nothing(
    tmp_path: Path, timed: list[object], monkeypatch: pytest.MonkeyPatch
):
    log = logged(tmp_path, {})

    def is_logged(changes: dict[str, Any], images: Images = IMAGES) -> bool:
        return predictor(changes, monkeypatch, log).stage("finetune", replace(LINE, images=images)).logged

    assert not is_logged({"finetune.steps": [0, 50, 200]})
    assert not is_logged({f"models.{LITE0}.network.image_size": 96})
    assert not is_logged({}, Images(5000, 600, 500, 15, 5))
    log.unlink()
    logged(tmp_path, {}, machine="another")
    logged(tmp_path, {}, resumed=True)
    with log.open("a") as file:
        file.write('{"stage": "finetune", "cell": "d", "seconds": 7.0}\n')  # as versions before 0.2 logged it
    assert not is_logged({})
