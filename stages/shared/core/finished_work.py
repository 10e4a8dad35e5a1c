"""The work of a run that ended well, kept until DVC has stored its result.

DVC hashes and stores a stage's outputs when the stage has ended. If DVC is killed then, or finds no room, it has
recorded nothing, and it removes the outputs before it runs the stage again. So what a resumable run has kept is kept
on, in DVC's folder for temporary files and by hard links, which take no room. The next stage that DVC starts removes
it, since by then the result is stored.
"""

import contextlib
import os
import shutil
from pathlib import Path

from stages.shared.runtime.processes import STARTED_BY_DVC

FINISHED = Path(".dvc") / "tmp" / "whichlayer-finished"
"""Holds a folder for each stage, by DVC's name of it; below the folder of dvc.yaml, in which DVC runs commands."""


def own_folder() -> Path | None:
    """Return where this process's stage keeps its work; None: DVC did not start it, so that nothing is stored."""
    stage = os.environ.get(STARTED_BY_DVC, "")
    return FINISHED / stage if stage and "/" not in stage and FINISHED.parents[1].is_dir() else None


def keep_finished(work: Path) -> None:
    """Keep a folder of finished work; where the file system has no hard links, it is not kept."""
    if (folder := own_folder()) is None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shutil.copytree(work, folder, copy_function=os.link)
    except OSError:  # shutil.Error is one
        shutil.rmtree(folder, ignore_errors=True)


def find_finished() -> list[Path]:
    """Find what a run of this stage kept whose result DVC has not stored: at most one folder."""
    folder = own_folder()
    return [folder] if folder and folder.is_dir() else []


def remove_stored() -> None:
    """Remove what other stages kept: DVC has stored their results, else it would not have started this one."""
    folder = own_folder()
    with contextlib.suppress(OSError):  # there is nothing, or this stage's own is left
        for other in FINISHED.iterdir() if folder else ():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        FINISHED.rmdir()
