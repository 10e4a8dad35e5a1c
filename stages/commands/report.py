"""Name the page of a finished workflow, or open it in the browser, without running anything."""

import webbrowser
from pathlib import Path

import click

from stages.aggregate.result_files import PAGE, check_result
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.outdated import note_outdated
from stages.commands.project import ProjectCommand, ProjectPath
from stages.shared.runtime.errors import UserError


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@click.option("--open", "show", is_flag=True, help="Open it in the browser, too.")
def report(results: Path, show: bool) -> None:
    """Name the page of a finished workflow: one file, to look at or to send to someone.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names.
    """
    page = (results / PAGE).absolute()
    if not page.is_file():
        raise UserError(f"{page}: must be the page of a finished workflow, found no file; run `make repro`")
    print(check_result(page))
    note_outdated(results)
    if show and not webbrowser.open(page.as_uri()):
        raise UserError(f"--open: found no browser on this machine; open {page} elsewhere, it needs nothing beside it")
