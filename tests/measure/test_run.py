import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.measure import run as scoring
from stages.measure.params import MeasureParams
from stages.measure.run import Job, expected_cost, plan_jobs, score_jobs
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.processors import worker_count
from stages.shared.workflow import pool
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, LAYERS, write_store

ROOT = Path(__file__).parents[2]


def die(cells, job):
    os._exit(1)


def test_workers_come_from_the_flag_then_the_environment_then_the_machine(monkeypatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "5")
    assert worker_count("3") == 3
    assert worker_count(None) == 5
    monkeypatch.delenv("WHICHLAYER_WORKERS")
    assert worker_count(None) == len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5})  # of a taskset, or a scheduler's share
    assert worker_count(None) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert worker_count(None) == os.cpu_count()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_a_wrong_number_of_workers_is_named(monkeypatch, text):
    monkeypatch.setenv("WHICHLAYER_WORKERS", text)
    with pytest.raises(UserError, match="must be a whole number >= 1, found"):
        worker_count(None)


def test_results_keep_the_order_of_the_jobs(tmp_path):
    write_store(tmp_path / "store", steps=(0, 5))
    params = parse(DEFAULT | {"metrics": ["nn1_accuracy"]}, MeasureParams, where="measure")
    stores = open_embeddings(tmp_path / "store").sets
    jobs = plan_jobs(stores[0], params)
    results = score_jobs(stores, params, jobs, workers=1)
    assert [result.job for result in results] == jobs
    assert len({job.layer.width for job in jobs}) > 1
    assert score_jobs(stores, params, [], workers=2) == []


def test_where_processes_cannot_share_semaphores_one_measures(tmp_path, monkeypatch, capsys):
    def refuse(*args, **kwargs):
        raise OSError(38, "Function not implemented")

    write_store(tmp_path / "store", steps=(0,))
    params = parse(DEFAULT | {"metrics": ["nn1_accuracy"]}, MeasureParams, where="measure")
    stores = open_embeddings(tmp_path / "store").sets
    jobs = plan_jobs(stores[0], params)
    alone = score_jobs(stores, params, jobs, workers=1)
    monkeypatch.setattr(pool, "ProcessPoolExecutor", refuse)
    found = score_jobs(stores, params, jobs, workers=2)
    assert [(each.job, repr(each.scores)) for each in found] == [(each.job, repr(each.scores)) for each in alone]
    assert "in one process, since several cannot be had here ([Errno 38]" in capsys.readouterr().err


def test_refits_then_analyses_then_wide_layers_come_first():
    jobs = [
        Job(0, "unseen", LAYERS[3], (), (), ("nmi",)),
        Job(0, "unseen", LAYERS[1], (), ("ood",), ("nmi",)),
        Job(0, "test", LAYERS[3], (), ("ood", "k_sensitivity")),
        Job(0, "test", LAYERS[1], (), ("ood", "k_sensitivity")),
        Job(0, "test", LAYERS[3], ()),
    ]
    assert sorted(jobs, key=expected_cost, reverse=True) == [jobs[i] for i in (1, 0, 2, 3, 4)]


def test_a_killed_process_is_reported_with_a_remedy(tmp_path, monkeypatch):
    write_store(tmp_path / "store", steps=(0,))
    params = parse(DEFAULT, MeasureParams, where="measure")
    stores = open_embeddings(tmp_path / "store").sets
    jobs = plan_jobs(stores[0], params)
    monkeypatch.setattr(scoring, "_score", die)
    with pytest.raises(UserError, match="one of 2 measuring processes was killed, most likely for want of memory"):
        score_jobs(stores, params, jobs, workers=2)


KILLED = "one of 2 measuring processes was killed, most likely for want of memory"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EOFError(), KILLED), (ConnectionResetError(), KILLED), (BrokenPipeError(), KILLED),
        (OSError("AF_UNIX path too long"), "TMPDIR must be a path of at most 70 characters"),
    ],
)  # fmt: skip
def test_a_killed_server_of_processes_is_reported_alike(tmp_path, monkeypatch, error, message):
    def lose_server(*_):
        raise error

    write_store(tmp_path / "store", steps=(0,))
    params = parse(DEFAULT, MeasureParams, where="measure")
    stores = open_embeddings(tmp_path / "store").sets
    jobs = plan_jobs(stores[0], params)
    monkeypatch.setattr(pool.ProcessPoolExecutor, "map", lose_server)
    with pytest.raises(UserError, match=message):
        score_jobs(stores, params, jobs, workers=2)


def test_scores_load_no_library_whose_threads_were_not_limited():
    code = """
from threadpoolctl import threadpool_info
import stages.measure.run
from stages.core.scores.catalogue import LAYER_SCORES
from tests.measure.synthetic import blobs, embedded
libraries = {library["filepath"] for library in threadpool_info()}
split = embedded(*blobs([9, 8, 7], 5))
for score in LAYER_SCORES.values():
    score.score(split)
print({library["filepath"] for library in threadpool_info()} - libraries)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
