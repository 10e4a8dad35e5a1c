"""What dvc.lock and DVC's cache hold, hashed anew: DVC itself goes by the size and the time of files."""

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...shared.runtime.errors import UserError
from ...shared.runtime.progress import progress
from ...shared.workflow.snapshot import CODE
from .workspace import read_lock

if TYPE_CHECKING:
    from dvc.repo import Repo

OTHER, UNNAMED, LOST = "other content", "a file that dvc.lock does not name", "no file"


@dataclass
class Survey:
    """What was compared.

    Attributes:
        damaged: what is wrong with objects of the cache and files of outputs, by path.
        sources: what is wrong with what a stage read and none makes, such as raw data.
        absent: outputs and sources that dvc.lock names and the workspace lacks.
        outside: stages that dvc.lock has and the grid has not.
        hashed: number of objects and files.
    """

    damaged: dict[Path, str] = field(default_factory=dict)
    sources: dict[Path, str] = field(default_factory=dict)
    absent: list[Path] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    hashed: int = 0


@contextmanager
def locked(repo: "Repo") -> Iterator[None]:
    """Keep DVC from changing the project; a `LockError` if it is at work, or a stage runs."""
    from dvc.rwlock import rwlock

    written = [str(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    hardlink = repo.config["core"].get("hardlink_lock", False)
    with repo.lock, rwlock(repo.tmp_dir, repo.fs, "whichlayer verify", [], written, hardlink):
        yield


def survey(repo: "Repo") -> Survey:
    """Hash every object of the cache, and every file of the grid that dvc.lock names; compare them with their names.

    Raises:
        UserError: dvc.yaml has no stages.
    """
    stages = repo.index.stages
    if not stages:
        raise UserError("dvc.yaml: must have stages, found none; put it back (`git checkout HEAD dvc.yaml`)")
    found = Survey(outside=sorted(read_lock(Path(repo.root_dir)).keys() - {stage.addressing for stage in stages}))
    damaged = survey_cache(repo, found)
    made = {Path(repo.root_dir, CODE.name), *(Path(out.fs_path) for stage in stages for out in stage.outs)}
    around = {parent for path in made for parent in path.parents}
    for stage in progress(stages, total=len(stages), what="verify the workspace", unit="stages"):
        places = [(out, found.damaged) for out in stage.outs] + [(dep, found.sources) for dep in stage.deps]
        for each, problems in places:
            path = Path(each.fs_path)
            is_made = path in around or not made.isdisjoint([path, *path.parents])
            if not isinstance(each.hash_info.value, str) or (is_made and problems is found.sources):
                continue  # parameters, what dvc.lock lacks, what a stage made
            if os.path.lexists(path):
                wrong = compare(repo, path, each.hash_info, damaged, found)
                problems.update({place: f"{problem} ({stage.addressing})" for place, problem in wrong.items()})
            else:
                found.absent.append(path)
    return found


def survey_cache(repo: "Repo", found: Survey) -> Collection[str]:
    """Hash the objects of the cache, and return the names of those that are damaged."""
    cache, damaged = repo.cache.local, []
    objects = sorted(cache.all())
    for oid in progress(objects, total=len(objects), what="verify the cache", unit="objects"):
        path = Path(cache.oid_to_path(oid))
        with path.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != oid.partition(".")[0]:
                found.damaged[path] = f"{OTHER} (in DVC's cache)"
                damaged.append(oid)
    found.hashed += len(objects)
    return damaged


def compare(repo: "Repo", path: Path, expected: Any, damaged: Collection[str], found: Survey) -> dict[Path, str]:
    """Compare a file or folder with what dvc.lock has of it, and return what is wrong, by path.

    Args:
        repo: the project.
        path: of the file or folder.
        expected: its hash in dvc.lock.
        damaged: names of objects of the cache that are.
        found: counts what is hashed.
    """
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.tree import Tree

    cache = repo.cache.local
    nothing_remembered = HashFileDB(cache.fs, cache.path)
    try:
        _, _, now = build(nothing_remembered, str(path), repo.fs, "md5", dry_run=True, ignore=repo.dvcignore)
    except OSError as error:
        return {path: f"unreadable ({error.strerror})"}
    found.hashed += len(now) if isinstance(now, Tree) else 1
    if now.hash_info.value == expected.value:
        return {}
    if not isinstance(now, Tree) or expected.value in damaged or not cache.exists(expected.value):
        return {path: OTHER}
    listed, present = (
        {path.joinpath(*key): info.value for key, _, info in tree} for tree in (Tree.load(cache, expected), now)
    )
    return {
        file: LOST if file not in present else OTHER if file in listed else UNNAMED
        for file in sorted(listed.keys() | present.keys())
        if listed.get(file) != present.get(file)
    }
