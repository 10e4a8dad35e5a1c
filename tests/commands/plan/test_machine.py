"""How cells share a machine: its processors, and its GPUs."""

import pytest

from stages.commands.plan.machine import Engine, Machine

TWO = Machine(2, 8 * 2**30)
TWO_GPUS = Machine(16, 8 * 2**30, "cuda", 2)


def test_dvc_repro_takes_what_the_stages_take_by_themselves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "5")
    engine = Engine()
    assert (str(engine), engine.processes) == ("dvc repro", 5)
    assert (engine.at_once(TWO), engine.at_once(TWO_GPUS), engine.slowdown(TWO)) == (1, 1, 1.0)


def test_a_fleet_takes_what_its_options_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHICHLAYER_WORKERS", "5")
    assert (str(Engine(2)), Engine(2).processes) == ("whichlayer fleet run --workers 2", 1)
    assert str(Engine(2, 3)) == "whichlayer fleet run --workers 2 --threads 3"
    assert (Engine(2, 3).environment["OMP_NUM_THREADS"], Engine(2, 3).processes) == ("3", 3)


def test_cells_share_processors_and_each_has_a_gpu_to_itself():
    assert [Engine(workers).slowdown(TWO) for workers in (1, 2, 4)] == [1, 1, 2]
    assert Engine(1, 4).slowdown(TWO) == 1  # what is timed is as slow
    assert Engine(2, 2).slowdown(TWO) == 2
    assert [Engine(workers).at_once(TWO_GPUS) for workers in (1, 2, 4)] == [1, 2, 2]
