"""Hash what dvc.lock and DVC's cache hold, name what is damaged, and remove it: DVC makes it again."""

import json
import sys

import click

from ..shared.runtime.errors import listed, printable
from ..shared.runtime.scratch import remove
from .dvc_project.inventory import Survey, locked, survey
from .dvc_project.workspace import open_repo
from .project import MAX_LISTED, ROOT, ProjectCommand, json_option


@click.command(cls=ProjectCommand)
@click.option("--remove", "removes", is_flag=True, help="Delete damaged files, so that `dvc repro` recreates them.")
@json_option
def verify(removes: bool, as_json: bool) -> None:
    """Hash the files in dvc.lock and in DVC's cache, and list the damaged ones.

    DVC compares file sizes and times, and never rehashes the objects in its cache, so it misses disk errors and damaged
    objects. This command reads every object, every output in dvc.lock that the grid has, and the raw data.
    With --remove it deletes damaged outputs and objects. `dvc repro` then restores each result from the cache, or runs
    its stage again. Raw data stay.

    It also lists stages that the grid no longer has, and outputs that are not in the workspace. It does not read a
    remote: `dvc remote modify NAME verify true` makes DVC do so. The exit status is 1 if damage is left.
    """
    with open_repo() as repo, locked(repo):
        found = survey(repo)
        for line in as_lines(found, as_json=as_json, removed=removes):
            print(line)
        for path in found.damaged if removes else ():
            remove(path)
    sys.exit(1 if found.sources or (found.damaged and not removes) else 0)


def as_lines(found: Survey, *, as_json: bool, removed: bool) -> list[str]:
    """Return what was found, for people or as JSON."""
    problems = {**found.damaged, **found.sources}
    lines = [plain(f"{path}: {problem}") for path, problem in problems.items()]
    absent, outside = [plain(str(path)) for path in found.absent], [*map(plain, found.outside)]
    if as_json:
        content = {"hashed": found.hashed, "damaged": lines, "absent": absent, "outside": outside}
        return [json.dumps(content, indent=2, ensure_ascii=False)]
    result = f"{len(lines)} damaged:" if lines else "all are as they were written"
    printed = [f"verify: hashed {found.hashed:,} files and cached objects; {result}"]
    printed += [f"  {line}" for line in lines]
    if found.damaged:
        done = "removed" if removed else "`whichlayer verify --remove` deletes what is damaged"
        printed.append(f"{done}; `dvc repro` then restores it from the cache, or reruns its stage")
    if found.sources:
        printed.append(
            "raw data: put back what was there; if they are meant to be so, `touch` them and run `dvc repro`"
        )
    if absent:
        printed.append(
            f"not here, and so not compared: {listed(absent, MAX_LISTED)} (`dvc pull` or `dvc repro` brings them)"
        )
    if outside:
        printed.append(f"in dvc.lock but not in the grid, and so not compared: {listed(outside, MAX_LISTED)}")
    return printed


def plain(text: str) -> str:
    """Escape what would reach the terminal, or begin another line; paths are those in the project."""
    return printable(text.replace(f"{ROOT}/", "", 1).replace("\n", "\\n"))
