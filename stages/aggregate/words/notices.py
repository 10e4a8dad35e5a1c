"""What a run says beside its results: what has no intervals, and which versions of libraries made its cells."""

from collections.abc import Mapping, Sequence

from stages.aggregate.curves import Name, Scores
from stages.aggregate.inference.network_data import NetworkData
from stages.aggregate.words.formatting import joined, plural


def closing_note(scores: Scores, measured: Mapping[Name, NetworkData]) -> str:
    """For the closing line: what has no intervals and which curves have no best layer; may be nothing."""
    networks = {"/".join(name): network for name, network in measured.items()}
    without = {
        "no images.parquet, so no intervals of accuracy": [name for name, data in networks.items() if not data.images],
        "nothing fitted again, so no intervals": [name for name, data in networks.items() if data.refits.empty],
        "no finite value": scores.without_best,
    }
    return "".join(f" ({what}: {_few(names)})" for what, names in without.items() if names)


def _few(names: Sequence[str], shown: int = 3) -> str:
    """Name a few, and count the others."""
    return ", ".join([*names[:shown], *([f"{len(names) - shown} more"] if len(names) > shown else [])])


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
