"""Compare every object of the cache, and every file that dvc.lock names, with their hashes. Nothing is changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stages.commands.verify.hashing import UNREADABLE, Hasher
from stages.commands.verify.inventory import Output, Project, tree_of
from stages.commands.verify.run_cache import entry_is_whole

ITSELF = "."
"""The name of the only file of an output that is one."""


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be: its path, what was found, and the hash that it should have."""

    path: Path
    found: str
    oid: str


@dataclass(frozen=True)
class Seen:
    """An output that is in the workspace, as it is.

    Attributes:
        output: what dvc.lock says of it.
        files: MD5 of every file, by its path in the output.
        listed: what they should be; None where the cache lacks the list, and the files are not those that it had.
        tree: the content of a folder's object, if the files prove it.
        newer: whether a file that differs was written after dvc.lock.
    """

    output: Output
    files: Mapping[str, str]
    listed: Mapping[str, str] | None
    tree: bytes | None
    newer: bool = False

    @property
    def needed(self) -> set[str] | None:
        """Names of the objects that it is made of; None where that is not known."""
        return None if self.listed is None else {*self.listed.values(), self.output.oid}

    def damages(self) -> list[Damage]:
        """Name the files that are not what dvc.lock says."""
        path, oid = self.output.path, self.output.oid
        if self.listed is None:
            return [Damage(path, "other files, and no list of those that it had", oid)]
        names = sorted(self.listed.keys() | self.files.keys())
        return [
            Damage(path / name, self._found(name), self.listed.get(name, ""))
            for name in names
            if self.files.get(name) != self.listed.get(name)
        ]

    def copies(self) -> dict[str, Path | bytes]:
        """Whole files, or the content of a folder's object, by the name of the object that they are a copy of."""
        whole: dict[str, Path | bytes] = {} if self.tree is None else {self.output.oid: self.tree}
        listed = self.listed or {}
        return whole | {md5: self.output.path / name for name, md5 in self.files.items() if listed.get(name) == md5}

    def _found(self, name: str) -> str:
        if name not in self.files:
            return "no file"
        return describe(self.files[name]) if name in (self.listed or {}) else "a file that dvc.lock does not name"


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
    outputs: list[Seen]
    sources: list[Damage]
    runs: list[Damage]
    counted: int

    @property
    def damaged(self) -> list[Seen]:
        """The outputs in the workspace that are not what dvc.lock says."""
        return [seen for seen in self.outputs if seen.damages()]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.objects or self.missing or self.damaged or self.sources or self.runs)


def survey(project: Project, hasher: Hasher) -> Survey:
    """Hash everything and compare. Outputs that are not in the workspace are not missed: they can be made again."""
    objects = project.objects()
    hashes = hasher.hash_all(list(objects.values()), "verify the cache")
    damaged = {
        oid: Damage(path, describe(hashes[path]), oid)
        for oid, path in objects.items()
        if hashes[path] != oid.partition(".")[0]
    }
    present = {out: project.files_below(out.path) for out in project.outputs() if out.path.exists()}
    remembered = project.sources()
    paths = [path for files in present.values() for path in files]
    hashes = hasher.hash_all([*paths, *remembered], "verify the workspace")
    seen = [_see(project, out, {path: hashes[path] for path in files}, damaged) for out, files in present.items()]
    outputs = [replace(each, newer=_is_newer(project, each)) for each in seen]
    needed = {oid for seen in outputs if seen.output.cached for oid in seen.needed or {seen.output.oid}}
    sources = [Damage(path, describe(hashes[path]), md5) for path, md5 in remembered.items() if hashes[path] != md5]
    whole, entries = objects.keys() - damaged.keys(), project.runs()
    runs = [Damage(path, "other content", "") for path in entries if not entry_is_whole(path)]
    counted = len(objects) + len(hashes) + len(entries)
    return Survey(damaged, whole, needed - objects.keys(), outputs, sources, runs, counted)


def describe(md5: str) -> str:
    """Say what a file with the wrong hash is."""
    return "a file that cannot be read" if md5 == UNREADABLE else "other content"


def _see(project: Project, output: Output, hashes: Mapping[Path, str], damaged: Collection[str]) -> Seen:
    files = {path.relative_to(output.path).as_posix(): md5 for path, md5 in hashes.items()}
    if not output.is_folder:
        return Seen(output, files, {ITSELF: output.oid}, None)
    listed = None if output.oid in damaged else project.files_of(output.oid)
    oid, content = tree_of(files)
    if oid != output.oid:
        return Seen(output, files, listed, None)
    return Seen(output, files, files, content)


def _is_newer(project: Project, seen: Seen) -> bool:
    listed = seen.listed or {}
    changed = {name: listed.get(name) for name, md5 in seen.files.items() if md5 != listed.get(name)}
    return any(project.is_newer(seen.output.path / name, md5) for name, md5 in changed.items())
