"""What workers begin with: the files of this workspace that git tracks, as they are now, and DVC's cache."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from stages.commands.config import Config
from stages.commands.fleet.task import Source
from stages.commands.plan.stale import last_line
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError

PARTS = (".dvcignore", "dvc.yaml", "params.yaml", "pyproject.toml", "stages")
"""What the stages and DVC need of a workspace."""

NOT_IN_GIT = (".dvc/config", ".dvc/config.local")
"""What travels though git may not track it: DVC's settings, such as a remote's credentials."""


def read_source(config: Config, threads: int, *, remote: bool, without_gpu: bool = False) -> Source:
    """Pack the code and the parameters as they are; edits that are not committed travel, too.

    Args:
        config: of this workspace.
        threads: of one cell.
        remote: whether DVC's default remote takes the place of a cache that all machines see.
        without_gpu: whether to hide GPUs from the cells.

    Raises:
        UserError: the code cannot travel, or there is no remote.
    """
    check_source(config, remote=remote)
    files = pack([*git("ls-files", "--", *PARTS), *NOT_IN_GIT, *weights_files(config)])
    if remote:
        return Source(files, "", threads, default_remote(), without_gpu)
    return Source(files, str(cache_folder()), threads, without_gpu=without_gpu)


def check_source(config: Config, *, remote: bool) -> None:
    """Refuse what would not reach the workers.

    Raises:
        UserError: code is not tracked by git, a file of weights lies where it cannot travel, or there is no remote.
    """
    refuse_untracked()
    weights_files(config)
    if remote:
        default_remote()


def default_remote() -> tuple[str, str]:
    """Return the name and the address of DVC's default remote, a relative path made absolute.

    Raises:
        UserError: there is none.
    """
    with Repo(str(ROOT)) as repo:
        name = repo.config["core"].get("remote")
        if not name:
            raise UserError("--remote needs a default remote of DVC, found none; add one: `dvc remote add -d NAME URL`")
        return str(name), str(repo.config["remote"][name]["url"])


def weights_files(config: Config) -> list[str]:
    """List the files of weights that the grid's networks name by a path relative to the project.

    Raises:
        UserError: one lies outside the project.
    """
    paths = [config.models[model].network.weights.path for model in config.run.models]
    relative = [path for path in paths if path is not None and not Path(path).is_absolute()]
    for path in relative:
        if ".." in Path(path).parts:
            raise UserError(
                f"weights.path: {path} must lie in the project to travel to the workers, or be the full path of a "
                "file that all machines see; move it, or write its full path"
            )
    return relative


def cache_folder() -> Path:
    """Return the folder of DVC's cache, which several workspaces may share."""
    with Repo(str(ROOT)) as repo:
        return Path(repo.cache.local.path).parents[1]


def refuse_untracked() -> None:
    """Refuse code that git does not know, since it would be missing on the workers.

    That it is ignored by git does not count: DVC looks at every file of a stage's code that .dvcignore leaves.

    Raises:
        UserError: there is some.
    """
    unknown = git("ls-files", "--others", "--", "stages", "dvc.yaml", "params.yaml")
    with Repo(str(ROOT)) as repo:
        found = [path for path in unknown if not repo.dvcignore.is_ignored_file(str(ROOT / path))]
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
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, dereference=True) as archive:
        for path in dict.fromkeys(paths):
            if (ROOT / path).is_file():
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
