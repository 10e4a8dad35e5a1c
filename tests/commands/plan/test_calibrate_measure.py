"""Measuring is timed on some of the images and classes, and extended to all."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.commands.plan import calibrate_measure
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.calibrate_measure import time_measuring, write_layer
from stages.commands.plan.work import Images
from stages.measure.cell import Cell
from stages.measure.jobs import Job, plan_jobs
from stages.measure.run import limit_to_one_thread, score
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.commands.edited import config


def test_layers_are_written_with_a_share_of_the_classes_and_images(tmp_path: Path):
    write_layer(tmp_path / "store", {"test": (900, 30), "unseen": (40, 2)}, 0.5, 7, [0, 5])
    store = open_embeddings(tmp_path / "store")
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

    monkeypatch.setattr(calibrate_measure, "score", score)
    monkeypatch.setattr(calibrate_measure, "timed", lambda work: Cost(work(), 0))
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


def test_pieces_of_the_real_code_add_up_to_all_that_is_asked_for(tmp_path: Path):
    params = config({"measure.analyses": []}).measure
    layer = time_measuring(params, Images(60, 0, 200, 3, 5), 8, [0], 60.0, 60.0)
    write_layer(tmp_path / "store", {"unseen": (200, 5)}, 1.0, 8, [0])
    cell = Cell(open_embeddings(tmp_path / "store"), params)
    (job,), began = plan_jobs(cell.store, params), time.process_time()
    with limit_to_one_thread(params):
        score(cell, job)
    assert layer.seconds == pytest.approx(time.process_time() - began, rel=0.6)
