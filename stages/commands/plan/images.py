"""How many images a dataset has, counted without decoding one, or as its entry asks for."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stages.commands.config import Config
from stages.prepare.packing import list_images
from stages.prepare.params import DatasetParams
from stages.prepare.source_file import has_only_source_file
from stages.prepare.splits import plan_folds
from stages.shared.console import errors_of

DOWNLOADS = {"calligraphy": (20, 0, 0), "cifar100": (100, 500, 100)}
"""Sources that download: number of classes, and of train and test images in each (0: not the same in every class)."""


@dataclass(frozen=True)
class Images:
    """How many images a dataset has by split, and how many seen classes."""

    train: int
    test: int
    unseen: int
    classes: int


def images_of(config: Config, raw: Path, dataset: str) -> Images:
    """Count the images of one dataset of the grid."""
    return count_images(raw / dataset, config.datasets[dataset], config.root_seed(dataset), dataset)


def count_images(raw: Path, params: DatasetParams, seed: int, dataset: str) -> Images:
    """Count a dataset's images by split, as listing its files gives; none is decoded.

    Of a dataset that is yet to be downloaded, what its entry asks for is counted, where that says enough.

    Raises:
        UserError: the raw data are missing, or the splits cannot be made from them.
    """
    if params.source in DOWNLOADS and has_only_source_file(raw) and (asked := asked_for(params)):
        return asked
    with ExitStack() as resources, errors_of(f"datasets.{dataset}"):
        listing = list_images(raw, params, seed, resources)
        splits = plan_folds(listing.candidates, params, seed).splits["0"]
    classes = len({c.label for c in splits["train"]})
    return Images(len(splits["train"]), len(splits["test"]), len(splits["unseen"]), classes)


def asked_for(params: DatasetParams) -> Images | None:
    """Count what an entry asks for of a source in `DOWNLOADS`; None where the files alone would tell."""
    classes, train, test = DOWNLOADS[params.source]
    if params.all_unseen:
        return Images(0, 0, count, 0) if (count := classes * (params.unseen or train + test)) else None
    unseen = len(params.unseen_classes or ()) or params.unseen_count or 0
    seen = len(params.seen_classes or ()) or classes - unseen
    images = Images(
        train=params.train_total or seen * (params.train or train),
        test=params.test_total or seen * (params.test or test),
        unseen=unseen * (params.unseen or train),
        classes=seen,
    )
    return images if images.train and images.test and images.unseen else None
