"""data/results as a whole: the digests of its files, which commands check before they read one."""

from pathlib import Path

from stages.shared.files.digests import DIGESTS, read_digests, write_digests

FORMAT = "whichlayer.results/1"


def finish_results(out: Path) -> None:
    """Write the digests of all files of a results folder, after the last of them."""
    write_digests(out / DIGESTS, (path for path in out.iterdir() if path.name != DIGESTS), format=FORMAT, of={})


def check_result(path: Path) -> Path:
    """Check one file of a results folder; of a study that was kept without digests, there is nothing to check.

    Returns:
        The path.

    Raises:
        UserError: it is not as the aggregate stage wrote it.
    """
    if (path.parent / DIGESTS).is_file():
        read_digests(path.parent / DIGESTS, format=FORMAT, of={}, stage="aggregate").check(path.name)
    return path
