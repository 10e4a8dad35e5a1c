"""Print the verdict of a finished workflow, without running anything."""

import json
from pathlib import Path

import click

from stages.aggregate.facts import read_facts
from stages.aggregate.render.json_files import findings_json, recommendations_json
from stages.aggregate.render.verdict import verdict as verdict_of
from stages.commands.dvc_project.workspace import stage_path
from stages.commands.outdated import note_outdated
from stages.commands.project import ProjectCommand, ProjectPath, json_option, use_option


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))
@use_option
@json_option
def verdict(results: Path, use: str | None, as_json: bool) -> None:
    """Print the verdict of a finished workflow, without running anything.

    RESULTS is the folder that the aggregate stage wrote; by default the one that dvc.yaml names.
    """
    note_outdated(results)
    facts = read_facts(results)
    if as_json:
        texts = {"recommendations": recommendations_json(facts.of_use(use)), "findings": findings_json(facts.findings)}
        print(json.dumps({name: json.loads(text) for name, text in texts.items()}, indent=2, ensure_ascii=False))
        return
    print(verdict_of(facts, use=use))
