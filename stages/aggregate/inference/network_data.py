"""The measured data of each network on each dataset, arranged for inference."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from stages.aggregate.curves import Catalogue, Key, Name
from stages.aggregate.inference.per_image_scores import ImageScores, read_image_scores
from stages.aggregate.inference.refits import Refits, arrange, unseen_rows
from stages.aggregate.read import is_pixels
from stages.shared.settings.params import RunParams


@dataclass(frozen=True)
class NetworkData:
    """The measured data of one network on one dataset.

    Attributes:
        layers: its metric rows, of all folds that leave classes out and all seeds.
        refits: its rows fitted again; may have none.
        run: the grid.
        catalogue: the facts of every score.
        images: scores of single images; None where a cell kept no contributions.
    """

    layers: pd.DataFrame
    refits: pd.DataFrame
    run: RunParams
    catalogue: Catalogue
    images: ImageScores | None
    _arranged: dict[tuple[str, int], Refits | None] = field(default_factory=dict)

    def at(self, metric: str, step: int, keys: Sequence[Key]) -> Refits | None:
        """Arrange one score of some embeddings at one step; None where the value of any embedding is missing."""
        if (metric, step) not in self._arranged:
            rows, again = (unseen_rows(table, metric, step) for table in (self.layers, self.refits))
            arranged = arrange(rows, again, self.run.numbered, self.run.seeds, self.catalogue[metric])
            groups = tuple(self.images.groups.values()) if self.images else ()
            known = arranged and replace(arranged, groups=groups or None, frozen=step == 0)
            self._arranged[metric, step] = known
        refits = self._arranged[metric, step]
        return refits and refits.take(keys)

    @property
    def pixels(self) -> Key | None:
        """The embedding of raw pixels; None where it was not measured."""
        rows = self.layers[is_pixels(self.layers)]
        return None if rows.empty else (str(rows.iloc[0]["layer"]), str(rows.iloc[0]["pooling"]))


def collect_network_data(
    layers: pd.DataFrame, refits: pd.DataFrame, run: RunParams, catalogue: Catalogue, measures: Path | None = None
) -> dict[Name, NetworkData]:
    """Take the tables of all cells apart by network, and read the images' scores, one network in memory at a time.

    Args:
        layers: metric rows of all cells that leave classes out.
        refits: scores fitted again, of the same cells.
        run: the grid.
        catalogue: the facts of every score.
        measures: holds `<dataset>/<model>/<fold>/<seed>/images.parquet`; None: without them.

    Raises:
        UserError: the cells of one dataset, model and fold hold different images.
    """
    by_network = dict(list(refits.groupby(["dataset", "model"])))
    networks: dict[Name, NetworkData] = {}
    for name, rows in layers.groupby(["dataset", "model"], sort=False):
        dataset, model = map(str, name)
        images = None if measures is None else read_image_scores(measures, rows, run, catalogue)
        networks[dataset, model] = NetworkData(rows, by_network.get(name, refits.head(0)), run, catalogue, images)
    return networks
