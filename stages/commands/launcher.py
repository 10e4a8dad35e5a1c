"""`whichlayer`: run the commands of the project that the working directory lies in, with that project's own code.

This module alone is installed (as `whichlayer_launcher`, see pyproject.toml). An installed copy of the commands would
run them also in another clone, whose code and parameters may differ.
"""

import sys
from pathlib import Path


def main() -> None:
    """Find the project and run its command line."""
    folder = project(Path.cwd())
    if folder is None:
        print(
            f"error: {Path.cwd()} must be a clone of whichlayer or a folder inside one, found no dvc.yaml beside "
            "stages/commands there or above; go into your clone, or put the file back (`git checkout dvc.yaml`)",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.path.insert(0, str(folder))
    from stages.commands.cli import main as run  # that folder's

    run()


def project(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, that is a project; None if there is none."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "stages" / "commands").is_dir():
            return folder
    return None
