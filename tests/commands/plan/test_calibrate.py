"""Speed and memory of this machine: what is timed is the real work."""

import mmap
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.commands.plan import calibrate
from stages.commands.plan.calibrate import (
    Cost,
    make_layer,
    time_batches,
    time_embedding,
    time_measuring,
    time_training,
)
from stages.commands.plan.work import Images, work_of
from stages.measure.cell import Cell
from stages.measure.run import Job, limit_to_one_thread, plan_jobs, score
from stages.shared.networks.device import Compute
from tests.commands.edited import config

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}


def test_training_and_embedding_are_timed():
    params = config({"models.tiny": {"network": TINY, "taps": {"layers": "default"}}, "finetune.batch_size": 16})
    entry, images = params.models["tiny"].network, Images(1800, 20, 20, 4, 2)
    layers = work_of(params, "tiny", images).layers
    train = time_training(entry, params.finetune, 32, classes=4, allowed=1.0)
    _, embed = time_embedding(entry, layers, params.embed.batch_size, 32, classes=4, allowed=1.0)
    assert 0 < embed.seconds < train.seconds
    assert min(train.memory, embed.memory) >= 0


def batches(monkeypatch: pytest.MonkeyPatch, seconds: float, allowed: float, fixed: float = 0.0) -> list[int]:
    """Return the batches that are timed where each image takes so many seconds, and each step some more."""
    now, sizes = [0.0], list[int]()

    def step(pixels: NDArray[np.uint8]) -> None:
        sizes.append(len(pixels))
        now[0] += seconds * len(pixels) + fixed

    for clock in ("process_time", "perf_counter"):
        monkeypatch.setattr(calibrate.time, clock, lambda: now[0])
    found = time_batches(step, 72, 8, Compute(torch.device("cpu"), "no"), allowed)
    if allowed > 2 * (seconds + fixed):
        assert found.seconds == pytest.approx(seconds + fixed / 72)
    return sizes


def test_a_batch_is_that_of_the_stage_or_as_large_as_is_allowed(monkeypatch: pytest.MonkeyPatch):
    assert batches(monkeypatch, 1e-4, 1.0) == [2, *[2] * 3, *[8] * 3, *[32] * 3, *[72] * 3]
    assert batches(monkeypatch, 0.01, 1.0, fixed=0.1) == [2, *[2] * 3, *[8] * 3]
    assert batches(monkeypatch, 0.1, 1.0) == [2, *[2] * 3]  # 8 would take 0.8 seconds, three times
    assert batches(monkeypatch, 6.0, 1.0) == [2]


def test_memory_is_that_of_the_images_of_a_batch():
    def step(pixels: NDArray[np.uint8]) -> None:
        with mmap.mmap(-1, len(pixels) * 2**24) as block:  # 16 MiB an image; a heap may hold what earlier tests freed
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1

    memory = time_batches(step, 16, 8, Compute(torch.device("cpu"), "no"), 10.0).memory
    assert memory == pytest.approx(2**24, rel=0.3)


def test_layers_are_made_of_a_share_of_the_classes_and_images():
    store = make_layer({"test": (900, 30), "unseen": (40, 2)}, 0.5, 7, [0, 5])
    assert [len(store.labels(split)) for split in ("test", "unseen")] == [450, 20]
    assert len(np.unique(store.labels("test"))) == 15
    assert np.unique(store.labels("unseen")).tolist() == ["unseen 0", "unseen 1"]


def measured(images: Images, steps: list[int], allowed: float = 60.0) -> float:
    params = config({"measure.analyses": [], "measure.refits.metrics": []}).measure
    return time_measuring(params, images, 8, steps, allowed, allowed).seconds


def fake(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> list[int]:
    """Make every job of so many images take so many seconds; return the numbers of images that are measured."""
    sizes = list[int]()

    def score(cell: Cell, job: Job) -> float:
        sizes.append(len(cell.store.labels(job.split)))
        return seconds(sizes[-1])

    monkeypatch.setattr(calibrate, "score", score)
    monkeypatch.setattr(calibrate, "timed", lambda work: Cost(work(), 0))
    return sizes


def test_seconds_of_jobs_add_up_over_steps_and_splits(monkeypatch: pytest.MonkeyPatch):
    fake(monkeypatch, lambda images: 1.0)

    assert measured(Images(60, 40, 60, 3, 3), [0, 5]) == 4  # one job per split and step
    assert measured(Images(60, 40, 0, 3, 3), [0, 5]) == 2
    assert measured(Images(60, 40, 60, 3, 3), [0, 1, 2, 3, 5]) == 10  # those between take what one of them takes


def test_time_of_many_images_grows_with_their_distances(monkeypatch: pytest.MonkeyPatch):
    sizes = fake(monkeypatch, lambda images: 3 + (images / 100) ** 2)
    assert measured(Images(60, 0, 2500, 3, 50), [0, 5], allowed=0.0) == pytest.approx(2 * (3 + 25**2))
    assert max(sizes) < 2500


def test_pieces_of_the_real_code_add_up_to_all_that_is_asked_for():
    params = config({"measure.analyses": []}).measure
    layer = time_measuring(params, Images(60, 0, 200, 3, 5), 8, [0], 60.0, 60.0)
    cell = Cell(make_layer({"unseen": (200, 5)}, 1.0, 8, [0]), params)
    (job,), began = plan_jobs(cell.store, params), time.process_time()
    with limit_to_one_thread(params):
        score(cell, job)
    assert layer.seconds == pytest.approx(time.process_time() - began, rel=0.6)
