"""What a command writes: whole or not at all, and never in the place of something."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.shared.stage_run.stage_run import publish
from stages.shared.runtime.errors import UserError, with_command
from stages.shared.runtime.scratch import is_empty_folder, partial_path, remove, remove_leftovers

FEATURES = "whichlayer"
"""The key, in the metadata of a Parquet file of features, of what these are of."""


def check_new(out: Path) -> None:
    """Check that nothing is where a command is to write; an empty folder may be.

    Raises:
        UserError: something is.
    """
    if out.exists() and not is_empty_folder(out):
        advice = with_command("remove it", "rm -r --", out)
        raise UserError(f"{out}: must not exist; {advice}, or name another path with --out")


@contextmanager
def new_output(out: Path) -> Iterator[Path]:
    """Give a path beside `out` to write to, which becomes `out` at the end, and is removed if something fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    scratch = partial_path(out)
    try:
        yield scratch
        publish(scratch, out, replace=False)
    finally:
        remove(scratch)
