"""The command line `whichlayer`: everything around `dvc repro` and `dvc exp run`, which run the workflow.

A command is a module with one function of the command's name, and one line here. It is imported when it is called, so
that none waits for the libraries of another.
"""

import tomllib
from importlib import import_module

import click

from stages.commands.project import ROOT
from stages.shared.runtime.console import run_main
from stages.shared.runtime.errors import did_you_mean

COMMANDS = {
    "init": ("stages.commands.init", "Make a project apart from this checkout, ready for `dvc repro`."),
    "quick": ("stages.commands.quick", "Print which layer of a network to take for a folder of images."),
    "new": ("stages.commands.new", "Start a study of your own images: write params.yaml, link the images."),
    "check": ("stages.commands.check", "Check params.yaml and the raw data before a run."),
    "cut": ("stages.commands.cut.command", "Cut a network at one layer: files that load without this project."),
    "plan": ("stages.commands.plan.command", "Say what would run, and what it would take."),
    "recommend": ("stages.commands.results", "Print which layer to take, what ties, and what choosing cost."),
    "fleet": ("stages.commands.fleet.command", "Run the cells side by side, on one machine or many."),
    "features": ("stages.commands.features.command", "Embed new images with a finished network."),
    "report": ("stages.commands.results", "Name the page of a finished workflow, or open it in the browser."),
    "score": ("stages.commands.score.command", "Score embeddings that any tool made, from files."),
    "verify": ("stages.commands.verify", "Find damaged data, which DVC does not see."),
    "unfinished": ("stages.commands.unfinished", "List what stages that were stopped have kept, to go on from."),
    "verdict": ("stages.commands.results", "Print the verdict of a finished workflow again."),
}
"""Name -> module that has a function of that name, and what it does."""


class LazyGroup(click.Group):
    """The group of `COMMANDS`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names, in the order of the table above."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or say which resemble it."""
        if cmd_name not in COMMANDS:
            ctx.fail(f"unknown command {cmd_name!r}: {did_you_mean(cmd_name, COMMANDS)}")
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


whichlayer = LazyGroup(
    name="whichlayer",
    help="Which layer of a vision network separates classes that it was not trained on best?\n\n"
    "The workflow itself runs with `dvc repro` and `dvc exp run`; these commands are for what goes around it.",
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_bytes().decode())["project"]["version"]  # of this checkout
click.version_option(VERSION, message="%(prog)s %(version)s")(whichlayer)


def main() -> None:
    """Run the command that the arguments name; a `UserError` is one message and exit status 2."""
    run_main(lambda: whichlayer(prog_name="whichlayer"))
