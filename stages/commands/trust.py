"""Say that a project is yours, so that its commands run its own code."""

from pathlib import Path

import click

from ..shared.runtime.errors import UserError
from . import launcher


@click.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
def trust(folder: Path) -> None:
    """Say that the project in which FOLDER lies is yours: commands called there run its own code.

    Without FOLDER it is the working directory's project. `whichlayer init` and `make install` say so themselves.
    For one call WHICHLAYER_TRUST=1 does the same.
    """
    project = launcher.find_project(folder.resolve())
    if project is None:
        raise UserError(f"{folder}: must lie in a project, found no folder with dvc.yaml and stages/ there or above")
    record(project)
    print(f"{project}: its code runs when `whichlayer` is called there ({launcher.trusted_file()} lists such folders)")


def record(project: Path) -> None:
    """Add a project to the trusted ones.

    Raises:
        UserError: that cannot be kept.
    """
    try:
        launcher.trust(project)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{project}: cannot be kept as a trusted folder: {error}; set XDG_CONFIG_HOME to a folder in which you may "
            f"write, or {launcher.VARIABLE}=1 for each call"
        ) from None
