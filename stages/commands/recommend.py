"""Print which layer and checkpoint of each network to take, without running anything."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.aggregate.facts import read_facts
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.render.json_files import recommendations_json
from stages.aggregate.render.recommendations import describe
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.outdated import note_outdated
from stages.commands.project import ProjectCommand, ProjectPath, use_option
from stages.shared.runtime.errors import UserError, did_you_mean


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@click.option("--dataset", help="This dataset alone.")
@click.option("--model", help="This network alone.")
@use_option
@click.option("--json", "as_json", is_flag=True, help="Print the records of recommendation.json instead.")
def recommend(results: Path, dataset: str | None, model: str | None, use: str | None, as_json: bool) -> None:
    """Print which layer and checkpoint of each network to take features from, for classes that nobody labelled.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names.
    """
    note_outdated(results)
    chosen = _of(_of(read_facts(results).of_use(use), "dataset", dataset), "model", model)
    print(recommendations_json(chosen) if as_json else describe(chosen))


def _of(found: Sequence[Recommendation], what: str, name: str | None) -> list[Recommendation]:
    """Keep the recommendations of one dataset or model.

    Raises:
        UserError: there is none of it.
    """
    kept = [each for each in found if name is None or getattr(each, what) == name]
    if not kept:
        known = {str(getattr(each, what)) for each in found}
        raise UserError(f"--{what} must be one of the results, found {name!r}: {did_you_mean(str(name), known)}")
    return kept
