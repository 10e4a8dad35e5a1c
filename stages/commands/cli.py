"""The command line `whichlayer`: everything around `dvc repro` and `dvc exp run`, which run the workflow.

A command is a module with one function of the command's name, and one line here. It is imported when it is called, so
that none waits for the libraries of another.
"""

import tomllib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from stages.commands.project import ROOT
from stages.shared.runtime.console import run_main
from stages.shared.runtime.errors import did_you_mean

COMMANDS = {
    "new": ("stages.commands.new", "Start a study of your own images: write params.yaml, link the images."),
    "check": ("stages.commands.check.command", "Check params.yaml and the raw data before a run."),
    "cut": ("stages.commands.cut.command", "Cut a network at one layer: files that load without this project."),
    "plan": ("stages.commands.plan.command", "Say what would run, and what it would take."),
    "recommend": ("stages.commands.recommend", "Print which layer to take, what ties, and what choosing cost."),
    "fleet": ("stages.commands.fleet.command", "Run the cells side by side, on one machine or many."),
    "features": ("stages.commands.features.command", "Embed new images with a finished network."),
    "report": ("stages.commands.report", "Name the page of a finished workflow, or open it in the browser."),
    "score": ("stages.commands.score.command", "Score embeddings that any tool made, from files."),
    "verify": ("stages.commands.verify.command", "Find and repair damaged data, which DVC does not see."),
    "unfinished": ("stages.commands.unfinished", "List what stages that were stopped have kept, to go on from."),
    "ablate": ("stages.commands.ablate", "Tabulate DVC experiments: what each choice does to the scores."),
    "verdict": ("stages.commands.verdict", "Print the verdict of a finished workflow again."),
}
"""Name -> module that has a function of that name, and what it does."""


class LazyGroup(click.Group):
    """A group of commands, each imported when it is called.

    Args:
        modules: name -> module and what the command does.
        **attributes: of a click group; its `commands` are imported already.
    """

    def __init__(self, modules: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names, in the order of the tables above."""
        return [*self.modules, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name in self.modules:
            command: click.Command = getattr(import_module(self.modules[cmd_name][0]), cmd_name)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which resemble it."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(f"unknown command {args[0]!r}: {did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, importing none."""
        rows = [(name, text) for name, (_, text) in self.modules.items()]
        rows += [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


whichlayer = LazyGroup(
    COMMANDS,
    name="whichlayer",
    help="Which layer of a vision network separates classes that it was not trained on best?\n\n"
    "The workflow itself runs with `dvc repro` and `dvc exp run`; these commands are for what goes around it.",
)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]  # of this checkout
click.version_option(VERSION, message="%(prog)s %(version)s")(whichlayer)


def main() -> None:
    """Run the command that the arguments name; a `UserError` is one message and exit status 2."""
    run_main(lambda: whichlayer(prog_name="whichlayer"))
