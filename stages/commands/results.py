"""What a finished workflow found, without running anything: its verdict, which layers to take, its page."""

import webbrowser
from itertools import groupby
from pathlib import Path

import click

from ..shared.runtime.errors import UserError, check_known
from .dvc_project.workspace import stage_path
from .project import ProjectCommand, ProjectPath, json_option, use_option

results_argument = click.argument("results", type=ProjectPath(), default=lambda: stage_path("aggregate", "--out"))


@click.command(cls=ProjectCommand)
@results_argument
@use_option
@click.option("--lead", type=click.FloatRange(0, min_open=True), help="Print which study would show this lead.")
@json_option
def verdict(results: Path, use: str | None, lead: float | None, as_json: bool) -> None:
    """Print a finished workflow's verdict, without running anything.

    RESULTS is the folder that the aggregate stage wrote; by default the folder in dvc.yaml. --lead prints instead how
    many folds, seeds or unseen classes a study like this needs to show such a lead over the last layer.
    """
    from ..aggregate.facts_file import read_facts  # libraries take seconds
    from ..aggregate.words.documents import finding_records, recommendation_records, strict_json
    from ..aggregate.words.study import power_sentence
    from ..aggregate.words.verdict import verdict as verdict_of

    facts = read_facts(results)
    if lead:
        if not facts.power:
            raise UserError(
                f"--lead: {results} must hold a study with proven intervals over classes (three folds or more, or ten "
                "classes and a frozen network), found none; run one as a pilot"
            )
        print(*(power_sentence(each, lead) for each in facts.power), sep="\n")
        return
    if as_json:
        found, claims = recommendation_records(facts.of_use(use)), finding_records(facts)
        print(strict_json({"recommendations": found, "findings": claims}))
        return
    print(verdict_of(facts, use=use))


@click.command(cls=ProjectCommand)
@results_argument
@click.option("--dataset", help="Only this dataset.")
@click.option("--model", help="Only this network.")
@use_option
@json_option
def recommend(results: Path, dataset: str | None, model: str | None, use: str | None, as_json: bool) -> None:
    """Print which layer and checkpoint to use for unseen classes, for each network.

    RESULTS is the folder that the aggregate stage wrote; by default the folder in dvc.yaml. --json prints
    recommendation.json's records.
    """
    from ..aggregate.facts_file import read_facts
    from ..aggregate.words.documents import compare_networks, describe, recommendation_records, strict_json
    from ..aggregate.words.formatting import wrapped
    from ..aggregate.words.verdict import WIDTH

    facts = read_facts(results)
    chosen = facts.of_use(use)
    for what, name in {"dataset": dataset, "model": model}.items():
        known = {str(getattr(each, what)) for each in chosen}
        if name is not None:
            check_known(name, known, f"--{what} must be in the results, found {name!r}")
        chosen = [each for each in chosen if name in (None, getattr(each, what))]
    if as_json:
        print(strict_json(recommendation_records(chosen)))
        return
    told = [facts.notice, *(compare_networks([*own]) for _, own in groupby(chosen, lambda each: each.dataset))]
    print(*(wrapped(text, WIDTH) for text in told if text), describe(chosen), sep="\n")


@click.command(cls=ProjectCommand)
@results_argument
@click.option("--open", "show", is_flag=True, help="Open it in the browser, too.")
def report(results: Path, show: bool) -> None:
    """Print the path to a finished workflow's page: one file, to look at or to send to someone.

    RESULTS is the folder that the aggregate stage wrote; by default the folder in dvc.yaml.
    """
    from ..aggregate.result_files import PAGE, check_result

    page = (results / PAGE).absolute()
    if not page.is_file():
        raise UserError(f"{page}: must be a finished workflow's page, found no file; run `dvc repro`")
    check_result(page)
    print(page)
    if show and not webbrowser.open(page.as_uri()):
        raise UserError(f"--open: found no browser on this machine; open {page} elsewhere, it needs nothing beside it")
