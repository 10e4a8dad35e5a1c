"""Compare every object of the cache, and every file that dvc.lock names, with their MD5, and repair what differs.

MD5 is what DVC names its objects by. Damage is repaired from whole copies where there are any, else by running the
stage again.
"""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stages.commands.dvc_project.inventory import Inventory, Output, folder_object, run_is_whole
from stages.shared.runtime.console import progress
from stages.shared.runtime.scratch import remove

UNREADABLE = "unreadable"
"""In the place of the MD5 of a file that cannot be read."""


class Hasher:
    """Hashes files, each once as long as nothing writes to it, also where one of the workspace links to the cache."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def hash_all(self, paths: Sequence[Path], what: str) -> dict[Path, str]:
        """Hash files that exist, in threads: {path: MD5}; the time of a file does not matter, unlike to DVC.

        Args:
            paths: the files; of these alone memory holds anything.
            what: for the progress display.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            hashes = progress(pool.map(self._hash, paths), total=len(paths), what=what, unit="files")
            return dict(zip(paths, hashes, strict=True))

    def _hash(self, path: Path) -> str:
        try:
            stat = path.stat()
            key = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
            if key not in self._known:
                with path.open("rb") as file:
                    self._known[key] = hashlib.file_digest(
                        file, partial(hashlib.md5, usedforsecurity=False)
                    ).hexdigest()
            return self._known[key]
        except OSError:
            return UNREADABLE


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
        sources: damaged files that no stage makes.
        runs: damaged entries of the run cache.
        counted: how many objects and files were hashed.
    """

    objects: dict[str, Damage]
    whole: set[str]
    missing: set[str]
    outputs: list[PresentOutput]
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
        return not (self.objects or self.missing or self.damaged or self.sources or self.runs)


def survey(inventory: Inventory, hasher: Hasher) -> Survey:
    """Hash everything and compare. Outputs that are not in the workspace are not missed: they can be made again."""
    objects, runs = inventory.objects(), inventory.runs()
    hashes = hasher.hash_all(list(objects.values()), "verify the cache")
    damaged = {
        oid: Damage(path, problem_of(hashes[path]))
        for oid, path in objects.items()
        if hashes[path] != oid.partition(".")[0]
    }
    files = {output: inventory.files_below(output.path) for output in inventory.outputs if output.path.exists()}
    sources = inventory.sources()
    hashes = hasher.hash_all([*(path for paths in files.values() for path in paths), *sources], "verify the workspace")
    outputs = [
        compare(inventory, output, {path.relative_to(output.path).as_posix(): hashes[path] for path in paths}, damaged)
        for output, paths in files.items()
    ]
    needed = {oid for each in outputs if each.output.cached for oid in each.objects or {each.output.oid}}
    return Survey(
        objects=damaged,
        whole=objects.keys() - damaged.keys(),
        missing=needed - objects.keys(),
        outputs=outputs,
        sources=[Damage(path, problem_of(hashes[path])) for path, md5 in sources.items() if hashes[path] != md5],
        runs=[Damage(path, "other content") for path in runs if not run_is_whole(path)],
        counted=len(objects) + len(hashes) + len(runs),
    )


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
    return {None: "no file", UNREADABLE: "a file that cannot be read"}.get(md5, "other content")


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
        return [text.format(count(len(what), unit)) for what, text, unit in done if what]


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
    return Repair(gone, store, checkout, sorted({each.output.stage for each in lost}))


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


def count(number: int, unit: str) -> str:
    """Write a number with its unit: `1 file`, `2 files`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
