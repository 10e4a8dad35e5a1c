"""data/results as a whole: the digests of its files, which commands check before they read one."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..shared.runtime.errors import UserError, irregular
from ..shared.workflow.digests import DIGESTS, Digests, read_digests, write_digests
from ..shared.workflow.params import RunParams

FORMAT = "whichlayer.results/1"
MAX_BYTES = 2**28
PAGE = "report.html"
"""Written last: a folder that has it had digests, too. A study that is kept for its tables may have neither."""


def input_hashes(run: RunParams, **folders: Path) -> dict[str, str]:
    """Return which artifacts results are made of: {"measures/mine/net/0/0": hash of its digests, ...}.

    Args:
        run: the grid.
        **folders: hold an artifact with digests for each cell, or for each dataset.
    """
    of = [(dataset,) for dataset in run.datasets] + [tuple(map(str, cell)) for cell in run.cells()]
    files = {"/".join((name, *key)): folder.joinpath(*key, DIGESTS) for name, folder in folders.items() for key in of}
    return {name: artifact_hash(file) for name, file in files.items() if file.is_file()}


def artifact_hash(digests: Path) -> str:
    """Return the hash of all that an artifact's digests say; empty if they are damaged, as their readers find."""
    try:
        return str(json.loads(digests.read_bytes())["hash"])
    except (ValueError, KeyError, TypeError):
        return ""


def finish_results(out: Path, inputs: Mapping[str, str] | None = None) -> None:
    """Write the digests of all files of a results folder, after the last of them.

    Args:
        out: the folder.
        inputs: the artifacts that they were made of, as `input_hashes` gives them.
    """
    files = (path for path in out.iterdir() if path.name != DIGESTS)
    write_digests(out / DIGESTS, files, format=FORMAT, of=inputs or {})


def read_result_digests(results: Path) -> Digests | None:
    """Read the digests of a results folder; None for a study that was kept without them.

    Raises:
        UserError: they are damaged, or were lost.
    """
    if not (results / DIGESTS).exists() and not (results / PAGE).exists():
        return None
    return read_digests(results / DIGESTS, format=FORMAT, of={}, stage="aggregate")


def check_result(path: Path) -> Path:
    """Check one file of a results folder.

    Returns:
        The path.

    Raises:
        UserError: it is not as the aggregate stage wrote it, the digests were lost, or it is no file or too large.
    """
    digests = read_result_digests(path.parent)
    if digests:
        digests.check(path.name)
    kind, size = irregular(path.stat().st_mode), path.stat().st_size
    if kind or size > MAX_BYTES:  # a pipe would be waited for, and a device has no end
        found = kind or f"{size:,} bytes"
        raise UserError(f"{path}: must be a file with at most {MAX_BYTES:,} bytes, found {found}; put the file back")
    return path
