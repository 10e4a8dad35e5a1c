"""Name the page of a finished workflow, or open it in the browser, without running anything."""

import webbrowser
from pathlib import Path

import click

from stages.aggregate.render.against import read_told, render_against
from stages.aggregate.result_files import PAGE, check_result
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.outdated import note_outdated
from stages.commands.outputs import check_new, new_output
from stages.commands.project import ProjectCommand, ProjectPath
from stages.shared.runtime.errors import UserError


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@click.option("--against", type=ProjectPath(), help="Results of another study: write a page of both.")
@click.option("--out", type=ProjectPath(), default=Path("against.html"), help="That page; by default against.html.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser, too.")
def report(results: Path, against: Path | None, out: Path, show: bool) -> None:
    """Name the page of a finished workflow: one file, to look at or to send to someone.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names.
    """
    page = (results / PAGE).absolute()
    if not page.is_file():
        raise UserError(f"{page}: must be the page of a finished workflow, found no file; run `make repro`")
    check_result(page)
    if against:
        check_new(out)
        text = render_against([read_told(results), read_told(against)])
        with new_output(out) as scratch:
            scratch.write_text(text, encoding="utf-8")
        page = out.absolute()
    print(page)
    note_outdated(results)
    if show and not webbrowser.open(page.as_uri()):
        raise UserError(f"--open: found no browser on this machine; open {page} elsewhere, it needs nothing beside it")
