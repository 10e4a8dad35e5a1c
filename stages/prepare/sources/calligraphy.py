"""The paper's calligraphers: a local folder or archive, or the authors' repository at a pinned commit.

Source: https://github.com/evgerritz/calligraphy_data, used in arXiv 2405.01524. Git verifies every file: a commit's
hash covers its content.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ...shared.runtime.errors import UserError
from ..candidates import Listing
from ..class_folders import list_classes
from ..download import cache_folder
from ..params import CalligraphyParams
from ..raw_data import has_only_source_file, open_raw
from ..raw_files import list_files

REPOSITORY = "https://github.com/evgerritz/calligraphy_data"
COMMIT = "e81150450aa8d99cb581f3b5c4fa94eaaa30840d"


def list_calligraphy(raw: Path, params: CalligraphyParams, seed: int, resources: ExitStack) -> Listing:
    """List the images of `{train,test}/<artist>/*` from the raw folder if they are there, else from the repository.

    Folders beside `train` and `test` are ignored: the repository has some that only link to them.

    Raises:
        UserError: the repository cannot be fetched, or the local folder has another layout.
    """
    if not has_only_source_file(raw):
        return list_classes(open_raw(raw, resources, refused=in_split), others="ignore")
    folder = cache_folder() / f"calligraphy-{COMMIT}"
    if not folder.exists():
        fetch_commit(REPOSITORY, COMMIT, folder, raw)
    return list_classes(list_files(folder, refused=in_split), others="ignore")


def in_split(path: str) -> bool:
    """Return whether a path lies in `train` or `test`, or is one of them."""
    return not {"train", "test"}.isdisjoint(path.split("/"))


def fetch_commit(repository: str, commit: str, folder: Path, raw: Path) -> None:
    """Fetch one commit's files; the folder appears only when they are whole.

    A link in the repository becomes a file with its target's name: none leads out of the folder.

    Args:
        repository: its URL.
        commit: 40 hexadecimal digits.
        folder: where the files go.
        raw: the raw folder, for the advice.

    Raises:
        UserError: git is not installed, or the commit cannot be fetched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=folder.name, dir=folder.parent) as scratch:
        work = Path(scratch) / "files"
        advice = f"copy the train and test folders of that commit, or one tar of them, into {raw}"
        unchanged = ["-c", "core.autocrlf=false", "-c", "core.symlinks=false"]
        for arguments in (
            ["init", "--quiet", "--", str(work)],
            ["-C", str(work), "fetch", "--quiet", "--depth", "1", "--", repository, commit],
            ["-C", str(work), *unchanged, "checkout", "--quiet", commit, "--"],
        ):
            _git(arguments, f"{repository} at {commit}", advice)
        shutil.rmtree(work / ".git")
        work.replace(folder)


def _git(arguments: list[str], what: str, advice: str) -> None:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        subprocess.run(["git", *arguments], check=True, capture_output=True, env=environment)
    except FileNotFoundError:
        raise UserError(f"{what}: git is not installed; install it, or {advice}") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(os.fsdecode(error.stderr).split()) or f"git ended with {error.returncode}"
        raise UserError(f"{what}: cannot be fetched ({reason}). Retry, or without a network {advice}") from None
