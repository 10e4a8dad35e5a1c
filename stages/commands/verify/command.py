"""Hash what dvc.lock and DVC's cache hold, say what is damaged, and repair it."""

import sys
from pathlib import Path

import click

from stages.commands.project import ROOT, ProjectCommand
from stages.commands.verify.hashing import Hasher
from stages.commands.verify.inventory import Project, open_project
from stages.commands.verify.locks import StaleLock, locked
from stages.commands.verify.repair import Repair, count, plan_repair, put_back, run_again
from stages.commands.verify.report import how_to_repair, report
from stages.commands.verify.survey import Survey, survey
from stages.shared.runtime.errors import UserError


@click.command(cls=ProjectCommand)
@click.option("--repair", is_flag=True, help="Repair what is damaged: restore it, or run its stage again.")
@click.option(
    "--yes",
    is_flag=True,
    help="Delete damaged files without asking; only a lock that another machine may hold is still asked about.",
)
def verify(repair: bool, yes: bool) -> None:
    """Hash what dvc.lock and DVC's cache hold, say what is damaged, and with --repair repair it.

    DVC goes by the size and time of files, and never hashes the objects of its cache again: it sees neither a disk's
    silent errors nor a damaged object, and hands that on. This reads every object and every run of the cache,
    every file of the outputs that dvc.lock names, and the raw data, whatever their times. It finds the locks of a
    killed DVC, too. What a remote holds is not read: `dvc remote modify NAME verify true` makes DVC hash what it takes
    from there.

    What is damaged is deleted with your consent, and taken from a whole copy in the cache or the workspace; where there
    is none, its stage runs again. The exit status is 1 if something is damaged and not repaired.
    """
    hasher = Hasher()
    with open_project(ROOT) as project:
        with locked(project.repo) as locks:
            found = survey(project, hasher)
        plan = plan_repair(found)
        print(report(project, found, locks))
        if not (locks or not found.is_whole):
            return
        if not repair:
            print(how_to_repair(plan, locks))
            sys.exit(1)
        _check_sources(found, plan)
        _ask(plan, locks, yes)
        run_again(project.root, _put_back(project, hasher, locks, plan).rerun)
    with open_project(ROOT) as project, locked(project.repo) as locks:
        found = survey(project, hasher)
    print(report(project, found, locks))
    sys.exit(0 if found.is_whole and not locks else 1)


def _put_back(project: Project, hasher: Hasher, locks: list[StaleLock], consented: Repair) -> Repair:
    """Look again, under DVC's lock, since much may have happened while the user was asked; repair what is still so.

    Raises:
        UserError: DVC runs now, or something would be deleted that the user was not asked about.
    """
    for lock in locks:
        if lock.claim is not None:  # it would keep this from DVC's lock
            lock.remove()
    with locked(project.repo) as left:
        found = survey(project, hasher)
        plan = plan_repair(found)
        _check_sources(found, plan)
        for path in _doomed(plan, left):
            if path not in _doomed(consented, locks):
                raise UserError(f"{path}: must be as it was when you were asked, found it changed since; verify again")
        for lock in left:
            lock.remove()
        put_back(project, plan)
    return plan


def _check_sources(found: Survey, plan: Repair) -> None:
    """Refuse to run stages again on damaged raw data.

    Raises:
        UserError: that would happen.
    """
    if found.sources and plan.rerun:
        raise UserError(
            f"{found.sources[0].path}: must be put back before {', '.join(plan.rerun)} can run again, found it damaged "
            "(listed above); or say that it is meant to be so, by `touch`"
        )


def _ask(plan: Repair, locks: list[StaleLock], yes: bool) -> None:
    linked = [lock.path.name for lock in locks if lock.claim is not None]
    if linked:
        others = "another machine that shares this folder may hold it. Has every DVC there ended?"
        click.confirm(f"{' and '.join(linked)} in .dvc/tmp: {others}", abort=True)
    doomed = _doomed(plan, locks)
    if doomed and not yes:
        click.confirm(f"Delete {count(len(doomed), 'damaged file')}?", abort=True)


def _doomed(plan: Repair, locks: list[StaleLock]) -> list[Path]:
    """List what is deleted."""
    return [*(lock.path for lock in locks), *plan.remove]
