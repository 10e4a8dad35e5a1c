"""Speed and memory of this machine: what is timed is the real work, and what is multiplied adds up."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stages.commands.plan import calibrate_measure
from stages.commands.plan.calibrate import extended, in_new_process, time_embedding, time_start, time_training
from stages.commands.plan.calibrate_measure import time_measuring, write_layer
from stages.commands.plan.images import Images
from stages.measure.cell import Cell
from stages.measure.jobs import Job
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.commands.edited import config

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}


def test_memory_is_extended_along_the_line_through_the_last_two_batches():
    assert extended([(4, 100.0), (8, 140.0)], 72) == 140 + 10 * 64
    assert extended([(4, 100.0), (8, 140.0)], 8) == 140
    assert extended([(0, 60.0), (6, 120.0)], 72) == 60 + 10 * 72


def test_training_and_embedding_are_timed_and_a_process_of_its_own_starts():
    params = config({"models.tiny": {"network": TINY, "taps": {"layers": "default"}}, "finetune.batch_size": 16})
    entry = params.models["tiny"]
    train = in_new_process(time_training, entry.network, params.finetune, 32, 4)
    embed = in_new_process(time_embedding, entry.network, entry.taps, params.embed, 32, 4)
    assert min(train.seconds, embed.seconds) > 0
    assert min(train.start, embed.start) > 0.3  # importing torch alone takes longer
    assert 100 * 2**20 < embed.memory < 8 * 2**30


def test_layers_are_written_with_the_classes_and_images_asked_for(tmp_path: Path):
    write_layer(tmp_path / "store", {"test": (90, 3), "unseen": (40, 2)}, {"test": 2, "unseen": 1}, 7, [0, 5])
    store = open_embeddings(tmp_path / "store")
    assert [len(store.labels(split)) for split in ("test", "unseen")] == [45, 40]
    assert np.unique(store.labels("unseen")).tolist() == ["unseen 0", "unseen 1"]


def test_seconds_of_jobs_add_up_over_steps_and_splits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrate_measure, "seconds_of", lambda cell, job: 1.0)
    params = config({"measure.analyses": []}).measure

    def total(test: int, unseen: int, steps: list[int]) -> tuple[float, float]:
        speed, pixels = time_measuring(params, Images(60, test, unseen, 3, 3), 8, steps, 0.0)
        return speed.seconds, pixels

    assert total(40, 60, [0, 5]) == (4, 2)  # one job per split and step
    assert total(40, 0, [0, 5]) == (2, 1)
    assert total(40, 60, [0, 1, 2, 3, 5]) == (10, 2)  # those between take what the middle one takes


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_time_of_many_images_grows_by_the_power_by_which_it_grew(monkeypatch: pytest.MonkeyPatch, power: float):
    def seconds(cell: Cell, job: Job) -> float:
        return float(len(cell.store.labels(job.split))) ** power

    monkeypatch.setattr(calibrate_measure, "seconds_of", seconds)
    params = config({"measure.analyses": []}).measure
    speed, pixels = time_measuring(params, Images(60, 0, 2500, 3, 5), 8, [0, 5], 0.0)
    assert pixels == pytest.approx(2500**power)
    assert speed.seconds == pytest.approx(2 * 2500**power)


def threads_here(began: float) -> int:
    return torch.get_num_threads()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_new_process_has_as_many_threads_as_the_cells_of_a_fleet(threads: int):
    assert in_new_process(threads_here, threads=threads) == threads


def test_a_stage_takes_a_moment_to_start():
    assert 0.1 < time_start("finetune") < 60  # which imports torch later
