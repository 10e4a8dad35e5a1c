"""A tiny study's files, as the stages hand them to each other, and what the stages read of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stages.aggregate.inputs import image_paths, read_analyses, read_curves, read_galleries, read_layers, read_refits
from stages.shared.image_files import open_prepared, read_manifest
from stages.shared.image_store import open_images
from stages.shared.params import RunParams
from stages.shared.thumbnails import read_thumbnails
from tests.aggregate.conftest import CHECKPOINTS
from tests.aggregate.synthetic import write_cells
from tests.packed import pack, write_fold_all

NAMES = {
    "dataset": "trees", "model": "net", "fold": "0", "seed": "0",
    "other_dataset": "ferns", "other_fold": "all", "other_seed": "1",
}  # fmt: skip


def write_study(data: Path) -> None:
    """Write what prepare, finetune, embed and measure leave, of two datasets, two folds and two seeds."""
    write_cells(data, ["trees", "ferns"], ["net"], [0, 1], analyses=True, layers=("stem", "head"))
    for number, dataset in enumerate(("trees", "ferns")):
        pack(data / "prepared" / dataset, dataset=dataset, size=8, seed=number, train=8 + number)
        write_fold_all(data / "prepared" / dataset)


def read_prepared(data: Path) -> object:
    images = open_images(data / "prepared" / "trees", "0", dataset="trees")
    return images.read(np.arange(len(images.manifest))).tobytes(), images.manifest.to_csv()


def read_thumbnails_again(data: Path) -> object:
    return read_thumbnails(data / "thumbnails" / "trees", "trees").to_csv()


def read_measures(data: Path) -> object:
    run = RunParams(datasets=["trees"], models=["net"], folds=[0], seeds=[0, 1])
    curves = read_curves(data / "training", run, CHECKPOINTS)
    measures = data / "measures"
    read = [read_layers(measures, curves, run, CHECKPOINTS), read_refits(measures, run)]
    read += [*read_analyses(measures, run, ["class_subsets"]).values(), *read_galleries(measures, run).values()]
    manifest = read_manifest(open_prepared(data / "prepared" / "trees", "trees")).to_csv()
    images = image_paths(measures, "trees", "net", "0", run).values()
    return [table.to_csv() for table in read] + [path.read_bytes() for path in images] + [manifest]


READERS: dict[str, Callable[[Path], object]] = {
    "finetune": read_prepared,
    "measure": read_thumbnails_again,
    "aggregate": read_measures,
}
"""By the stage that reads: everything that it reads."""
