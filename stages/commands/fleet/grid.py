"""Which cells of the grid are open, and what computing one consists of."""

from collections.abc import Sequence

from ruamel.yaml import YAML

from stages.commands.config import Config
from stages.commands.fleet.worker import Task
from stages.commands.plan.cost import cost
from stages.commands.plan.images import count_images
from stages.commands.plan.stale import open_stages
from stages.commands.project import ROOT, stage_path
from stages.shared.params import Cell, RunParams

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


def task_of(cell: Cell) -> Task:
    """Say what computing one cell consists of."""
    dataset = str(cell[0])
    outs: list[str] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]["prepare"]["outs"]
    inputs = tuple(path.replace("${item.dataset}", dataset) for path in outs)
    durations = stage_path("measure", "--log").relative_to(ROOT)
    return Task(cell_name(cell), inputs, tuple(stage_names(cell)), str(durations))


def longest_first(config: Config, cells: Sequence[Cell]) -> list[Cell]:
    """Order cells by how many operations their passes through the network take, most first.

    Raises:
        UserError: a network cannot be built, or a dataset's images cannot be counted.
    """
    operations: dict[tuple[str, str, str], float] = {}
    for dataset, model, fold in dict.fromkeys(cell[:3] for cell in cells):
        entry, raw = config.datasets[dataset], ROOT / "data" / "raw" / dataset
        images = count_images(raw, entry, config.root_seed(dataset), dataset, [fold])[fold]
        operations[dataset, model, fold] = cost(config, model, images).flops
    return sorted(cells, key=lambda cell: operations[cell[:3]], reverse=True)
