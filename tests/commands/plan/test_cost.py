"""What stages take: as much as earlier runs of the same work, else by a piece that is timed once and multiplied."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages.commands.grid import all_stages
from stages.commands.plan import cost
from stages.commands.plan.cost import Cost, Images, Predictor, Work, estimates
from stages.commands.plan.model import PER_IMAGE, PER_IMAGE_AND_CLASS, PER_PAIR, START
from stages.commands.plan.trial import Trial
from stages.commands.project import duration
from stages.embed.embedder import pooled_layers
from stages.embed.taps.tap import Tap
from stages.shared.runtime.durations import machine
from tests.commands.edited import ROOT, config, content

IMAGES = Images(1800, 600, 500, 15, 5)
LAYERS = [
    each.layer for each in pooled_layers([Tap(str(n), n, "vector", False, 0, 8, 1, 1) for n in range(9)], ["auto"])
]
WORK = Work(passed=3800, embedded=1100, disk=10, shards=50, layers=LAYERS)
LITE0 = "efficientnet_lite0"
TRIALS = {
    "train_a_batch": Trial(4.0, 0.5, 1e9),
    "embed_a_batch": Trial(3.0, 0.25, 6e8),
    "measure_a_layer": Trial(2.0, 5.0, 3e8),
}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was timed, and with which arguments."""
    found = list[tuple[Any, ...]]()

    def in_own_process(work: Callable[..., Trial], *args: object) -> Trial:
        found.append((work.__name__, *args))
        return TRIALS[work.__name__]

    monkeypatch.setattr(cost, "in_own_process", in_own_process)
    monkeypatch.setattr(cost, "worker_count", lambda _: 2)
    monkeypatch.setattr(cost, "count_images", lambda plan, fold: IMAGES)
    monkeypatch.setattr(cost, "work_of", lambda *_: WORK)
    return found


def costs(
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    *,
    log: Path = Path("none"),
    images: Images = IMAGES,
    work: Work = WORK,
) -> dict[str, list[Cost]]:
    monkeypatch.setattr(cost, "stage_path", lambda *_: log)
    monkeypatch.setattr(cost, "count_images", lambda plan, fold: images)
    monkeypatch.setattr(cost, "work_of", lambda *_: work)
    params = config(changes)
    return Predictor(params, ROOT / "data" / "raw").costs(all_stages(params.run))


def test_a_cell_takes_what_its_batches_and_layers_take(timed: list[object], monkeypatch: pytest.MonkeyPatch):
    found = costs({}, monkeypatch)
    (finetune,), (embed,), (measure,) = found["finetune"], found["embed"], found["measure"]
    assert finetune.seconds == pytest.approx(4 + (7200 + 3 * 600 / 3) / 72 * 0.5)
    assert finetune.memory == 1e9 + 20 * (120 + 40) * 64 * 64 * 3  # images of all folds
    assert embed.seconds == pytest.approx(3 + 3800 / config({}).embed.batch_size * 0.25)
    assert embed.memory == 6e8 + 50
    assert measure.seconds == pytest.approx(3 * 2 + (9 + 1 / 3) * 5)  # raw pixels at one of three steps
    assert measure.memory == 3 * 3e8


def test_a_frozen_network_is_not_trained_and_its_sets_of_classes_are_measured_one_by_one(
    timed: list[Any], monkeypatch: pytest.MonkeyPatch
):
    sets = replace(IMAGES, test=0, unseen=2000, unseen_classes=20, sets=4)
    found = costs({f"models.{LITE0}.network.frozen": True}, monkeypatch, images=sets)
    assert found["finetune"] == [Cost(3.0, 6e8)]
    assert timed[-1][2] == {"unseen": (500, 5)}
    assert found["measure"][0].seconds == pytest.approx(3 * 2 + 4 * (9 + 1) * 5)


def test_what_costs_the_same_is_timed_once(timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    found = costs({"run.folds": [0, 1]}, monkeypatch)
    assert {stage: len(runs) for stage, runs in found.items()} == {"finetune": 2, "embed": 2, "measure": 2}
    assert sorted(name for name, *_ in timed) == sorted(TRIALS)


def test_checkpoints_and_stores_of_every_cell_and_images_of_every_dataset_take_disk(timed: list[object]):
    params = config({"run.folds": [0, 1], "run.seeds": [0, 1, 2]})
    assert Predictor(params, ROOT / "data" / "raw").disk() == 6 * WORK.disk + 20 * (120 + 40) * 64 * 64 * 3


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

    def are_logged(changes: dict[str, Any], layers: Any = LAYERS) -> list[bool]:
        found = costs(changes, monkeypatch, log=log, work=replace(WORK, layers=layers))
        return [found[stage][0].seconds == 100 for stage in ("embed", "measure")]

    assert are_logged({}) == [True, True]
    assert are_logged({"finetune.steps": [0, 100]}) == [False, False]
    assert are_logged({}, [*LAYERS[:-1], replace(LAYERS[-1], operations=2)]) == [False, True]


def test_an_earlier_run_of_the_same_work_tells_what_it_takes(
    tmp_path: Path, timed: list[Any], monkeypatch: pytest.MonkeyPatch
):
    log = logged(tmp_path, {})

    def seconds(images: Images = IMAGES) -> float:
        return costs({}, monkeypatch, log=log, images=images)["finetune"][0].seconds

    assert seconds() == 100
    assert seconds(Images(1980, 660, 500, 15, 5)) == pytest.approx(110)
    for cpu in (20.0, 40.0):
        logged(tmp_path, {}, cpu=cpu)
    assert seconds() == 40  # the median
    assert "train_a_batch" not in [name for name, *_ in timed]


def test_other_work_and_other_machines_tell_nothing(tmp_path: Path, timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    log = logged(tmp_path, {})

    def is_logged(changes: dict[str, Any], images: Images = IMAGES) -> bool:
        timed.clear()
        costs(changes, monkeypatch, log=log, images=images)
        return "train_a_batch" not in [name for name, *_ in timed]

    assert is_logged({})
    assert not is_logged({"finetune.steps": [0, 50, 200]})
    assert not is_logged({f"models.{LITE0}.network.image_size": 96})
    assert not is_logged({}, Images(5000, 600, 500, 15, 5))
    log.unlink()
    logged(tmp_path, {}, machine="another")
    logged(tmp_path, {}, resumed=True)
    with log.open("a") as file:
        file.write('{"stage": "finetune", "cell": "d", "seconds": 7.0}\n')  # as versions before 0.2 logged it
    assert not is_logged({})


def test_times_add_up_and_are_divided_by_the_processors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cost, "processors", lambda: 4)
    runs = {"finetune": [Cost(s, 2**30) for s in (100.0, 40.0, 60.0)], "embed": [], "measure": [Cost(40, 2**20)]}
    _, table, total = estimates(runs, on_gpu=False)
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["finetune", "3", "2", "min", "1.0", "GiB"],
        ["measure", "1", "40", "s", "1", "MiB"],
    ]
    assert total == "in all 4 min on one processor, 60 s if all 4 are at work"
    assert "GiB" not in [*estimates(runs, on_gpu=True)][1].splitlines()[1]  # a GPU has memory of its own
    assert [duration(s) for s in (89, 600, 7200)] == ["89 s", "10 min", "2.0 h"]


def test_a_study_of_less_than_a_minute_is_not_timed(timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    small, changes = Images(0, 0, 100, 0, 5), {f"models.{LITE0}.network.frozen": True}
    found = costs(changes, monkeypatch, images=small, work=replace(WORK, passed=100))
    assert not timed
    assert found["finetune"] == [Cost(START, 0)]
    assert found["measure"][0].seconds == pytest.approx(3 * START + 10 * 100 * 5 * PER_IMAGE_AND_CLASS)
    costs(changes, monkeypatch, images=replace(small, unseen=20_000), work=replace(WORK, passed=100))
    assert timed
    lines = [*estimates(found, on_gpu=False, timed=False)]
    assert lines[0].startswith("estimated for a common processor, by counts alone")
    assert [line.split()[-1] for line in lines[1].splitlines()[1:]] == ["-"] * 3  # memory


def test_representations_are_counted(timed: list[Any], monkeypatch: pytest.MonkeyPatch):
    sets = replace(IMAGES, test=0, unseen=2000, unseen_classes=20, sets=4)
    changes = {f"models.{LITE0}.network.frozen": True, "measure.analyses": []}
    plain = costs(changes, monkeypatch, images=sets)["measure"][0].seconds
    more = costs(changes | {"measure.analyses": ["representations"]}, monkeypatch, images=sets)["measure"][0].seconds
    candidates = (9 + 4) * 5  # joins of two, four, five and nine layers; recipes
    assert more - plain == pytest.approx(candidates * (4 + 20) * (2000 * PER_IMAGE + 1000 * 1000 * PER_PAIR))
    one = costs(changes | {"measure.analyses": ["representations"]}, monkeypatch, images=replace(sets, sets=1))
    assert one["measure"][0].seconds < plain
