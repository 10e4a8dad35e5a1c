"""What repairs damage, and doing it: from whole copies where there are any, else by running the stage again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.shared.stage_run import remove
from stages.commands.verify.inventory import Project
from stages.commands.verify.survey import Seen, Survey
from stages.shared.console import UserError


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


def carry_out(project: Project, repair: Repair) -> None:
    """Remove what is damaged, and put back or make again what it was.

    Raises:
        UserError: a command of DVC failed.
    """
    for path in repair.remove:
        remove(path)
    for oid, copy in repair.store.items():
        _store(project, oid, copy)
    _run_dvc(project.root, "checkout --force", list(map(str, repair.checkout)))
    _run_dvc(project.root, "repro", repair.rerun)


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


def _run_dvc(root: Path, command: str, targets: Sequence[str]) -> None:
    """Run a command of DVC on some targets, its output on the terminal."""
    if (
        targets
        and subprocess.run([sys.executable, "-m", "dvc", *command.split(), *targets], cwd=root, check=False).returncode
    ):
        raise UserError(f"`dvc {command}` must succeed, found that it failed (above); see to that, then verify again")


def count(number: int, unit: str) -> str:
    """Write a number with its unit: `1 file`, `2 files`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
