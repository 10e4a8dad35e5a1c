"""Compare every object of the cache, and every file that dvc.lock names, with their MD5, and repair what differs.

MD5 is what DVC names its objects by. Damage is repaired from whole copies where there are any, else by running the
stage again.
"""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from stages.aggregate.words.formatting import plural
from stages.commands.dvc_project.inventory import Inventory, Output, folder_object, read_run
from stages.shared.runtime.console import progress
from stages.shared.runtime.scratch import remove
from stages.shared.stage_run.made_of import RECORDS, Entry, contradiction, entry_of, read_entries

BLOCK = 1 << 18

UNREADABLE, IRREGULAR = "unreadable", "irregular"
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
class Damage:
    """A file that is not what it should be.

    Attributes:
        path: the file.
        problem: what it is instead.
    """

    path: Path
    problem: str


@dataclass(frozen=True)
class PresentOutput:
    """An output that is in the workspace, as it is.

    Attributes:
        output: what dvc.lock says of it.
        damages: its files that are not what dvc.lock says.
        objects: names of the objects that it is made of; None where that is not known.
        copies: whole files, or the content of a folder's object, by the name of the object that they are a copy of.
    """

    output: Output
    damages: list[Damage]
    objects: set[str] | None
    copies: dict[str, Path | bytes]


@dataclass(frozen=True)
class Survey:
    """What is whole and what is damaged.

    Attributes:
        objects: damaged objects of the cache, by name.
        whole: names of its other objects.
        missing: objects that the cache lacks, of outputs that are in the workspace.
        outputs: those in the workspace.
        unnamed: outputs in the workspace that dvc.lock does not name.
        sources: damaged files that no stage makes, or folders that are not what a stage read.
        runs: damaged entries of the run cache, and those of results that were not made of what they say.
        counted: how many objects and files were hashed.
    """

    objects: dict[str, Damage]
    whole: set[str]
    missing: set[str]
    outputs: list[PresentOutput]
    unnamed: list[Output]
    sources: list[Damage]
    runs: list[Damage]
    counted: int

    @property
    def damaged(self) -> list[PresentOutput]:
        """The outputs in the workspace that are not what dvc.lock says."""
        return [output for output in self.outputs if output.damages]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.objects or self.missing or self.damaged or self.unnamed or self.sources or self.runs)


def survey(inventory: Inventory, hasher: Hasher) -> Survey:
    """Hash everything and compare. Outputs that are not in the workspace are not missed: they can be made again."""
    objects, runs = inventory.objects(), inventory.runs()
    hashes = hasher.hash_all(list(objects.values()), "verify the cache")
    damaged = {
        oid: Damage(path, problem_of(hashes[path]))
        for oid, path in objects.items()
        if hashes[path] != oid.partition(".")[0]
    }
    present = [output for output in inventory.outputs if os.path.lexists(output.path)]
    read = [source for source in inventory.sources if os.path.lexists(source.path)]
    files = {each: inventory.files_below(each.path) for each in [*present, *read]}
    hashes = hasher.hash_all([path for paths in files.values() for path in paths], "verify the workspace")
    found = {each: {path.relative_to(each.path).as_posix(): hashes[path] for path in files[each]} for each in files}
    outputs = [compare(inventory, output, found[output], damaged) for output in present]
    entries = read_entries()
    edited = {each.output: each for output in outputs if (each := contradicted(inventory, output, entries))}
    outputs = [edited.get(output.output, output) for output in outputs]
    for output, each in edited.items():  # as long as the cache has it, DVC takes the result from there
        damaged[output.oid] = Damage(inventory.object_path(output.oid), each.damages[0].problem)
    needed = {oid for each in outputs if each.output.cached for oid in each.objects or {each.output.oid}}
    return Survey(
        objects=damaged,
        whole=objects.keys() - damaged.keys(),
        missing=needed - objects.keys(),
        outputs=outputs,
        unnamed=[output for output in inventory.unnamed if os.path.lexists(output.path)],
        sources=list(damaged_sources(inventory, {source: found[source] for source in read})),
        runs=[Damage(path, problem) for path in runs if (problem := problem_of_run(inventory, path))],
        counted=len(objects) + len(hashes) + len(runs),
    )


def contradicted(inventory: Inventory, output: PresentOutput, entries: Mapping[str, Entry]) -> PresentOutput | None:
    """Return a record as damaged beyond repair if dvc.lock says that its stage read something else."""
    record, stage = output.output.path, output.output.stage
    if record.parent.name != RECORDS or output.damages:
        return None
    problem = contradiction(record.relative_to(inventory.root), entries.get(stage), record.read_bytes())
    return PresentOutput(output.output, [Damage(record, problem)], None, {}) if problem else None


def damaged_sources(inventory: Inventory, read: Mapping[Output, Mapping[str, str]]) -> Iterator[Damage]:
    """Yield the raw files that are not what DVC remembers, and the raw folders that are not what dvc.lock says.

    Args:
        inventory: of the project.
        read: MD5 of every file, by its path in what a stage read: `.` of a file.
    """
    for source, files in read.items():
        remembered = inventory.remembered([source.path / name for name in files])
        named = [
            Damage(source.path / name, f"{problem_of(md5)} at an unchanged time; put it back yourself")
            for name, md5 in files.items()
            if md5 == IRREGULAR or md5 != remembered.get(source.path / name, md5)
        ]
        yield from named
        oid = folder_object(files)[0] if source.oid.endswith(".dir") else files.get(".")
        if oid != source.oid and not named:
            problem = f"not what {source.stage} read, as dvc.lock says; put that back, or run `dvc repro`"
            yield Damage(source.path, problem)


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
        damaged: names of objects of the cache that are damaged.
    """
    listed, copies = {".": output.oid} if not output.oid.endswith(".dir") else None, dict[str, Path | bytes]()
    if listed is None:
        oid, content = folder_object(files)
        if oid == output.oid:  # the files prove the list
            listed, copies[oid] = dict(files), content
        elif output.oid not in damaged:
            listed = inventory.files_of(output.oid)
    if listed is None:
        other = Damage(output.path, "other files, and no list of those that it had")
        return PresentOutput(output, [other], None, copies)
    copies |= {md5: output.path / name for name, md5 in files.items() if listed.get(name) == md5}
    differing = [name for name in sorted({*listed, *files}) if files.get(name) != listed.get(name)]
    damages = [
        Damage(
            output.path / name,
            "a file that dvc.lock does not name" if name not in listed else problem_of(files.get(name)),
        )
        for name in differing
    ]
    return PresentOutput(output, damages, {*listed.values(), output.oid}, copies)


def problem_of(md5: str | None) -> str:
    """Return what a file with the wrong MD5 is; None stands for no file."""
    problems = {None: "no file", UNREADABLE: "a file that cannot be read", IRREGULAR: "no regular file"}
    return problems.get(md5, "other content")


@dataclass(frozen=True)
class Repair:
    """What is to be done, in this order.

    Attributes:
        remove: files to delete: damaged objects and entries of the cache, and damaged files of the workspace.
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
            (self.remove, "deletes {} that are not whole", "file"),
            (self.store, "stores {} in the cache again, from the workspace", "object"),
            (self.checkout, "checks {} out of the cache", "output"),
            (self.rerun, f"runs {{}} again ({', '.join(self.rerun)})", "stage"),
        ]
        return [text.format(plural(len(what), unit)) for what, text, unit in done if what]


def plan_repair(survey: Survey) -> Repair:
    """Work out what repairs damage."""
    copies = {oid: copy for each in survey.outputs if each.output.cached for oid, copy in each.copies.items()}
    store = {oid: copies[oid] for oid in sorted({*survey.objects, *survey.missing} & copies.keys())}
    available, lost = survey.whole | store.keys(), []
    for each in survey.outputs:  # what cannot be restored from the cache, of whole outputs, too
        in_cache = each.output.cached and each.objects is not None and each.objects <= available
        if not in_cache and (each.output.cached or each.damages):
            lost.append(each)
    damages = [damage for each in survey.damaged for damage in each.damages]
    gone = [each.path for each in [*survey.objects.values(), *survey.runs, *damages] if os.path.lexists(each.path)]
    checkout = [each.output.path for each in survey.damaged if each not in lost]
    rerun = {each.output.stage for each in lost} | {output.stage for output in survey.unnamed}
    return Repair(gone, store, checkout, sorted(rerun))


def put_back(inventory: Inventory, repair: Repair) -> None:
    """Remove what is damaged, and put back what there are whole copies of; to be called under DVC's lock.

    Raises:
        UserError: DVC cannot check an output out.
    """
    for path in repair.remove:
        remove(path)
    for oid, copy in repair.store.items():
        inventory.store(oid, copy)
    inventory.checkout(repair.checkout)
