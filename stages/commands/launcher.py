"""`whichlayer`: choose whose code runs, that of the project in which you are or the installed one.

Commands that need no project are always the installed ones. The others run the code of the project in which the working
directory lies, once you have said that this folder is yours: a downloaded folder runs nothing. Until then the installed
code answers about it.
"""

import os
import sys
from pathlib import Path

from ..shared.runtime.errors import printable, with_command

ANYWHERE = ("init", "quick", "score", "trust")
"""Commands that need no project."""

RUNNING = ("fleet",)
"""Commands that start the workflow of a project, whose code its dvc.yaml names."""

VARIABLE = "WHICHLAYER_TRUST"
"""The environment variable by which `1` trusts the project for one call."""


def main() -> None:
    """Choose the code and run its command line."""
    words = sys.argv[1:]
    needs_none = not words or words[0].startswith("-") or words[0] in ANYWHERE or {"-h", "--help"} & {*words}
    project = None if needs_none else find_project(Path.cwd())
    if project is not None and may_run(project):
        sys.path.insert(0, str(project))
        from stages.commands.cli import main as run  # of that project
    else:
        os.environ["PYTHONSAFEPATH"] = "1"  # processes of this one import nothing from the working directory
        if project is not None:
            refuse(project, words[0])
        from .cli import main as run

    run()


def find_project(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, that is a project, if there is one."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "stages" / "commands").is_dir():
            return folder
    return None


def may_run(project: Path) -> bool:
    """Return whether a project's code may run; on a terminal ask, if nothing was said before."""
    if os.environ.get(VARIABLE) == "1" or is_trusted(project):
        return True
    if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return False
    asked = f"{project} has its own code. Is this folder yours, and may its code run, now and later? [y/N] "
    print(printable(asked), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return False
    try:
        trust(project)
    except (OSError, RuntimeError, ValueError) as error:
        print(printable(f"this is not kept, and asked again: {error}"), file=sys.stderr)
    return True


def refuse(project: Path, command: str) -> None:
    """Print that the installed code answers in the place of a project's; end if it cannot."""
    remedy = with_command("say that this folder is yours", "whichlayer trust", project.resolve())
    remedy += f", or set {VARIABLE}=1 for one call"
    if command in RUNNING:
        said = f"error: {command} runs the code in {project}, which is not trusted; read it, then {remedy}"
        print(printable(said), file=sys.stderr)
        sys.exit(2)
    said = f"the installed whichlayer runs, not the code in {project}, which is not trusted; to run it, {remedy}"
    print(printable(said), file=sys.stderr)


def trusted_file() -> Path:
    """Return the file that lists trusted folders.

    Raises:
        RuntimeError: no home directory is known.
        ValueError: the folder of settings is not an absolute path, so that any working directory could have one.
    """
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if not config.is_absolute():
        raise ValueError(f"XDG_CONFIG_HOME and HOME must be absolute paths, found {config}")
    return config / "whichlayer" / "trusted"


def trusted_lines() -> list[str]:
    """Return the lines of that file, `OWNER PATH`; none if there is no such file."""
    file = trusted_file()
    return file.read_text(encoding="utf-8", errors="surrogateescape").split("\n") if file.is_file() else []


def line_of(folder: Path) -> str:
    """Return the line of a folder: its owner's number, and its path without links."""
    real = folder.resolve()
    return f"{real.stat().st_uid} {real}"


def is_trusted(folder: Path) -> bool:
    """Return whether a folder was trusted, and belongs to the same user as then."""
    try:
        return line_of(folder) in trusted_lines()
    except (OSError, RuntimeError, ValueError):
        return False


def trust(folder: Path) -> None:
    """Add a folder to the trusted ones, without those that are no more.

    Raises:
        OSError: the file cannot be read or written.
        RuntimeError: no home directory is known.
        ValueError: the path has a line end, or the folder of settings is not an absolute path.
    """
    line, file = line_of(folder), trusted_file()
    if "\n" in line:
        raise ValueError(f"a trusted folder must have a one-line path, found {str(folder)!r}")
    kept = [known for known in trusted_lines() if known != line and Path(known.partition(" ")[2] or "?").is_dir()]
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    beside.write_text("\n".join([*kept, line, ""]), encoding="utf-8", errors="surrogateescape")
    beside.replace(file)
