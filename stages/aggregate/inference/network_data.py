"""How sure every score at its last step is: what other images of these classes, and other classes, would say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd
from threadpoolctl import threadpool_limits

from stages.aggregate.curves import POINT, Scores
from stages.aggregate.inference.accuracy_intervals import PLACE, accuracy_intervals, accuracy_table
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.image_scores import ImageScores, read_image_scores
from stages.aggregate.inference.intervals import NetworkReplicates, split_networks, state
from stages.shared.settings.params import RunParams

T = TypeVar("T")

NAMED = 3
"""How many networks or curves a closing line names."""

Name = tuple[str, str]
"""A network on a dataset: dataset and model."""


@dataclass(frozen=True)
class Gathered:
    """What is known of every network beside its scores.

    Attributes:
        networks: its metric rows, and those fitted again.
        images: what single images say; None where a cell kept no contributions.
        accuracies: (J, S) of its own head at its last step; without those that have none.
    """

    networks: dict[Name, NetworkReplicates]
    images: dict[Name, ImageScores | None]
    accuracies: dict[Name, Float64]

    def note(self, without_best: Sequence[str]) -> str:
        """Say, for the closing line, what has no intervals and which curves have no best layer; else nothing."""
        parts = {
            "no images.parquet, so no intervals of accuracy": _lacking(self.images, lambda found: found is None),
            "nothing fitted again, so no intervals": _lacking(self.networks, lambda found: found.refits.empty),
            "no finite value": without_best,
        }
        return "".join(f" ({what}: {_first(names)})" for what, names in parts.items() if names)


def gather(measures: Path, layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams) -> Gathered:
    """Gather what is known of every network, one in memory at a time.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`.
        layers: metric rows of all cells that leave classes out.
        refits: scores fitted again, of the same cells.
        run: the grid.

    Raises:
        UserError: the cells of one dataset, model and fold hold different images.
    """
    networks = split_networks(layers, refits, run)
    images = {name: read_image_scores(measures, network.layers, run) for name, network in networks.items()}
    tables = {name: accuracy_table(net.layers, int(net.layers["step"].max()), run) for name, net in networks.items()}
    return Gathered(networks, images, {name: table for name, table in tables.items() if table is not None})


def add_uncertainty(scores: Scores, known: Gathered) -> Scores:
    """Put beside every score how sure it is (`UNCERTAINTY`); empty where that is not known.

    Args:
        scores: the means.
        known: what is known of every network.
    """
    with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
        stated = state(scores, known.networks)
    curves = _beside(scores.curves, stated, list(POINT))
    intervals = accuracy_intervals(scores, known.accuracies, known.images)
    return replace(scores, curves=curves, accuracy=_beside(scores.accuracy, intervals, list(PLACE)))


def _first(names: Sequence[str]) -> str:
    """Name a few, and count the others."""
    return ", ".join([*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])])


def _beside(table: pd.DataFrame, found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return table.merge(found, how="left", on=keys, validate="many_to_one")


def _lacking(networks: Mapping[Name, T], lacks: Callable[[T], bool]) -> list[str]:
    """Name the networks that lack something, as `<dataset>/<model>`."""
    return ["/".join(name) for name, found in networks.items() if lacks(found)]
