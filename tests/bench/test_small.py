"""Every benchmark runs from its command, on as little as it takes: `make bench` runs them one after the other."""

import subprocess
import sys
from pathlib import Path

import pytest

from stages.measure.scores.probe import TOLERANCE
from tests.bench.__main__ import MODULES
from tests.bench.probe_solver import differences
from tests.measure.synthetic import write_store

SMALL = {
    "embed_throughput": ["--images", "64", "--rounds", "1"],
    "memory": ["--images", "100"],
    "measure_cost": ["--images", "150"],
    "analysis_cost": ["--seen", "300", "--unseen", "100"],
}

ON_EMBEDDINGS = {
    "probe_solver": ["--tolerances", "1e-6"],
}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_runs(module: str) -> None:
    assert output(module, *SMALL[module])


@pytest.mark.slow
@pytest.mark.parametrize("module", ON_EMBEDDINGS)
def test_runs_on_embeddings(module: str, tmp_path: Path) -> None:
    write_store(tmp_path / "store", sizes={"test": (40, 40, 40), "unseen": (40, 50)})
    assert output(module, str(tmp_path / "store"), *ON_EMBEDDINGS[module])


def test_the_probe_predicts_as_its_optimum_does(tmp_path: Path) -> None:
    write_store(tmp_path / "store", sizes={"test": (20, 20, 20), "unseen": (20, 25)})
    counted, differ = differences(tmp_path / "store", [0, 1], [TOLERANCE])
    assert counted == 3 * (60 + 45)
    assert differ[TOLERANCE] == 0


def output(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
