"""The measured data of each network on each dataset, arranged for inference."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from stages.aggregate.curves import Catalogue
from stages.aggregate.inference.per_image_scores import ImageScores, read_image_scores
from stages.aggregate.inference.refits import Key, Refits, arrange, unseen_rows
from stages.shared.settings.params import RunParams

Name = tuple[str, str]
"""A network on a dataset: dataset and model."""


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

    def at(self, metric: str, step: int) -> Refits | None:
        """Arrange one score at one step, of every embedding with the raw pixels; None where a value is missing."""
        rows, refits = (unseen_rows(table, metric, step) for table in (self.layers, self.refits))
        arranged = arrange(rows, refits, self.run.numbered, self.run.seeds, self.catalogue[metric])
        if arranged is None:
            return None
        groups = self.images.groups if self.images else {}
        of_folds = tuple(groups[fold] for fold in self.run.numbered if fold in groups)
        return replace(arranged, groups=of_folds or None, frozen=step == 0)

    @property
    def pixels(self) -> Key | None:
        """The embedding of raw pixels; None where it was not measured."""
        rows = self.layers[(self.layers["depth"] == -1).fillna(value=False)]
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
    by_network = dict(list(refits.groupby(["dataset", "model"], sort=False)))
    networks: dict[Name, NetworkData] = {}
    for name, rows in layers.groupby(["dataset", "model"], sort=False):
        dataset, model = map(str, name)
        images = None if measures is None else read_image_scores(measures, rows, run, catalogue)
        networks[dataset, model] = NetworkData(rows, by_network.get(name, refits.head(0)), run, catalogue, images)
    return networks
