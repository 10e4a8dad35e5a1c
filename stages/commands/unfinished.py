"""List what trainings that were stopped have kept, to go on from."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from ..shared.runtime.processes import is_alive
from ..shared.runtime.scratch import PARTIAL
from ..shared.workflow.kept_work import read_record
from ..shared.workflow.stage_run import FINISHED
from .dvc_project.workspace import of_cell, stage_path
from .project import ROOT, ProjectCommand, size


@click.command(cls=ProjectCommand)
def unfinished() -> None:
    """List the work that stopped trainings have kept, and its size on disk.

    The next finetune run continues from it, or removes it if code, parameters, inputs or the machine have changed.
    You may delete it at any time.
    """
    lines = [*describe(stage_path("finetune", "--weights"))]
    for folder in sorted((ROOT / FINISHED).glob("*")):
        used = f"{size(bytes_in(folder))} in {folder.relative_to(ROOT)}"
        lines.append(f"{folder.name} has finished, kept until DVC starts another stage: {used}")
    print("\n".join(lines or ["nothing unfinished is kept"]))


def describe(template: Path) -> Iterator[str]:
    """Describe each folder of unfinished work.

    Args:
        template: the output beside which it lies, with `{NAME}` for what differs between cells.
    """
    pattern = Path(of_cell(str(template.relative_to(ROOT)), "****"))
    for folder in sorted(ROOT.glob(str(pattern.with_name(f".{pattern.name}{PARTIAL}*")))):
        output, _, mark = folder.name[1:].rpartition(PARTIAL)
        parts = zip(folder.with_name(output).relative_to(ROOT).parts, pattern.parts, strict=True)
        cell = "-".join(part for part, name in parts if name == "*")
        record = read_record(folder)
        done = f"after {record['progress']['done']}" if record else "with nothing to go on from"
        state = "runs, kept" if is_alive(mark) else "was stopped"
        yield f"finetune@{cell} {state} {done}: {size(bytes_in(folder))} in {folder.relative_to(ROOT)}"


def bytes_in(folder: Path) -> int:
    """Add up the sizes of the files below a folder, in bytes; one that a running stage removes meanwhile has none."""
    used = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                used += Path(where, name).stat().st_size
    return used
