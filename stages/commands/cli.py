"""The command line `whichlayer`: everything around `dvc repro` and `dvc exp run`, which run the workflow.

A command is a module with one function of the command's name, and one line here. It is imported when it is called, so
that none waits for the libraries of another.
"""

import gc
import tomllib
from importlib import import_module
from itertools import groupby

import click
from click.shell_completion import CompletionItem

from ..shared.runtime.console import run_main
from ..shared.runtime.errors import did_you_mean
from ..shared.runtime.package import OWN
from ..shared.runtime.startup import keep_freed_memory

COMMANDS = {
    "init": (".init", "Start", "Make a project apart from this checkout, ready for `dvc repro`."),
    "trust": (".trust", "Start", "Trust a project: its own code runs there."),
    "quick": (
        ".quick.command",
        "Start",
        "Print which layer of a network suits your images.",
    ),
    "score": (".score.command", "Start", "Score embeddings that any tool made, from files."),
    "new": (".new", "Start", "Start a study on your own images: params.yaml, a link to the images."),
    "check": (".check", "Run", "Check params.yaml and the raw data before a run."),
    "plan": (".plan.command", "Run", "Print the stages that would run, and their cost."),
    "fleet": (".fleet.command", "Run", "Run the cells side by side, on one machine or many."),
    "verdict": (".results", "Read", "Reprint a finished workflow's verdict."),
    "recommend": (".results", "Read", "Print the recommended layer, its gain, ties, and regret."),
    "report": (".results", "Read", "Print the path to the results page, or open it."),
    "features": (".features.command", "Take", "Embed new images with a finished network."),
    "cut": (".cut.command", "Take", "Cut a network at a layer: files that load without this project."),
    "verify": (".verify", "Repair", "Find damaged data, which DVC does not notice."),
    "unfinished": (".unfinished", "Repair", "List the work that stopped trainings have kept."),
}
"""Name -> module that has a function of that name, the group in which it is listed, and what it does."""


class LazyGroup(click.Group):
    """The group of `COMMANDS`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names, in the order of the table above."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or say which resemble it."""
        if cmd_name not in COMMANDS:
            ctx.fail(f"unknown command {cmd_name!r}: {did_you_mean(cmd_name, COMMANDS)}")
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0], __package__), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups of commands, importing none."""
        width = max(map(len, COMMANDS))
        for group, items in groupby(COMMANDS.items(), key=lambda item: item[1][1]):
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), text) for name, (_, _, text) in items])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name, importing none, or an option."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name][2]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)


whichlayer = LazyGroup(
    name="whichlayer",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which layer of a vision network separates classes that it was not trained on best?\n\n"
    "The workflow itself runs with `dvc repro` and `dvc exp run`. These commands prepare it and use its results.",
)
VERSION = tomllib.loads((OWN / "pyproject.toml").read_bytes().decode())["project"]["version"]  # of this code
click.version_option(VERSION, message="%(prog)s %(version)s")(whichlayer)


def main() -> None:
    """Run the command that the arguments name; a `UserError` is one message and exit status 2."""
    keep_freed_memory()
    gc.set_threshold(50_000)  # what a command imports stays: looking for garbage took a fifth of the imports' time
    run_main(lambda: whichlayer(prog_name="whichlayer"))
