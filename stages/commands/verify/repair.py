"""What repairs damage, and doing it: from whole copies where there are any, else by running the stage again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.exceptions import DvcException

from stages.commands.verify.inventory import Project
from stages.commands.verify.survey import Seen, Survey
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.scratch import remove


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
        """Say in a few words what is done."""
        done = [
            (self.remove, "deletes {} that are not whole", "file"),
            (self.store, "stores {} in the cache again, from the workspace", "object"),
            (self.checkout, "checks {} out of the cache", "output"),
            (self.rerun, f"runs {{}} again ({', '.join(self.rerun)})", "stage"),
        ]
        return [text.format(count(len(what), unit)) for what, text, unit in done if what]


def plan_repair(found: Survey) -> Repair:
    """Work out what repairs damage."""
    cached = [seen for seen in found.outputs if seen.output.cached]
    copies = {oid: copy for seen in cached for oid, copy in seen.copies().items()}
    store = {oid: copies[oid] for oid in sorted({*found.objects, *found.missing} & copies.keys())}
    rerun = [seen for seen in found.outputs if _is_lost(seen, found.whole | store.keys())]
    checkout = [seen.output.path for seen in found.damaged if seen not in rerun]
    damaged = [*found.objects.values(), *found.runs, *(damage for seen in found.damaged for damage in seen.damages())]
    gone = [damage.path for damage in damaged if os.path.lexists(damage.path)]
    return Repair(gone, store, checkout, sorted({seen.output.stage for seen in rerun}))


def _is_lost(seen: Seen, available: set[str]) -> bool:
    """Tell whether an output cannot be restored from the cache."""
    if not seen.output.cached:
        return bool(seen.damages())
    return seen.needed is None or not seen.needed <= available


def put_back(project: Project, repair: Repair) -> None:
    """Remove what is damaged, and put back what there are whole copies of; to be called under DVC's lock.

    Raises:
        UserError: DVC cannot check an output out.
    """
    for path in repair.remove:
        remove(path)
    for oid, copy in repair.store.items():
        _store(project, oid, copy)
    try:
        if repair.checkout:
            project.repo.checkout(list(map(str, repair.checkout)), force=True)
    except DvcException as error:
        raise UserError(f"`dvc checkout` must succeed, found {error}; see to that, then verify again") from None


def run_again(root: Path, stages: Sequence[str]) -> None:
    """Run `dvc repro` on stages, its output on the terminal; it takes DVC's lock itself.

    Raises:
        UserError: it failed.
    """
    if stages and subprocess.run([sys.executable, "-m", "dvc", "repro", *stages], cwd=root, check=False).returncode:
        raise UserError("`dvc repro` must succeed, found that it failed (above); see to that, then verify again")


def _store(project: Project, oid: str, copy: Path | bytes) -> None:
    """Put an object into the cache, whole or not at all."""
    path = project.object_path(oid)
    scratch = path.with_name(f"{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(copy, bytes):
        scratch.write_bytes(copy)
    else:
        shutil.copyfile(copy, scratch)
    scratch.replace(path)
    project.cache.protect(str(path))


def count(number: int, unit: str) -> str:
    """Write a number with its unit: `1 file`, `2 files`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
