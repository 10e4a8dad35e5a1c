from pathlib import Path

import pytest

from stages.aggregate.curves import average
from stages.aggregate.read import read_tables
from stages.core.scores.catalogue import SCORES
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import uncertain, write_cells, write_params

DATASETS, MODELS, SEEDS = ["handwriting"], ["small", "small_scratch"], [0, 1]


@pytest.fixture
def run() -> RunParams:
    return RunParams(datasets=DATASETS, models=MODELS, folds=[0], seeds=SEEDS)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A folder with measures/, training/ and params.yaml of one dataset, two models and two seeds."""
    write_cells(tmp_path, DATASETS, MODELS, SEEDS, layers=("stem", "blocks.0", "blocks.1", "head_conv"))
    write_params(tmp_path / "params.yaml", DATASETS, MODELS, SEEDS)
    return tmp_path


@pytest.fixture
def scores(grid, run):
    """The grid's means over seeds, of which nothing more is known."""
    return uncertain(average(read_tables(grid / "measures", grid / "training", run, []).layers, run, SCORES))
