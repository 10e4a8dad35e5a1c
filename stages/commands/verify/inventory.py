"""What dvc.lock and DVC's cache say that there is: objects by their hash, and outputs with the files in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from stages.shared.files.digests import files_below
from stages.shared.runtime.errors import UserError

LOCK_FILE = "dvc.lock"
FOLDER = ".dir"
"""Ends the name of an object that lists the files of a folder."""


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

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.oid.endswith(FOLDER)


class Project:
    """The project as DVC sees it: its cache, and what dvc.lock says."""

    def __init__(self, repo: Repo) -> None:
        self.repo, self.root = repo, Path(repo.root_dir)
        self.cache, self.tmp = repo.cache.local, Path(repo.tmp_dir)

    def object_path(self, oid: str) -> Path:
        """Where the cache has an object, or would have it."""
        return Path(self.cache.oid_to_path(oid))

    def objects(self) -> dict[str, Path]:
        """All objects of the cache, by name: also those of results that dvc.lock no longer names."""
        return {oid: self.object_path(oid) for oid in sorted(self.cache.all())}

    def runs(self) -> list[Path]:
        """List the entries of the run cache."""
        return sorted(path for path in Path(self.repo.stage_cache.cache_dir).glob("*/*/*") if path.is_file())

    def outputs(self) -> list[Output]:
        """List what dvc.lock says the stages made."""
        return [
            Output(stage.addressing, Path(out.fs_path), out.hash_info.value, bool(out.use_cache))
            for stage in self.repo.index.stages
            for out in stage.outs
            if out.hash_info and out.protocol == "local"
        ]

    def sources(self) -> dict[Path, str]:
        """List the files that stages read and none makes, with the MD5 that DVC remembers for their size and time.

        Files that were edited since, or that DVC has not hashed yet, are left out.
        """
        stages = self.repo.index.stages
        made = [Path(out.fs_path) for stage in stages for out in stage.outs]
        read = {Path(dep.fs_path) for stage in stages for dep in stage.deps if dep.protocol == "local"}
        raw = sorted(path for path in read if not any(is_within(path, out) or is_within(out, path) for out in made))
        known = {file: self.remembered(file) for path in raw for file in self.files_below(path)}
        return {file: md5 for file, md5 in known.items() if md5}

    def files_below(self, path: Path) -> list[Path]:
        """List a file, or the files of a folder and its folders, without those that .dvcignore hides from DVC."""
        ignored = self.repo.dvcignore.is_ignored_file
        return sorted(file for file in files_below(path) if not ignored(str(file)))

    def remembered(self, file: Path) -> str | None:
        """Look up the MD5 that DVC remembers for a file of this size and time."""
        found = self.repo.state.get(str(file), self.repo.fs)[1]
        return found.value if found else None

    def is_newer(self, file: Path, md5: str | None) -> bool:
        """Tell whether a file was written after dvc.lock, and DVC does not remember it with an MD5."""
        lock = self.root / LOCK_FILE
        if not (file.is_file() and lock.is_file() and file.stat().st_mtime_ns > lock.stat().st_mtime_ns):
            return False
        return md5 is None or self.remembered(file) != md5

    def files_of(self, folder: str) -> dict[str, str] | None:
        """Read from the cache which files a folder has: {path in it: name of the object}; None if that is not there."""
        try:
            entries = json.loads(self.object_path(folder).read_bytes())
            return {entry["relpath"]: entry["md5"] for entry in entries}
        except (OSError, ValueError, TypeError, KeyError):
            return None


def is_within(path: Path, folder: Path) -> bool:
    """Tell whether a path is another or lies below it."""
    return path == folder or folder in path.parents


def tree_of(files: Mapping[str, str]) -> tuple[str, bytes]:
    """Make the object of a folder from its files, {path in it: MD5}: its name and its content."""
    tree = _tree()
    for name, md5 in files.items():
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return tree.oid, tree.as_bytes()


def _tree() -> Any:
    return Tree()  # type: ignore[no-untyped-call]


@contextmanager
def open_project(root: Path) -> Iterator[Project]:
    """Open the project.

    Raises:
        UserError: DVC cannot read it: dvc.lock or dvc.yaml is damaged.
    """
    try:
        with Repo(str(root)) as repo:
            project = Project(repo)
            project.outputs()
            yield project
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"dvc.yaml and dvc.lock must be readable by DVC, found: {reason}; put the damaged one back "
            "(`git checkout dvc.lock`)"
        ) from None
