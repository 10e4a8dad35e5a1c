"""Tabulate what choosing a layer costs, over the datasets and networks of a study."""

from pathlib import Path

import click

from stages.aggregate.recommend.schema import read_recommendations
from stages.aggregate.report.regret import regret_section
from stages.aggregate.result_files import check_result
from stages.aggregate.tables.regret import REGRET_COLUMNS
from stages.commands.project import ProjectCommand, ProjectPath
from stages.shared.files.csv_table import read_table
from stages.shared.runtime.errors import UserError

BEGIN, END = "<!-- regret: written by `whichlayer study regret` -->", "<!-- end of regret -->"


@click.command(cls=ProjectCommand)
@click.argument("results", type=ProjectPath())
@click.option("--page", type=ProjectPath(), help="Write the table into this page, between its two marks.")
def regret(results: Path, page: Path | None) -> None:
    """Tabulate what choosing a layer costs, as Markdown.

    RESULTS is a folder with the regret.csv and recommendation.json of a study, for example docs/pilot/results.
    """
    path = check_result(results / "regret.csv")
    regrets = read_table(path, REGRET_COLUMNS, what="a table of regrets", stage="aggregate")
    section = regret_section(regrets, read_recommendations(results / "recommendation.json"))
    if not section:
        raise UserError(f"{results / 'regret.csv'}: must hold regrets of a recommended network, found none")
    if page is None:
        print(section)
    else:
        page.write_text(_between_marks(page, section))


def _between_marks(page: Path, section: str) -> str:
    """The page's text with another section between its marks."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{page}: must have the lines {BEGIN} and {END} around its table, found not both; write them")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"
