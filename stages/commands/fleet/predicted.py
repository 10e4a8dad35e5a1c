"""What cells take, as `whichlayer plan` predicts it: their order, what a task asks for, and a script that asks SLURM.

The script has for each network an array of jobs of what a GPU is for, and one of the rest.
"""

import math
import shlex
from collections.abc import Collection, Mapping, Sequence

from stages.commands.config import Config
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.grid import CELL_STAGES, ON_CPU, ON_GPU, cell_name
from stages.commands.plan.calibrate import Cost
from stages.commands.plan.predict import Engine, Line, Predictor, this_machine
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell, load

MARGIN = 1.25
"""Times what is predicted of memory that a task asks for."""

HOST_OF_GPU = 4 * 2**30
"""Bytes beside the GPU that a stage takes whose network is there: assumed."""

BESIDE = 640 * 2**20
"""Bytes of DVC and of what runs it: `whichlayer fleet cell`, which takes 420 MiB, or a worker of Ray."""

Predicted = Mapping[Cell, Mapping[str, Cost]]
"""What the open stages of every cell take."""


def longest_first(lines: Sequence[Line], cells: Sequence[Cell]) -> list[Cell]:
    """Order cells by how many operations their passes through the network take, most first."""
    operations = {(line.dataset, line.model, fold): line.work.flops for line in lines for fold in line.folds}
    return sorted(cells, key=lambda cell: operations[cell[:3]], reverse=True)


def predict_cells(config: Config, lines: Sequence[Line], stages: Collection[str], threads: int) -> Predicted:
    """Predict, as `whichlayer plan` does, what open stages of cells take on this machine.

    Args:
        config: the parameters.
        lines: of the plan.
        stages: that are open.
        threads: of one cell.
    """
    if not lines:
        return {}
    content, log = load(ROOT / "params.yaml"), stage_path("aggregate", "--log")
    return Predictor(config, content, Engine(1, threads), this_machine(), log, len(lines)).cells(lines, stages)


def memory_of(predictions: Mapping[str, Cost], stages: Sequence[str]) -> int:
    """Return the bytes that a task asks for, of the stage that takes most."""
    asked = [MARGIN * cost.memory or HOST_OF_GPU for stage, cost in predictions.items() if stage in stages]
    return int(max(asked, default=0)) + BESIDE


TIME_FACTOR, TIME_MORE = 2.0, 600.0
"""A job may take so many times what is predicted, and so many seconds more."""

HEAD = """\
#!/bin/bash
# {count} open cells of {project}. `bash FILE` submits job arrays: {what}.
# Memory and time are what `whichlayer plan` predicts on the machine where this was written, and more.
# `whichlayer fleet status` says what is done and what failed; `whichlayer fleet run` then takes the results.{failed}
set -eu
common=(--parsable --requeue --kill-on-invalid-dep=yes --chdir={project} --cpus-per-task={threads} \\
  --output=.dvc/tmp/%x-%A-%a.txt)
"""

TAIL = """\
sbatch "${{common[@]}}" --job-name=whichlayer-status --dependency="afterany$jobs" --mem=1G --time=0:10:00 \\
  --output={status} --wrap 'whichlayer fleet status'  # what failed, and why
"""


def script(
    cells: Sequence[Cell],
    predicted: Predicted,
    *,
    threads: int,
    gpus: float,
    memory: float | None,
    options: str,
    failed: Sequence[str],
) -> str:
    """Write the script.

    Args:
        cells: that are open, longest first.
        predicted: what their stages take.
        threads, gpus: of a cell.
        memory: GiB that a job asks for; None: as predicted.
        options: of `whichlayer fleet cell`.
        failed: what became of cells that failed or were lost, a line for each.

    Raises:
        UserError: a part of a GPU is asked for.
    """
    if gpus != int(gpus):
        raise UserError(f"--gpus-per-cell: SLURM must give a job whole GPUs, found {gpus:g}; take a whole number")
    what = "finetune and embed with a GPU, then measure without one" if gpus else "every job computes a cell"
    lines = ["jobs="]
    for model in dict.fromkeys(cell[1] for cell in cells):
        of_model = [cell for cell in cells if cell[1] == model]
        names = " ".join(map(cell_name, of_model))
        before = ""
        for stages in (ON_GPU, ON_CPU) if gpus else (CELL_STAGES,):
            found = [predicted[cell] for cell in of_model]
            asked = max(memory_of(each, stages) for each in found) / 2**20 if memory is None else memory * 1024
            seconds = max(sum(cost.seconds for stage, cost in each.items() if stage in stages) for each in found)
            gpu, only = (f" --gres=gpu:{gpus:g}", " --gpu-stages") if stages == ON_GPU else ("", "")
            lines += [
                f'job=$(sbatch "${{common[@]}}"{before} --job-name=whichlayer-{model} --array=0-{len(of_model) - 1}'
                f"{gpu}{f' --mem={math.ceil(asked)}M' if asked else ''} --time={minutes(seconds)} --wrap \\",
                f"  'set -- {names}; shift $SLURM_ARRAY_TASK_ID; exec whichlayer fleet cell \"$1\"{options}{only}')",
                'jobs="$jobs:$job"',
            ]
            before = ' --dependency="aftercorr:$job"'
    about = "".join(f"\n# Before: {line}" for line in failed)
    head = HEAD.format(count=len(cells), project=shlex.quote(str(ROOT)), what=what, failed=about, threads=threads)
    tail = TAIL.format(status=stage_path("aggregate", "--log").with_name("fleet-status.txt").relative_to(ROOT))
    return "\n".join([head, *lines, tail]) if cells else "# no cell is open"


def minutes(seconds: float) -> str:
    """Write the limit of a job of which some seconds are predicted, as SLURM reads it: `1:30:00`."""
    limit = math.ceil((TIME_FACTOR * seconds + TIME_MORE) / 60)
    return f"{limit // 60}:{limit % 60:02d}:00"
