"""What every command of `whichlayer` shares: the project's folder, and options that are paths."""

import math
import os
from collections.abc import Collection
from contextlib import chdir
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[2]
"""The project whose code this is, which the launcher found from the working directory."""

RAW = ROOT / "data" / "raw"
"""Holds <dataset>/ for every dataset."""


MAX_LISTED = 5
"""Things that a message names; more are counted."""


def listed(names: Collection[str]) -> str:
    """Name the first of some things, and count the others."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join([*names][:MAX_LISTED]) + more


class ProjectCommand(click.Command):
    """A command that works in the project's folder, as the stages do, wherever it was called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command's function."""
        with chdir(ROOT):
            return super().invoke(ctx)


class ProjectPath(click.Path):
    """A path, given from where the user is, as it is seen from the project's folder."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Resolve the path before the command goes to the project's folder."""
        given = str(super().convert(value, param, ctx))
        path = Path(os.path.normpath(Path.cwd() / given))  # not resolve(), which follows links
        return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class FiniteRange(click.FloatRange):
    """A number within bounds; click itself takes NaN, which is below none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse NaN and infinity."""
        number = float(super().convert(value, param, ctx))
        return number if math.isfinite(number) else self.fail(f"{value} is not a finite number.", param, ctx)


params_option = click.option(
    "--params",
    type=ProjectPath(),
    default=lambda: ROOT / "params.yaml",
    help="The params file; by default the project's params.yaml.",
)

use_option = click.option(
    "--use",
    type=click.Choice(["classifier", "retrieval", "discovery", "detection"]),
    help="What features are for; by default aggregate.use, or each.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")
