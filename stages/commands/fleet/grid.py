"""Which cells of the grid are open, and what computing one consists of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML

from stages.commands.config import Config
from stages.commands.fleet.lock_file import Locked
from stages.commands.fleet.task import Outcome, Task
from stages.commands.plan.cost import cost
from stages.commands.plan.images import images_of
from stages.commands.plan.stale import open_stages
from stages.commands.project import ROOT, stage_path
from stages.shared.settings.params import Cell, RunParams

CELL_STAGES = ("finetune", "embed", "measure")


def open_cells(run: RunParams) -> list[Cell]:
    """List the cells of the grid of which a stage would run, or come from the cache.

    Raises:
        UserError: DVC cannot say.
    """
    stale = open_stages(run)
    return [cell for cell in run.cells() if any(name in stale for name in stage_names(cell))]


def cell_name(cell: Cell) -> str:
    """Name a cell as DVC does: `handwriting-efficientnet_lite0-0-0`."""
    return "-".join(map(str, cell))


def stage_names(cell: Cell) -> list[str]:
    """Names of the stages of one cell, in the order in which they run."""
    return [f"{stage}@{cell_name(cell)}" for stage in CELL_STAGES]


def tasks_of(cells: Iterable[Cell], locked: Locked) -> list[Task]:
    """Say what computing each of some cells consists of.

    Args:
        cells: of the grid.
        locked: what dvc.lock says of every stage.
    """
    outs: list[str] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["prepare"]["outs"]
    durations = str(stage_path("measure", "--log").relative_to(ROOT))
    tasks = []
    for cell in cells:
        dataset, model, fold, seed = cell
        inputs = tuple(path.replace("${item.dataset}", dataset) for path in outs)
        stages = tuple(stage_names(cell))
        grid: dict[str, list[Any]] = {"datasets": [dataset], "models": [model], "folds": [fold], "seeds": [seed]}
        known = {name: dict(locked[name]) for name in (f"prepare@{dataset}", *stages) if name in locked}
        tasks.append(Task(cell_name(cell), inputs, stages, durations, grid, known))
    return tasks


def in_order(run: RunParams, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Collect what dvc.lock says of the stages that are done, in the order in which `dvc repro` runs them.

    Args:
        run: the grid.
        outcomes: of cells, by their names.
    """
    found = {stage: entry for outcome in outcomes.values() for stage, entry in outcome.locked.items()}
    by_stage = zip(*map(stage_names, run.cells()), strict=True)  # all finetune first
    return {name: found[name] for names in by_stage for name in names if name in found}


def longest_first(config: Config, cells: Sequence[Cell]) -> list[Cell]:
    """Order cells by how many operations their passes through the network take, most first.

    Raises:
        UserError: a network cannot be built, or a dataset's images cannot be counted.
    """
    raw = ROOT / "data" / "raw"
    operations = {
        (dataset, model, fold): cost(config, model, images).flops
        for dataset in dict.fromkeys(cell[0] for cell in cells)
        for images, folds in images_of(config, raw, dataset).items()
        for model in config.run.models
        for fold in folds
    }
    return sorted(cells, key=lambda cell: operations[cell[:3]], reverse=True)
