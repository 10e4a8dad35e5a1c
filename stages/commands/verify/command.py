"""Hash what dvc.lock and DVC's cache hold, say what is damaged, and repair it."""

import sys

import click
from dvc.lock import LockError

from stages.commands.project import ROOT, ProjectCommand
from stages.commands.verify.inventory import Project, open_project
from stages.commands.verify.locks import StaleLock, stale_locks
from stages.commands.verify.repair import Repair, carry_out, count, plan_repair
from stages.commands.verify.survey import Survey, survey
from stages.shared.console import UserError


@click.command(cls=ProjectCommand)
@click.option("--repair", is_flag=True, help="Repair what is damaged: restore it, or run its stage again.")
@click.option("--yes", is_flag=True, help="Delete damaged files without asking.")
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
    with open_project(ROOT) as project:
        locks = stale_locks(project.tmp)
        found = _survey(project)
        plan = plan_repair(found)
        print(report(project, found, locks))
        if not (locks or not found.is_whole):
            return
        if not repair:
            print(how_to_repair(plan, locks))
            sys.exit(1)
        _check_sources(found, plan)
        _ask(project, plan, locks, yes)
        for lock in locks:
            lock.path.unlink(missing_ok=True)
        carry_out(project, plan)
    with open_project(ROOT) as project:
        found = _survey(project)
    print(report(project, found, []))
    sys.exit(0 if found.is_whole else 1)


def _survey(project: Project) -> Survey:
    """Compare everything, while no DVC command can change it."""
    try:
        with project.repo.lock:
            return survey(project)
    except LockError:
        raise UserError(
            f"{ROOT}: nothing may run in the project while it is verified, found that DVC does; wait until it has ended"
        ) from None


def report(project: Project, found: Survey, locks: list[StaleLock]) -> str:
    """Say what was found, a line for each damaged file."""
    lines = [f"{lock.path}: {lock.found} (a lock that nothing holds)" for lock in locks]
    lines += [f"{damage.path}: {damage.found} (in DVC's cache)" for damage in found.objects.values()]
    lines += [f"{damage.path}: {damage.found} (in DVC's run cache)" for damage in found.runs]
    lines += [f"{project.object_path(oid)}: no file (in DVC's cache)" for oid in sorted(found.missing)]
    lines += [
        f"{damage.path}: {damage.found} ({seen.output.stage})" for seen in found.damaged for damage in seen.damages()
    ]
    lines += [f"{damage.path}: {damage.found} at an unchanged time; put it back yourself" for damage in found.sources]
    lines = [line.replace(f"{ROOT}/", "", 1) for line in lines]
    what = f"verify: hashed {found.counted:,} files and objects of the cache; "
    return "\n  ".join([what + (f"{len(lines)} damaged:" if lines else "all are as they were written"), *lines])


def how_to_repair(plan: Repair, locks: list[StaleLock]) -> str:
    """Say what `--repair` would do; nothing where only files are damaged that no stage makes."""
    steps = [*(["deletes the locks"] if locks else []), *plan.steps()]
    return f"`whichlayer verify --repair` repairs this: it {', '.join(steps)}" if steps else ""


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


def _ask(project: Project, plan: Repair, locks: list[StaleLock], yes: bool) -> None:
    doomed = [*(lock.path for lock in locks), *plan.remove]
    if doomed and not yes:
        click.confirm(f"Delete {count(len(doomed), 'damaged file')}?", abort=True)
