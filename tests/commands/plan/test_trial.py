"""Pieces of the stages' own work, in processes of their own."""

import os
import signal

import numpy as np
import pytest

from stages.commands.plan.trial import Trial, embed_a_batch, in_own_process, made_layer, measure_a_layer, train_a_batch
from stages.measure.cell import Cell
from stages.measure.run import limit_to_one_thread, plan_jobs, score
from stages.shared.runtime.durations import process_peak
from stages.shared.runtime.errors import UserError
from tests.commands.edited import config

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
MIB = 2**20


@pytest.mark.slow
def test_training_and_embedding_are_timed():
    params = config({"models.tiny": {"network": TINY, "taps": {"layers": "default"}}})
    entry, size = params.models["tiny"], 32
    train = in_own_process(train_a_batch, entry.network, params.finetune, 64, size, 4)
    few = in_own_process(train_a_batch, entry.network, params.finetune, 4, size, 4)
    embed = in_own_process(embed_a_batch, entry.network, entry.taps, params.embed, size, 4)
    assert 0 < few.seconds < train.seconds
    assert 0 < embed.seconds / params.embed.batch_size < train.seconds / 64
    assert min(train.start, embed.start) > 0.5  # imports
    assert min(train.memory, embed.memory) > 200 * MIB


def hold(size: int) -> Trial:
    """Hold memory, and let it go."""
    np.ones(size * MIB, dtype=np.uint8)
    return Trial(0, 0, process_peak())


def test_memory_is_that_of_the_process_that_does_the_work_and_of_no_other():
    mine = np.ones(800 * MIB, dtype=np.uint8)
    little, much = (in_own_process(hold, size).memory for size in (1, 300))
    assert much - little == pytest.approx(299 * MIB, rel=0.05)
    assert little < len(mine)


def waits() -> Trial:
    """Tell how threads wait."""
    return Trial(0, 0, os.environ["OMP_WAIT_POLICY"] == "PASSIVE")


def test_threads_that_wait_take_no_processor():
    assert in_own_process(waits).memory


def die() -> Trial:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_process_that_is_killed_is_one_message():
    with pytest.raises(UserError, match="must fit into memory, its process was killed; lower"):
        in_own_process(die)


def test_a_layer_takes_what_the_stage_computes_of_it():
    params = config({"measure.analyses": []}).measure
    found = measure_a_layer(params, (("unseen", (200, 5)),), 8, (0, 5))
    store = made_layer({"unseen": (200, 5)}, 8, (0, 5))
    assert [len(store.labels("unseen")), len(np.unique(store.labels("unseen")))] == [200, 5]
    cell, ended = Cell(store, params), list[float]()
    with limit_to_one_thread(params):
        for job in plan_jobs(store, params):
            began = os.times().user
            score(cell, job)
            ended.append(os.times().user - began)
    assert found.seconds == pytest.approx(sum(ended), rel=0.6)
