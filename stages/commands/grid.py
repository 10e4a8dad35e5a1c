"""The stages and cells of a grid by DVC's names, and which of them would run."""

from collections.abc import Iterable
from itertools import dropwhile

from ..shared.workflow.params import Cell, RunParams
from .dvc_project.workspace import changed_stages

STAGES = ("prepare", "finetune", "embed", "measure", "aggregate")
CELL_STAGES = STAGES[1:4]
AXES = ("datasets", "models", "folds", "seeds")
"""The lists of `run`, in the order of a cell's parts."""

ON_GPU, ON_CPU = CELL_STAGES[:2], CELL_STAGES[2:]
"""Stages that a GPU is for, and those that need none."""


def cell_name(cell: Cell) -> str:
    """Return the name of a cell: `handwriting-efficientnet_lite0-0-0`."""
    return "-".join(map(str, cell))


def stage_names(cell: Cell) -> list[str]:
    """Return the names of the stages of one cell, in the order in which they run."""
    return [f"{stage}@{cell_name(cell)}" for stage in CELL_STAGES]


def open_stages(run: RunParams) -> set[str]:
    """Return the names of the stages that would run, or come from the cache.

    Raises:
        UserError: DVC cannot say.
    """
    return following(changed_stages(), run)


def all_stages(run: RunParams) -> set[str]:
    """Return the names of all stages of a grid."""
    return following([f"prepare@{dataset}" for dataset in run.datasets], run)


def following(changed: Iterable[str], run: RunParams) -> set[str]:
    """Add to changed stages all that depend on them."""
    stale = set(changed)
    for cell in run.cells():
        names = [f"prepare@{cell[0]}", *stage_names(cell)]
        stale.update(dropwhile(lambda name: name not in stale, names))
    return stale | ({"aggregate"} if stale else set())


def open_cells(run: RunParams, stale: set[str]) -> list[Cell]:
    """Return the cells of the grid of which a stage is among those that would run, or come from the cache."""
    return [cell for cell in run.cells() if not stale.isdisjoint(stage_names(cell))]


def count_stages(names: Iterable[str]) -> dict[str, int]:
    """Return how many stages of each kind there are."""
    kinds = [name.split("@")[0] for name in names]
    return {stage: kinds.count(stage) for stage in STAGES}
