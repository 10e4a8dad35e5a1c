"""What commands of `whichlayer` share: the project's folder, options, words for people, outputs.

An output is whole or not there at all, and never takes the place of something.
"""

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click

from ..core.scores.description import OFFERED
from ..shared.runtime.errors import UserError
from ..shared.runtime.package import INSTALLED, OWN
from ..shared.runtime.scratch import is_empty_folder, partial_path, remove, remove_leftovers
from .launcher import find_project

ROOT = (find_project(Path.cwd()) if INSTALLED else None) or OWN
"""The project that commands work on: that of this code, or for the installed code that of the working directory."""

NO_PROJECT = INSTALLED and ROOT == OWN
"""The installed package is none."""

RAW = ROOT / "data" / "raw"
"""Holds <dataset>/ for every dataset."""

PARAMS = ROOT / "params.yaml"

DEMO = "handwriting"
"""The dataset for who has no images."""

FEATURES = "whichlayer"
"""The key, in the metadata of a Parquet file of features, of what these are of."""

GIB = 2**30

MAX_LISTED = 5
"""Things that a message names; more are counted."""


def size(count: float) -> str:
    """Write a number of bytes."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def check_new(out: Path, *, folder: bool = True, draws: bool = True, images: Path | None = None) -> None:
    """Check that nothing is where a command is to write, and that something can be.

    Args:
        out: the path.
        folder: whether it becomes a folder, in place of which an empty one may be.
        draws: whether figures are drawn, which takes higher limits of the process.
        images: the folder of images that are read, to which nothing may be added.

    Raises:
        UserError: something is there, it lies among the images, a limit is too low, or nothing can be written to the
            folder in which it, or its own folder, would be.
    """
    if out.is_symlink() or (out.exists() and not (folder and is_empty_folder(out))):
        raise UserError(f"{out}: must not exist, since nothing is overwritten; choose another path with --out")
    if images is not None and images.resolve() in out.resolve().parents:
        raise UserError(
            f"{out}: must not lie in the image folder, {images}, whose files would be read as images then; "
            "choose another path with --out"
        )
    nearest = next(path for path in out.absolute().parents if os.path.lexists(path))
    try:
        TemporaryFile(dir=nearest).close()
    except OSError as error:
        found = f"found {nearest}, where nothing can be written ({error.strerror})"
        raise UserError(f"{out}: must be a path that can be made, {found}; choose another one with --out") from None
    if draws:
        from ..aggregate.charts.draw import check_limits  # takes a second to import

        check_limits()


@contextmanager
def new_output(out: Path) -> Iterator[Path]:
    """Give a path beside `out` to write to, which becomes `out` at the end, and is removed if something fails."""
    from ..shared.workflow.stage_run import publish  # watches for DVC from its import on

    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    scratch = partial_path(out)
    try:
        yield scratch
        publish(scratch, out, replace=False)
    finally:
        remove(scratch)


class ProjectCommand(click.Command):
    """A command that works in the folder of a project, as the stages do: the installed package is none.

    With --representation it needs no project, and works where it is called.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command's function.

        Raises:
            UserError: the working directory lies in no project.
        """
        if NO_PROJECT:
            if ctx.params.get("representation"):
                return super().invoke(ctx)
            raise UserError(
                f"{ctx.info_name} must be called in a project, found none in {Path.cwd()} or above; make one with "
                "`whichlayer init study`, and call it there"
            )
        with chdir(ROOT):
            return super().invoke(ctx)


class OwnProjectCommand(ProjectCommand):
    """A command that writes to the project, and thus only to that in which it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command's function.

        Raises:
            UserError: the working directory lies in no project, or outside this checkout.
        """
        here = Path.cwd()
        if not INSTALLED and OWN not in (here, *here.parents):
            raise UserError(
                f"{ctx.info_name} writes to the project {OWN}, and must be called in it, found {here}; make your own "
                f"with `whichlayer init study`, or `cd {OWN}` first"
            )
        return super().invoke(ctx)


class UserPath(click.Path):
    """A path, given from where the user is: absolute."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Add the working directory; links stay."""
        return Path(os.path.normpath(Path.cwd() / str(super().convert(value, param, ctx))))


class ProjectPath(UserPath):
    """A path, given from where the user is, as it is seen from the project's folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Shorten the path before the command goes to the project's folder."""
        path = super().convert(value, param, ctx)
        return path.relative_to(ROOT) if path.is_relative_to(ROOT) and not NO_PROJECT else path


params_option = click.option(
    "--params", type=ProjectPath(), default=lambda: PARAMS, help="By default the project's params.yaml."
)

use_option = click.option(
    "--use", type=click.Choice(OFFERED), help="What the features are for; by default aggregate.use, else each."
)

workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Threads that decode images; by default one per processor, at most 8."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
