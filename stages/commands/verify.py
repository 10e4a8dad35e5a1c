"""Hash what dvc.lock and DVC's cache hold, say what is damaged, and repair it.

Every object of the cache, and every file of the grid that dvc.lock names, is compared with its MD5, by which DVC names
it. Damage is repaired from whole copies, else by running the stage again.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import click

from stages.aggregate.words.formatting import plural
from stages.commands.dvc_project.inventory import Inventory, Output, folder_object, locked, read_run, stale_list
from stages.commands.dvc_project.workspace import open_repo, run_dvc
from stages.commands.project import ProjectCommand, json_option, listed
from stages.shared.core.made_of import RECORDS, contradiction, entry_of, read_entries
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import UserError, printable
from stages.shared.runtime.scratch import remove

Problems = dict[Path, str]
"""Files that are not what they should be, and what they are instead."""

NOT_COMPARED = {
    "absent": "not here, and so not compared: {} (`dvc pull` takes outputs from a remote, `dvc repro` makes them)",
    "outside": "in dvc.lock but not in the grid, and so not compared: {} (add them to `run` of params.yaml to do so)",
}

BLOCK = 1 << 18
UNREADABLE, IRREGULAR = "a file that cannot be read", "no regular file"
"""In the place of the MD5 of a file that cannot be read, and of what is no file: a pipe, a device, a link to one."""


class Hasher:
    """Hashes files, each once as long as nothing writes to it, also where one of the workspace links to the cache."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}
        self._stopped = Event()

    def hash_all(self, paths: Sequence[Path], what: str) -> dict[Path, str]:
        """Hash files that exist, in threads: {path: MD5}; the time of a file does not matter, unlike to DVC.

        Args:
            paths: the files; of these alone memory holds anything.
            what: for the progress display.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            try:
                hashes = progress(pool.map(self._hash, paths), total=len(paths), what=what, unit="files")
                return dict(zip(paths, hashes, strict=True))
            except BaseException:  # a signal: the threads' files may be large
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _hash(self, path: Path) -> str:
        try:
            state = path.stat()
            if not stat.S_ISREG(state.st_mode):  # it may have no end
                return IRREGULAR
            key = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
            if key not in self._known:
                self._known[key] = self._md5(path)
            return self._known[key]
        except OSError:
            return UNREADABLE

    def _md5(self, path: Path) -> str:
        hasher = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            while not self._stopped.is_set() and (block := file.read(BLOCK)):
                hasher.update(block)
        return hasher.hexdigest()


@dataclass(frozen=True)
class PresentOutput:
    """An output that is in the workspace, as it is.

    Attributes:
        output: what dvc.lock says of it.
        damages: its files that are not what dvc.lock says.
        objects: names of the objects that it is made of; of a folder whose list is lost, of the list alone.
        copies: whole files, or the content of a folder's object, by the name of the object that they are a copy of.
    """

    output: Output
    damages: Problems
    objects: set[str]
    copies: dict[str, Path | bytes]


@dataclass(frozen=True)
class Survey:
    """What is whole and what is damaged.

    Attributes:
        locks: of DVC, that nothing holds.
        objects: what is wrong with objects of the cache, by name; of outputs in the workspace also with those that it
            lacks.
        outputs: those in the workspace, and those that were made here and are lost.
        unnamed: outputs in the workspace that dvc.lock does not name.
        sources: damaged files that no stage makes, or folders that are not what a stage read.
        runs: damaged entries of the run cache, and those of results that were not made of what they say.
        absent: what else dvc.lock names and the workspace lacks.
        counted: how many objects and files were hashed.
    """

    locks: Problems
    objects: dict[str, str]
    outputs: list[PresentOutput]
    unnamed: list[Output]
    sources: Problems
    runs: Problems
    absent: list[Path]
    counted: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        damaged = any(output.damages for output in self.outputs)
        return not (self.locks or self.objects or damaged or self.unnamed or self.sources or self.runs)


def survey(inventory: Inventory, hasher: Hasher) -> Survey:
    """Hash everything and compare. Outputs that are not in the workspace are missed only if they are lost.

    Raises:
        UserError: a DVC process runs.
    """
    locks, objects, runs = stale_list(inventory.repo), inventory.objects(), inventory.runs()
    hashes = hasher.hash_all(list(objects.values()), "verify the cache")
    damaged = {oid: problem_of(hashes[path]) for oid, path in objects.items() if hashes[path] != oid.partition(".")[0]}
    present = [output for output in inventory.outputs if os.path.lexists(output.path)]
    read = [source for source in inventory.sources if os.path.lexists(source.path)]
    files = {each: inventory.files_below(each.path) for each in [*present, *read]}
    hashes = hasher.hash_all([path for paths in files.values() for path in paths], "verify the workspace")
    found = {each: {path.relative_to(each.path).as_posix(): hashes[path] for path in files[each]} for each in files}
    outputs, entries = [], read_entries()
    for output in present:
        each, name = compare(inventory, output, found[output], damaged), output.path.relative_to(inventory.root)
        is_whole_record = name.parent.name == RECORDS and not each.damages
        entry = entries.get(output.stage) if is_whole_record else None
        problem = contradiction(name, entry, output.path.read_bytes()) if entry else ""
        if problem:  # beyond repair; as long as the cache has it, DVC takes the result from there
            each = PresentOutput(output, {output.path: problem}, {output.oid}, {})
            damaged[output.oid] = problem
        outputs.append(each)
    lost = lost_outputs(inventory, damaged, objects.keys() - damaged)
    outputs, seen = [*outputs, *lost], {*files, *(each.output for each in lost)}
    needed = {oid for each in outputs if each.output.cached for oid in each.objects}
    return Survey(
        locks=locks,
        objects=damaged | dict.fromkeys(sorted(needed - objects.keys()), "no file"),
        outputs=outputs,
        unnamed=[output for output in inventory.unnamed if os.path.lexists(output.path)],
        sources=dict(damaged_sources(inventory, {source: found[source] for source in read})),
        runs={path: problem for path in runs if (problem := problem_of_run(inventory, path))},
        absent=[each.path for each in [*inventory.outputs, *inventory.sources] if each not in seen],
        counted=len(objects) + len(hashes) + len(runs),
    )


def lost_outputs(inventory: Inventory, damaged: Collection[str], whole: set[str]) -> list[PresentOutput]:
    """Return the outputs that nothing has whole any more, of those that a run of the run cache made.

    Others may never have been here, as in a fresh clone; and where there is a remote, it may have them.

    Args:
        inventory: of the project.
        damaged: names of objects of the cache that are.
        whole: names of the others.
    """
    absent = [output for output in inventory.outputs if output.cached and not os.path.lexists(output.path)]
    lacking = [each for output in absent if (each := compare(inventory, output, {}, damaged)).objects - whole]
    made = inventory.made() if lacking and not inventory.repo.config["remote"] else set()
    return [replace(each, damages={each.output.path: "no file"}) for each in lacking if each.output.oid in made]


def damaged_sources(inventory: Inventory, read: Mapping[Output, Mapping[str, str]]) -> Iterator[tuple[Path, str]]:
    """Yield the raw files that are not what DVC remembers, and the raw folders that are not what dvc.lock says.

    Args:
        inventory: of the project.
        read: MD5 of every file, by its path in what a stage read: `.` of a file.
    """
    for source, files in read.items():
        remembered = inventory.remembered([source.path / name for name in files])
        named = [
            (source.path / name, f"{problem_of(md5)} at an unchanged time; put it back yourself")
            for name, md5 in files.items()
            if md5 == IRREGULAR or md5 != remembered.get(source.path / name, md5)
        ]
        yield from named
        oid = folder_object(files)[0] if source.oid.endswith(".dir") else files.get(".")
        if oid != source.oid and not named:
            yield source.path, f"not what {source.stage} read, as dvc.lock says; put that back, or run `dvc repro`"


def problem_of_run(inventory: Inventory, path: Path) -> str:
    """Return what is wrong with an entry of the run cache; empty if it is whole."""
    run = read_run(path)
    if not run:
        return "other content"
    entry = entry_of(run)
    for out, oid in entry.outs.items():
        record = inventory.object_path(oid)
        if Path(out).parent.name == RECORDS and record.is_file():
            return contradiction(Path(out), entry, record.read_bytes())
    return ""


def compare(inventory: Inventory, output: Output, files: Mapping[str, str], damaged: Collection[str]) -> PresentOutput:
    """Compare an output in the workspace with what dvc.lock says of it.

    Args:
        inventory: of the project.
        output: what dvc.lock says of it.
        files: MD5 of every file, by its path in the output: `.` of an output that is a file.
        damaged: names of objects of the cache that are.
    """
    listed, copies = {".": output.oid} if not output.oid.endswith(".dir") else None, dict[str, Path | bytes]()
    if listed is None:
        oid, content = folder_object(files)
        if oid == output.oid:  # the files prove the list
            listed, copies[oid] = dict(files), content
        elif output.oid not in damaged:
            listed = inventory.files_of(output.oid)
    if listed is None:
        unlisted = {output.path: "other files, and no list of those that it had"}
        return PresentOutput(output, unlisted, {output.oid}, copies)
    copies |= {md5: output.path / name for name, md5 in files.items() if listed.get(name) == md5}
    damages = {
        output.path / name: problem_of(files.get(name)) if name in listed else "a file that dvc.lock does not name"
        for name in sorted({*listed, *files})
        if files.get(name) != listed.get(name)
    }
    return PresentOutput(output, damages, {*listed.values(), output.oid}, copies)


def problem_of(md5: str | None) -> str:
    """Return what a file with the wrong MD5 is; None stands for no file."""
    return "no file" if md5 is None else md5 if md5 in (UNREADABLE, IRREGULAR) else "other content"


@dataclass(frozen=True)
class Repair:
    """What is to be done, in this order.

    Attributes:
        remove: files to delete: locks, damaged objects and entries of the cache, and damaged files of the workspace.
        store: objects that the cache lacks then, and the whole copies that they are made of.
        checkout: outputs that the cache has whole then.
        rerun: stages of whose outputs there is no whole copy.
    """

    remove: list[Path]
    store: dict[str, Path | bytes]
    checkout: list[Path]
    rerun: list[str]

    def steps(self) -> list[str]:
        """Return what is done, a few words each."""
        done = [
            (self.remove, "deletes {}", "file"),
            (self.store, "stores {} in the cache again, from the workspace", "object"),
            (self.checkout, "checks {} out of the cache", "output"),
            (self.rerun, f"runs {{}} again ({', '.join(self.rerun)})", "stage"),
        ]
        return [text.format(plural(len(what), unit)) for what, text, unit in done if what]


def plan_repair(inventory: Inventory, survey: Survey) -> Repair:
    """Work out what repairs damage."""
    copies = {oid: copy for each in survey.outputs if each.output.cached for oid, copy in each.copies.items()}
    store = {oid: copies[oid] for oid in sorted(survey.objects.keys() & copies.keys())}
    lacking = survey.objects.keys() - store.keys()
    # what cannot be restored from the cache, of whole outputs, too
    lost = [each for each in survey.outputs if (each.objects & lacking if each.output.cached else each.damages)]
    damages = [path for each in survey.outputs for path in each.damages]
    damaged = [*survey.locks, *map(inventory.object_path, survey.objects), *survey.runs, *damages]
    gone = [path for path in damaged if os.path.lexists(path)]
    checkout = [each.output.path for each in survey.outputs if each.damages and each not in lost]
    rerun = {each.output.stage for each in lost} | {output.stage for output in survey.unnamed}
    return Repair(gone, store, checkout, sorted(rerun))


@click.command(cls=ProjectCommand)
@click.option("--repair", is_flag=True, help="Repair what is damaged: restore it, or run its stage again.")
@click.option("--yes", is_flag=True, help="Delete damaged files without asking.")
@json_option
def verify(repair: bool, yes: bool, as_json: bool) -> None:
    """Hash what dvc.lock and DVC's cache hold, say what is damaged, and with --repair repair it.

    DVC goes by the size and time of files, and never hashes the objects of its cache again: it sees neither a disk's
    errors nor a damaged object. This reads every object and every run of the cache, every output of the grid that
    dvc.lock names, and the raw data, whatever their times. It finds locks of a killed DVC, and results that were not
    made of what dvc.lock says, since something was edited between the end of a stage and DVC's record of it. Stages
    that the grid no longer has are named, and what is not in the workspace: damage only if it was made here, the cache
    has lost it and there is no remote. A remote is not read: `dvc remote modify NAME verify true` makes DVC do so.

    What is damaged is deleted with your consent, and taken from a whole copy in the cache or the workspace, else its
    stage runs again, if what it read is as it was. The exit status is 1 if damage is left.
    """
    if as_json and repair:
        raise UserError("--json prints what is damaged, and must be without --repair; leave one out")
    hasher = Hasher()
    with looked(hasher, as_json=as_json) as (inventory, damage):
        plan, whole = plan_repair(inventory, damage), damage.is_whole
        if repair and not whole:
            carry_out(plan, inventory, hasher, damage, yes=yes)
        elif not as_json and (steps := plan.steps()):
            refusal = why_not(plan, inventory, damage)
            said = f"would refuse to repair this: {refusal}" if refusal else f"repairs this: it {', '.join(steps)}"
            print(plain_line(f"`whichlayer verify --repair` {said}"))
    if repair and not whole:
        if plan.rerun:
            run_dvc("repro", *plan.rerun)
        with looked(hasher) as (_, damage):
            whole = damage.is_whole
    sys.exit(0 if whole else 1)


@contextmanager
def looked(hasher: Hasher, *, as_json: bool = False) -> Iterator[tuple[Inventory, Survey]]:
    """Look for damage and locks that nothing holds, and print them, a line each; within, DVC can change nothing."""
    with open_repo() as repo, locked(repo):
        inventory = Inventory(repo)
        damage = survey(inventory, hasher)
        problems = [
            (" (a lock that nothing holds)", damage.locks),
            (" (in DVC's cache)", {inventory.object_path(oid): problem for oid, problem in damage.objects.items()}),
            (" (in DVC's run cache)", damage.runs),
            *((f" ({each.output.stage})", each.damages) for each in damage.outputs),
            *((f" ({each.stage})", {each.path: "dvc.lock does not name it"}) for each in damage.unnamed),
            ("", damage.sources),
        ]
        found = [f"{path}: {problem}{where}" for where, paths in problems for path, problem in paths.items()]
        lines = [plain_line(line.replace(f"{inventory.root}/", "", 1)) for line in found]
        absent = [str(path.relative_to(inventory.root)) for path in damage.absent]
        apart = {"absent": [*map(plain_line, absent)], "outside": [*map(plain_line, inventory.outside)]}
        if as_json:
            print(json.dumps({"hashed": damage.counted, "damaged": lines, **apart}, indent=2, ensure_ascii=False))
        else:
            said = f"{len(lines)} damaged:" if lines else "all are as they were written"
            print(f"verify: hashed {damage.counted:,} files and objects of the cache; {said}", *lines, sep="\n  ")
            for name in (name for name, names in apart.items() if names):
                print(NOT_COMPARED[name].format(listed(apart[name])))
        yield inventory, damage


def plain_line(text: str) -> str:
    """Escape what would reach the terminal, or begin another line."""
    return printable(text.replace("\n", "\\n"))


def why_not(plan: Repair, inventory: Inventory, damage: Survey) -> str:
    """Return why stages cannot run again to make what dvc.lock says, for people; empty if they can, or none is to."""
    if damage.sources and plan.rerun:
        return (
            f"{next(iter(damage.sources))}: must be put back before {', '.join(plan.rerun)} can run again, found it "
            "damaged (listed above); or, if it is meant to be so, `touch` it and run `dvc repro`"
        )
    if edits := inventory.edits(plan.rerun):
        found = listed([f"{what} ({listed(stages)})" for what, stages in edits.items()], "; ")
        return (
            f"{listed(plan.rerun)}: must run again on what dvc.lock says, found otherwise: {found}; put that back "
            "(`git diff` shows edits), or run `dvc repro`, which computes with what is there now, and verify again"
        )
    return ""


def carry_out(plan: Repair, inventory: Inventory, hasher: Hasher, damage: Survey, *, yes: bool) -> None:
    """Ask, and repair what DVC need not run again for, if nothing has changed meanwhile; called under DVC's lock.

    Raises:
        UserError: something has, stages would run again on something else, or DVC cannot check an output out.
    """
    if refusal := why_not(plan, inventory, damage):
        raise UserError(refusal)
    doomed = [*plan.remove, *(output.path for output in damage.unnamed)]  # the last by DVC
    if doomed and not yes:
        click.confirm(f"Delete {plural(len(doomed), 'damaged file')}?", abort=True)
    if survey(inventory, hasher) != damage:
        raise UserError(f"{inventory.root}: must be as it was when you were asked, found it changed; verify again")
    for path in plan.remove:
        remove(path)
    for oid, copy in plan.store.items():
        inventory.store(oid, copy)
    inventory.checkout(plan.checkout)
