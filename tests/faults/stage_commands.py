"""Stages as dvc.yaml runs them, without DVC: commands, outputs, and what they print."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stages.shared.workflow.params import read_yaml
from tests.workflow import ROOT

CELL = {"dataset": "mine", "model": "net", "fold": "0", "seed": "0"}
STAGES: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")["stages"]


def command(stage: str) -> list[str]:
    """The command of a stage, of the cell `CELL`."""
    item = " ".join(f"--{name} {CELL[name]}" for name in STAGES[stage].get("matrix", {}))
    return [sys.executable, *STAGES[stage]["cmd"].replace("${item}", item).split()[1:]]


def outputs(stage: str) -> list[str]:
    """What a stage makes."""
    declared = [*STAGES[stage]["outs"], *STAGES[stage].get("metrics", [])]
    return [_filled(out if isinstance(out, str) else next(iter(out))) for out in declared]


def remove_outputs(project: Path, stage: str) -> None:
    """Remove what a stage made, as DVC does before it runs it."""
    for out in outputs(stage):
        path = project / out
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def files_of(project: Path, stage: str) -> dict[str, bytes]:
    """What a stage made, by path."""
    paths = [path for out in outputs(stage) for path in [project / out, *(project / out).rglob("*")] if path.is_file()]
    return {str(path.relative_to(project)): path.read_bytes() for path in sorted(paths)}


def start(
    project: Path,
    words: list[str],
    *,
    before: Callable[[], None] | None = None,
    prefix: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[str]":
    """Start a command in a project.

    Args:
        project: its folder.
        words: the command.
        before: called in the new process before that: sets limits.
        prefix: words before the command.
        environment: further variables.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [*prefix, *words],
        cwd=project,
        env={**os.environ, "PATH": path, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for a command: its status, what it printed, and its errors."""
    printed, errors = process.communicate()
    return process.returncode, printed, errors


def run_stage(project: Path, stage: str, **options: Any) -> tuple[int, str, str]:
    """Remove what a stage made and run it."""
    remove_outputs(project, stage)
    return finish(start(project, command(stage), **options))


def _filled(text: str) -> str:
    for name, value in CELL.items():
        text = text.replace(f"${{item.{name}}}", value)
    return text
