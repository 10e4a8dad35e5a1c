"""What dvc.lock and DVC's cache say that there is, objects by their hash and outputs with their files; and DVC's locks.

A lock that a killed DVC left damaged it cannot read, and an old one it takes for a process that runs.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from stages.commands.dvc_project.workspace import params_parsed_once
from stages.shared.core.digests import CODE, differences, files_below, flat
from stages.shared.core.made_of import entry_of, read_entries
from stages.shared.runtime.errors import UserError, short_repr

if TYPE_CHECKING:
    from dvc.dependency.base import Dependency
    from dvc.repo import Repo


@dataclass(frozen=True)
class Output:
    """A file or folder that dvc.lock says a stage made.

    Attributes:
        stage: as DVC names it.
        path: where it is in the workspace.
        oid: the name of its object: its MD5, and `.dir` after that of a folder.
        cached: whether the cache holds it, too.
    """

    stage: str
    path: Path
    oid: str
    cached: bool


class Inventory:
    """What dvc.lock and DVC's cache say that there is: objects by their MD5, and outputs with the files in them."""

    def __init__(self, repo: "Repo") -> None:
        """List what dvc.lock says the stages made and read.

        Attributes:
            outputs: what dvc.lock has a hash of.
            unnamed: what dvc.yaml names, and dvc.lock does not, of stages that may have made it; without a hash.
            sources: the files and folders that no stage makes, but for code, with the hash of each stage that read it.
            outside: the stages that dvc.lock has and the grid has not.

        Raises:
            UserError: dvc.yaml has no stages.
        """
        if not repo.index.stages:
            raise UserError("dvc.yaml: must have stages, found none; put it back (`git checkout HEAD dvc.yaml`)")
        self.outside = sorted(read_entries().keys() - {stage.addressing for stage in repo.index.stages})
        self.repo, self.root, self._cache = repo, Path(repo.root_dir), repo.cache.local
        found = [
            Output(stage.addressing, Path(out.fs_path), out.hash_info.value or "", bool(out.use_cache))
            for stage in repo.index.stages
            for out in stage.outs
            if out.protocol == "local"
        ]
        made = [self.root / CODE.name, *(output.path for output in found)]
        self.outputs = [output for output in found if output.oid]
        self.unnamed = [output for output in found if not output.oid]
        self.sources = [
            Output(stage.addressing, Path(dep.fs_path), dep.hash_info.value, cached=False)
            for stage in repo.index.stages
            for dep in stage.deps
            if isinstance(dep.hash_info.value, str)  # of parameters it has values
            and dep.protocol == "local"
            and not any(path.is_relative_to(dep.fs_path) or Path(dep.fs_path).is_relative_to(path) for path in made)
        ]

    def object_path(self, oid: str) -> Path:
        """Return where the cache has an object, or would have it."""
        return Path(self._cache.oid_to_path(oid))

    def objects(self) -> dict[str, Path]:
        """Return all objects of the cache, by name: also those of results that dvc.lock no longer names."""
        return {oid: self.object_path(oid) for oid in sorted(self._cache.all())}

    def store(self, oid: str, copy: Path | bytes) -> None:
        """Put an object into the cache, whole or not at all."""
        if isinstance(copy, bytes):
            self._cache.add_bytes(oid, copy)
        else:
            self._cache.add(str(copy), self.repo.fs, oid)
        self._cache.protect(str(self.object_path(oid)))

    def checkout(self, outputs: Sequence[Path]) -> None:
        """Take outputs from the cache."""
        if outputs:
            self.repo.checkout(list(map(str, outputs)), force=True)

    def runs(self) -> list[Path]:
        """Return the entries of the run cache: which outputs a command once made of which inputs."""
        return sorted(path for path in Path(self.repo.stage_cache.cache_dir).glob("*/*/*") if path.is_file())

    def made(self) -> set[str]:
        """Return the names of the objects that the runs of the run cache made."""
        return {oid for path in self.runs() for oid in entry_of(read_run(path)).outs.values()}

    def edits(self, stages: Collection[str]) -> dict[str, list[str]]:
        """Return why DVC would run stages with something else than dvc.lock says, or run others before them as well.

        Args:
            stages: names of those that are to run again. Outputs that are here are not compared.

        Returns:
            What was edited or is not here, for people, and the stages that it reaches.
        """
        found: dict[str, list[str]] = {}
        with params_parsed_once():
            for stage in {each for name in stages for each in self.repo.stage.collect(name, with_deps=True)}:
                gone = [] if stage.addressing in stages else [each for each in stage.outs if not each.exists]
                reasons = [f"{out} is not here (try `dvc pull`)" for out in gone if out.changed_cache()]
                if any(out.hash_info for out in stage.outs):  # else dvc.lock says nothing of it
                    reasons += ["the command in dvc.yaml is another"] * stage.cmd_changed
                    reasons += [reason for dep in stage.deps for reason in self._edits_of(dep)]
                for reason in reasons:
                    found.setdefault(reason, []).append(stage.addressing)
        return {reason: sorted(found[reason]) for reason in sorted(found)}

    def _edits_of(self, dep: "Dependency") -> Iterator[str]:
        from dvc.dependency import ParamsDependency

        path = Path(dep.fs_path)
        if isinstance(dep, ParamsDependency):
            before, after = (
                {leaf: value for name, tree in values.items() for leaf, value in flat(tree, name).items()}
                for values in (dep.hash_info.value or {}, dep.read_params())
            )
            for leaf in differences(before, after):
                yield f"{leaf} was {short_repr(before.get(leaf))}, is {short_repr(after.get(leaf))}"
        elif not dep.hash_info or path.is_relative_to(self.root / CODE.name):
            if dep.workspace_status():
                yield f"{dep} is not what was read"
        elif not dep.exists and any(source.path == path for source in self.sources):
            yield f"{dep} is not here"

    def remembered(self, files: Sequence[Path]) -> dict[Path, str]:
        """Return the MD5 that DVC remembers for the size and time that a file has, of those that it remembers."""
        states = {file: self.repo.state.get(str(file), self.repo.fs)[1] for file in files}
        return {file: state.value for file, state in states.items() if state}

    def files_below(self, path: Path) -> list[Path]:
        """Return a file, or the files of a folder and its folders, without those that .dvcignore hides from DVC."""
        return sorted(file for file in files_below(path) if not self.repo.dvcignore.is_ignored_file(str(file)))

    def files_of(self, folder: str) -> dict[str, str] | None:
        """Read from the cache which files a folder has: {path in it: name of the object}; None if that is not there."""
        path = self.object_path(folder)
        try:
            entries = json.loads(path.read_bytes() if path.is_file() else b"")
            return {entry["relpath"]: entry["md5"] for entry in entries}
        except (OSError, ValueError, TypeError, KeyError):
            return None


def folder_object(files: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the name and the content of the object of a folder that has these files, {path in it: MD5}."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    tree: Any = Tree()  # type: ignore[no-untyped-call]
    for name, md5 in files.items():
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return tree.oid, tree.as_bytes()


def read_run(path: Path) -> dict[str, Any]:
    """Read an entry of the run cache: what dvc.lock would say of the stage; nothing if it is damaged.

    Its name and its folder's name are hashes of its content, the folder's without the hashes of the outputs; neither
    has sizes and counts of files.
    """
    from dvc.exceptions import DvcException
    from dvc.utils import dict_sha256
    from dvc.utils.serialize import load_yaml

    try:
        entry: dict[str, Any] = load_yaml(str(path))
        key = {**entry, "outs": [out["path"] for out in entry["outs"]]}
        hashes = [dict_sha256(content, exclude=("size", "nfiles")) for content in (key, entry)]
        return entry if hashes == [path.parent.name, path.name] else {}
    except (DvcException, OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


PROGRAMS = ("dvc", "whichlayer")
"""What may hold a lock."""


@contextmanager
def locked(repo: "Repo") -> Iterator[None]:
    """Keep DVC from changing a project, by its lock of the project, which ends with its process.

    Raises:
        UserError: a DVC process runs.
    """
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    with ExitStack() as stack:
        try:
            stack.enter_context(lock_repo(repo))
        except LockError:
            remedy = ", or remove that file if none runs and `core.hardlink_lock` is set, with which it outlasts DVC"
            raise still_running(Path(repo.tmp_dir) / "lock", "that DVC does", remedy) from None
        yield


def stale_list(repo: "Repo") -> dict[Path, str]:
    """Return what is wrong with DVC's list of the files in use: that it is damaged, or names processes that have ended.

    That a process is killed does not take it off the list.

    Raises:
        UserError: it names a DVC that runs.
    """
    path = Path(repo.tmp_dir) / "rwlock"
    if path.exists() and not path.is_file():  # a pipe would be waited for, and a device has no end
        return {path: "no regular file"}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        readers = [holder for holders in content.get("read", {}).values() for holder in holders]
        pids = sorted({int(holder["pid"]) for holder in [*content.get("write", {}).values(), *readers]})
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {path: "no list of locks" if path.stat().st_size else "an empty file"}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            words, began = process.cmdline(), process.create_time()
        except psutil.Error:
            continue
        if is_dvc(words) and began <= path.stat().st_mtime:  # else another process has the number of one that ended
            raise still_running(path, f"that process {pid} does ({' '.join(words)[:80]})")
    return {path: f"entries of processes that have ended ({', '.join(map(str, pids))})"} if pids else {}


def is_dvc(words: Sequence[str]) -> bool:
    """Return whether a command line is that of DVC or of whichlayer, by itself or by Python."""
    program, *more = [Path(word).name for word in words] or [""]
    return program in PROGRAMS or (program.startswith("python") and any(word in PROGRAMS for word in more))


def still_running(path: Path, what: str, remedy: str = "") -> UserError:
    """Return the error that something runs in the project."""
    return UserError(
        f"{path}: nothing may run in the project while it is verified, found {what}; wait until it has ended{remedy}"
    )
