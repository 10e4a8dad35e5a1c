"""What cells take on this machine, as `whichlayer plan` predicts it: their order, and what a task asks for."""

from collections.abc import Mapping, Sequence

import torch

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.grid import CELL_STAGES
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.command import plan_lines
from stages.commands.plan.predict import Engine, Line, Predictor, this_machine
from stages.commands.project import RAW, ROOT
from stages.shared.runtime.console import progress
from stages.shared.settings.params import Cell, load

MARGIN = 1.25
"""Times what is predicted of memory that a task asks for."""

HOST_OF_GPU = 4 * 2**30
"""Bytes beside the GPU that a stage takes whose network is there: assumed."""

BESIDE = 640 * 2**20
"""Bytes of DVC and of what runs it: `whichlayer fleet cell`, which takes 420 MiB, or a worker of Ray."""

Predicted = Mapping[Sequence[str], Mapping[str, Cost]]
"""What every stage takes, by dataset, model and fold."""


def lines_of(config: Config, cells: Sequence[Cell]) -> list[Line]:
    """Return the lines of the plan that are of some cells."""
    keys = {cell[:3] for cell in cells}
    lines = plan_lines(config, RAW) if cells else []
    return [line for line in lines if any((line.dataset, line.model, fold) in keys for fold in line.folds)]


def longest_first(lines: Sequence[Line], cells: Sequence[Cell]) -> list[Cell]:
    """Order cells by how many operations their passes through the network take, most first."""
    operations = {(line.dataset, line.model, fold): line.work.flops for line in lines for fold in line.folds}
    return sorted(cells, key=lambda cell: operations[cell[:3]], reverse=True)


def predict_stages(config: Config, lines: Sequence[Line], threads: int) -> Predicted:
    """Predict, as `whichlayer plan` does, what the stages of cells take on this machine.

    Args:
        config: the parameters.
        lines: of the plan.
        threads: of one cell.
    """
    if not lines:
        return {}
    torch.set_num_threads(threads)
    content, log = load(ROOT / "params.yaml"), stage_path("aggregate", "--log")
    predictor = Predictor(config, content, Engine(1, threads), this_machine(), log, len(lines))
    found: dict[Sequence[str], Mapping[str, Cost]] = {}
    for line in progress(lines, total=len(lines), what="timing", unit="networks"):
        predictions = predictor.stages(line, CELL_STAGES)
        found |= {(line.dataset, line.model, fold): predictions for fold in line.folds}
    return found


def memory_of(predictions: Mapping[str, Cost], stages: Sequence[str]) -> int:
    """Return the bytes that a task asks for, of the stage that takes most."""
    return int(max(MARGIN * predictions[stage].memory or HOST_OF_GPU for stage in stages)) + BESIDE
