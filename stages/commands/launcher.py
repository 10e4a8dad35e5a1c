"""`whichlayer`: run the commands of the project that the working directory lies in, with that project's own code.

Installed as `whichlayer/launcher.py`. Outside of any project the copy of the code beside this file runs, `init` among
its commands, which makes a project.
"""

import sys
from pathlib import Path

COPY = Path(__file__).parent / "project"
"""The code that was installed."""


def main() -> None:
    """Find the code and run its command line."""
    sys.path.insert(0, str(code_folder(Path.cwd())))
    from .cli import main as run  # that folder's

    run()


def code_folder(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that is a project; else the installed copy."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "stages" / "commands").is_dir():
            return folder
    return COPY
