"""Every benchmark runs from its command, on as little as it takes; and what the table of goals says of each."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.scores.probe import TOLERANCE
from tests.bench.__main__ import ROOT, Bench, Goal, row
from tests.bench.probe_solver import differences
from tests.measure.synthetic import write_store

SMALL = {
    "whole_cell": ["--steps", "5", "--images", "8", "10", "12"],
    "embed_throughput": ["--images", "64", "--steps", "2", "--rounds", "1"],
    "precision": ["--steps", "5", "--images", "8", "10", "12"],
    "memory": ["--images", "100"],
    "measure_cost": ["--sizes", "100x16x5", "150x16x10", "--images", "150", "--classes", "3"],
    "kmeans": [],
    "skewed_classes": ["--studies", "2"],
    "few_groups": ["--sets", "2", "--truth", "5"],
    "cut_table": ["--networks", "0", "--sizes", "64", "--rounds", "1"],
}

ON_EMBEDDINGS = {
    "probe_solver": ["--tolerances", "1e-6"],
}


BENCHMARKS = [
    path for path in sorted(Path(__file__).parent.glob("*.py")) if "from stages" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_takes_from_the_stages(path: Path) -> None:
    importlib.import_module(f"tests.bench.{path.stem}")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("module", SMALL)
def test_runs(module: str) -> None:
    assert output(module, *SMALL[module])


@pytest.mark.parametrize(
    ("own", "least", "compared", "found"),
    [
        (3.0, False, False, ("-", 3.0, "yes")),
        (3.1, False, False, ("-", 3.1, "no")),
        (3.1, True, False, ("-", 3.1, "yes")),
        (2.9, True, False, ("-", 2.9, "no")),
        (6.0, False, True, ("2.00 s", 3.0, "yes")),
    ],
)
def test_a_goal_holds_up_to_its_limit(tmp_path: Path, own: float, least: bool, compared: bool, found: tuple) -> None:
    goal = Goal("it", "min", 3, lambda _, root: own if root == ROOT else 2.0, compared=compared, least=least)
    assert row(goal, Bench(tmp_path, 1, tmp_path))[3:] == found
    assert not compared or row(goal, Bench(tmp_path, 1, None))[3:] == ("-", "-", "")  # without the old revision


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ["score 1,000", "quick 15 classes x 100, 64", "embed", "repro"])
def test_goals_are_measured(name: str) -> None:
    command = [sys.executable, "-m", "tests.bench", "--share", "0.1", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(name)


@pytest.mark.slow
@pytest.mark.long
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
