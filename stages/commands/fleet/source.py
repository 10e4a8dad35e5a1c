"""What workers begin with: the files of this workspace that git tracks, as they are now, and DVC's cache."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from stages.commands.fleet.worker import Source
from stages.commands.plan.stale import last_line
from stages.commands.project import ROOT
from stages.shared.console import UserError

PARTS = (".dvc/config", ".dvcignore", "data", "dvc.lock", "dvc.yaml", "params.yaml", "pyproject.toml", "stages")
"""What the stages and DVC need of a workspace."""

NOT_IN_GIT = (".dvc/config.local", "dvc.lock")
"""What travels though git may not track it: DVC's local settings, such as a remote's credentials; a first dvc.lock."""


def read_source(threads: int, *, remote: bool) -> Source:
    """Pack the code, the parameters and dvc.lock as they are; edits that are not committed travel, too.

    Args:
        threads: of one cell.
        remote: whether DVC's default remote takes the place of a cache that all machines see.

    Raises:
        UserError: code is not tracked by git, or there is no remote.
    """
    refuse_untracked()
    with Repo(str(ROOT)) as repo:
        if remote and not repo.config["core"].get("remote"):
            raise UserError("--remote needs a default remote of DVC, found none; add one: `dvc remote add -d NAME URL`")
        cache = "" if remote else str(cache_folder(repo))
    return Source(pack([*git("ls-files", "--", *PARTS), *NOT_IN_GIT]), cache, threads)


def cache_folder(repo: Repo | None = None) -> Path:
    """Return the folder of DVC's cache, which several workspaces may share."""
    return Path((repo or Repo(str(ROOT))).cache.local.path).parents[1]


def refuse_untracked() -> None:
    """Refuse code that git does not know, since it would be missing on the workers.

    Raises:
        UserError: there is some.
    """
    found = git("ls-files", "--others", "--exclude-standard", "--", "stages", "dvc.yaml", "params.yaml")
    if found:
        raise UserError(
            f"{found[0]}{f' and {len(found) - 1} more files' if len(found) > 1 else ''}: must be tracked by git to "
            "travel to the workers; `git add` it (a commit is not needed), or remove it"
        )


def git(*words: str) -> Sequence[str]:
    """Run a git command that lists paths.

    Raises:
        UserError: this is no repository of git.
    """
    done = subprocess.run(["git", words[0], "-z", *words[1:]], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise UserError(f"{ROOT}: must be a clone of git, found: {last_line(done.stderr)}")
    return [path for path in done.stdout.split("\0") if path]


def pack(paths: Sequence[str]) -> bytes:
    """Pack files of the workspace into a tar archive, but for those that are not there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path in dict.fromkeys(paths):
            if (ROOT / path).is_file() and not (ROOT / path).is_symlink():
                archive.add(ROOT / path, arcname=path)
    return buffer.getvalue()


def run_dvc(*words: str) -> None:
    """Run DVC in this workspace, its output on this terminal.

    Raises:
        UserError: it failed.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", "--wait-for-lock", *words], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise UserError(f"`dvc {' '.join(words)}` must succeed, it ended with {done.returncode}; see its output above")
