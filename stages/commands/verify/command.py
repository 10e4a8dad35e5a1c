"""Hash what dvc.lock and DVC's cache hold, say what is damaged, and repair it."""

import json
import sys
from collections.abc import Collection
from pathlib import Path

import click

from stages.aggregate.words.formatting import plural
from stages.commands.dvc_project.inventory import Inventory
from stages.commands.dvc_project.locks import locked
from stages.commands.dvc_project.workspace import open_repo, run_dvc
from stages.commands.project import ProjectCommand, json_option
from stages.commands.verify.damage import Hasher, Repair, Survey, plan_repair, put_back, survey
from stages.shared.runtime.errors import UserError, printable


@click.command(cls=ProjectCommand)
@click.option("--repair", is_flag=True, help="Repair what is damaged: restore it, or run its stage again.")
@click.option("--yes", is_flag=True, help="Delete damaged files without asking.")
@json_option
def verify(repair: bool, yes: bool, as_json: bool) -> None:
    """Hash what dvc.lock and DVC's cache hold, say what is damaged, and with --repair repair it.

    DVC goes by the size and time of files, and never hashes the objects of its cache again: it sees neither a disk's
    silent errors nor a damaged object, and hands that on. This reads every object and every run of the cache,
    every file of the outputs that dvc.lock names, and the raw data, whatever their times. It finds the locks of a
    killed DVC, too, and results that were not made of what dvc.lock says, since something was edited between the end
    of a stage and DVC's record of it. What a remote holds is not read: `dvc remote modify NAME verify true` makes DVC
    hash what it takes from there.

    What is damaged is deleted with your consent, and taken from a whole copy in the cache or the workspace; where there
    is none, its stage runs again. The exit status is 1 if something is damaged and not repaired.
    """
    if as_json and repair:
        raise UserError("--json prints what is damaged, and must be without --repair; leave one out")
    hasher = Hasher()
    locks, damage = look(hasher, as_json=as_json)
    if not repair or not (locks or not damage.is_whole):
        steps = [*(["deletes the locks"] if locks else []), *plan_repair(damage).steps()]
        if steps and not as_json:
            print(plain_line(f"`whichlayer verify --repair` repairs this: it {', '.join(steps)}"))
    else:
        run_again = repair_damage(hasher, locks, damage, yes)
        if run_again:
            run_dvc("repro", *run_again)
        locks, damage = look(hasher)
    sys.exit(0 if damage.is_whole and not locks else 1)


def look(hasher: Hasher, *, as_json: bool = False) -> tuple[dict[Path, str], Survey]:
    """Look for damage and locks that nothing holds, and print them, a line each."""
    with open_repo() as repo, locked(repo) as locks:
        inventory = Inventory(repo)
        damage = survey(inventory, hasher)
    lines = [f"{path}: {problem} (a lock that nothing holds)" for path, problem in locks.items()]
    lines += [f"{each.path}: {each.problem} (in DVC's cache)" for each in damage.objects.values()]
    lines += [f"{each.path}: {each.problem} (in DVC's run cache)" for each in damage.runs]
    lines += [f"{inventory.object_path(oid)}: no file (in DVC's cache)" for oid in sorted(damage.missing)]
    for output in damage.damaged:
        lines += [f"{each.path}: {each.problem} ({output.output.stage})" for each in output.damages]
    lines += [f"{each.path}: dvc.lock does not name it ({each.stage})" for each in damage.unnamed]
    lines += [f"{each.path}: {each.problem}" for each in damage.sources]
    lines = [plain_line(line.replace(f"{inventory.root}/", "", 1)) for line in lines]
    if as_json:
        print(json.dumps({"hashed": damage.counted, "damaged": lines}, indent=2, ensure_ascii=False))
        return locks, damage
    print(
        f"verify: hashed {damage.counted:,} files and objects of the cache; "
        + (f"{len(lines)} damaged:" if lines else "all are as they were written")
    )
    for line in lines:
        print(f"  {line}")
    return locks, damage


def plain_line(text: str) -> str:
    """Escape what would reach the terminal, or begin another line."""
    return printable(text.replace("\n", "\\n"))


def repair_damage(hasher: Hasher, locks: Collection[Path], damage: Survey, yes: bool) -> list[str]:
    """Ask, look again, since much may have happened meanwhile, and repair what is still so.

    Returns:
        The stages that must run again.

    Raises:
        UserError: DVC runs now, something would be deleted that the user was not asked about, or raw data are damaged.
    """
    consented = doomed(plan_repair(damage), damage, locks)
    if consented and not yes:
        click.confirm(f"Delete {plural(len(consented), 'damaged file')}?", abort=True)
    with open_repo() as repo, locked(repo) as left:
        inventory = Inventory(repo)
        damage = survey(inventory, hasher)
        plan = plan_repair(damage)
        for path in doomed(plan, damage, left):
            if path not in consented:
                raise UserError(f"{path}: must be as it was when you were asked, found it changed since; verify again")
        for path in left:
            path.unlink(missing_ok=True)
        put_back(inventory, plan)
    return plan.rerun


def doomed(plan: Repair, damage: Survey, locks: Collection[Path]) -> list[Path]:
    """Return what a repair deletes.

    Raises:
        UserError: stages would run again on damaged raw data.
    """
    if damage.sources and plan.rerun:
        raise UserError(
            f"{damage.sources[0].path}: must be put back before {', '.join(plan.rerun)} can run again, found it "
            "damaged (listed above); or, if it is meant to be so, `touch` it and run `dvc repro`"
        )
    return [*locks, *plan.remove, *(output.path for output in damage.unnamed)]  # the last by DVC
