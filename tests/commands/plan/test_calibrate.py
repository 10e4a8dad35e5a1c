"""Speed and memory of this machine: what is timed is the real work."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from stages.commands.plan import calibrate
from stages.commands.plan.calibrate import time_batches, time_embedding, time_training
from stages.commands.plan.work import Images, work_of
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
    found = time_batches(step, 72, 8, Accelerator(cpu=True), allowed)
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
        torch.ones(len(pixels), 2**22)  # 16 MiB an image

    memory = time_batches(step, 16, 8, Accelerator(cpu=True), 10.0).memory
    assert memory == pytest.approx(2**24, rel=0.3)
