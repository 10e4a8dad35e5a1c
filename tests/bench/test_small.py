"""Every benchmark runs from its command, on as little as it takes: `make bench` runs them one after the other."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from stages.core.scores.probe import TOLERANCE
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.bench.__main__ import MODULES
from tests.bench.probe_solver import differences
from tests.measure.synthetic import LAYERS, write_store

ROOT = Path(__file__).parents[2]

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
    "durability_cost": ["--images", "150", "--steps", "4", "--rounds", "1"],
    "analysis_cost": ["--seen", "300", "--unseen", "100", "--layers", "2"],
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
@pytest.mark.parametrize("module", MODULES)
def test_runs(module: str) -> None:
    assert output(module, *SMALL[module])


@pytest.mark.slow
@pytest.mark.long
def test_layers_are_chosen_on_other_folds_than_they_are_scored_on(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for fold in range(3):
        (tmp_path / str(fold)).mkdir()
        noise = {
            name: random.normal(size=(76, width)).astype(np.float32) for name, width in (("stem", 4), ("blocks.0", 9))
        }
        spoiled = ["stem", "blocks.0"] if fold == 2 else ["stem"]
        write_store(
            tmp_path / str(fold) / "0",
            sizes={"test": (8, 8), "unseen": (20, 20, 20)},
            layers=[LAYERS[0], LAYERS[1], LAYERS[3]],
            classes=(),
            spoil={(name, 10): lambda X, values=noise[name]: values for name in spoiled},
        )
    printed = output(
        "combine_layers", str(tmp_path), "--metrics", "nn1_accuracy", "--params", str(ROOT / "params.yaml")
    )
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in printed.splitlines()[2:]]
    means = {kind: float(mean) for kind, mean, *_ in rows}
    chosen = {kind: row[-1] for kind, *row in rows}
    alone = [of_one(tmp_path / str(fold) / "0", "blocks.0") for fold in range(3)]
    assert chosen["single"] == "blocks.0"  # though it is noise in the last fold
    assert means["single"] == pytest.approx(np.mean(alone), abs=6e-4)
    assert alone[2] < 0.5 < alone[0]


def of_one(path: Path, layer: str) -> float:
    store = open_embeddings(path)
    X = store.features(next(each for each in store.layers if each.name == layer), 10, "unseen")
    nearest = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(return_distance=False)[:, 0]
    return float(np.mean(store.labels("unseen")[nearest] == store.labels("unseen")))


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
