"""Pieces of the stages' own work, in processes of their own."""

import os
import signal

import numpy as np
import pytest

from stages.commands.plan import trial
from stages.commands.plan.trial import Trial, embed_a_batch, in_own_process, made_layer, measure_a_layer, train_a_batch
from stages.measure.run import plan_jobs
from stages.shared.embeddings.embeddings import Embeddings
from stages.shared.runtime.durations import process_peak
from stages.shared.runtime.errors import UserError
from tests.commands.edited import config

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
MIB = 2**20


@pytest.mark.slow
def test_training_and_embedding_are_timed():
    params, size = config({"models.tiny": {"network": TINY, "taps": {"layers": "default"}}}), 32
    train = in_own_process(train_a_batch, params, "tiny", 64, size, 4)
    few = in_own_process(train_a_batch, params, "tiny", 4, size, 4)
    embed = in_own_process(embed_a_batch, params, "tiny", size, 4)
    assert 0 < few.seconds < train.seconds
    assert 0 < embed.seconds / params.embed.batch_size < train.seconds / 64
    assert min(train.start, embed.start) > 0.5  # imports
    assert min(train.memory, embed.memory) > 200 * MIB


def hold() -> Trial:
    """Hold memory, and let it go; `start` is the peak before, `seconds` whether threads wait without work."""
    before = process_peak()
    np.ones(before + 300 * MIB, dtype=np.uint8)  # more than ever, whatever imports took and gave back
    return Trial(before, os.environ["OMP_WAIT_POLICY"] == "PASSIVE", process_peak())


def test_a_process_of_its_own_has_memory_of_its_own_and_threads_that_take_no_processor_while_they_wait():
    mine = np.ones(800 * MIB, dtype=np.uint8)
    found = in_own_process(hold)
    assert found.start < len(mine)
    assert found.start + 300 * MIB <= found.memory <= 2 * found.start + 330 * MIB
    assert found.seconds


def die() -> Trial:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_process_that_is_killed_is_one_message():
    with pytest.raises(UserError, match="must fit into memory, found its process killed; lower"):
        in_own_process(die)


def test_what_is_timed_is_all_that_the_stage_computes_of_a_layer(monkeypatch: pytest.MonkeyPatch):
    params, timed = config({"measure.analyses": []}).measure, list[object]()
    monkeypatch.setattr(trial, "score_jobs", lambda _, __, jobs, **___: timed.extend(jobs))
    measure_a_layer(params, {"unseen": (200, 5)}, 8, (0, 5))
    store = made_layer({"unseen": (200, 5)}, 8, (0, 5))
    assert [len(store.labels("unseen")), len(np.unique(store.labels("unseen")))] == [200, 5]
    assert timed == plan_jobs(store, params)


def test_of_many_images_a_share_is_measured(monkeypatch: pytest.MonkeyPatch):
    measured = list[dict[str, int]]()

    def score_jobs(stores: list[Embeddings], *_: object, workers: int) -> None:
        measured.append({split: len(stores[0].labels(split)) for split in stores[0].splits})
        for _ in range(10**6):
            pass

    monkeypatch.setattr(trial, "score_jobs", score_jobs)
    params = config({"measure.analyses": []}).measure
    one = measure_a_layer(params, {"test": (1000, 10)}, 4, (0,))
    many = measure_a_layer(params, {"test": (4000, 40), "unseen": (8, 3)}, 4, (0,))
    assert measured == [{"test": 1000}, {"test": 1000, "unseen": 4}]
    assert many.seconds / one.seconds == pytest.approx(4**2, rel=0.6)
