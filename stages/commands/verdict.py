"""Print the verdict of a finished workflow, without running anything."""

from pathlib import Path

import click

from stages.aggregate.facts import read_facts
from stages.aggregate.render.verdict import verdict as verdict_of
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.project import ProjectCommand, ProjectPath


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@click.option("--use", help="What features are for: classifier, retrieval, discovery or detection; by default each.")
def verdict(results: Path, use: str | None) -> None:
    """Print the verdict of a finished workflow, without running anything.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names.
    """
    print(verdict_of(read_facts(results), results=results, use=use))
