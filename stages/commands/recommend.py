"""Print which layer and checkpoint of each network to take, without running anything."""

from pathlib import Path

import click

from stages.aggregate.facts import read_facts
from stages.aggregate.render.json_files import recommendations_json
from stages.aggregate.render.recommendations import describe
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.outdated import note_outdated
from stages.commands.project import ProjectCommand, ProjectPath, json_option, use_option
from stages.shared.runtime.errors import UserError, did_you_mean


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@click.option("--dataset", help="This dataset alone.")
@click.option("--model", help="This network alone.")
@use_option
@json_option
def recommend(results: Path, dataset: str | None, model: str | None, use: str | None, as_json: bool) -> None:
    """Print which layer and checkpoint of each network to take features from, for classes that nobody labelled.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names. --json prints the
    records of recommendation.json.
    """
    note_outdated(results)
    chosen = read_facts(results).of_use(use)
    for what, name in {"dataset": dataset, "model": model}.items():
        known = {str(getattr(each, what)) for each in chosen}
        if name is not None and name not in known:
            raise UserError(f"--{what} must be one of the results, found {name!r}: {did_you_mean(name, known)}")
        chosen = [each for each in chosen if name in (None, getattr(each, what))]
    print(recommendations_json(chosen) if as_json else describe(chosen))
