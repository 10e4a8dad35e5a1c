"""Which versions of libraries made the cells of a study, where they differ."""

from collections.abc import Mapping, Sequence

from stages.aggregate.words.formatting import joined, plural


def versions_notice(differing: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Say that cells were made with several versions of libraries; empty where they were not.

    Args:
        differing: library -> version -> names of cells.
    """
    found = [
        f"{library} " + joined([f"{version} ({_cells(names)})" for version, names in versions.items()])
        for library, versions in differing.items()
    ]
    made = "Cells were made with several versions of libraries, which may move their scores"
    return f"{made}: {'; '.join(found)}. `dvc repro -f` computes all of them with today's." if found else ""


def _cells(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else plural(len(names), "cell")
