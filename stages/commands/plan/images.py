"""How many images a dataset has, counted without decoding one, or as its entry asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stages.commands.config import Config
from stages.commands.folds import DOWNLOADS, DatasetFolds
from stages.prepare.candidates import Splits
from stages.prepare.limits import DEFAULT_LIMITS, LimitsParams, Resources
from stages.prepare.packing import list_images
from stages.prepare.params import DatasetParams
from stages.prepare.source_file import has_only_source_file
from stages.prepare.splits import plan_folds
from stages.shared.runtime.errors import prefix_errors
from stages.shared.settings.params import ALL


@dataclass(frozen=True)
class Images:
    """How many images a fold of a dataset has by split, and how many seen and unseen classes.

    Attributes:
        packed: images that are prepared for all folds together; 0 where that is not known.
    """

    train: int
    test: int
    unseen: int
    classes: int
    unseen_classes: int = 0
    packed: int = field(default=0, compare=False)

    @property
    def prepared(self) -> int:
        """Number of images that are prepared for all folds together, or at least for this one."""
        return self.packed or self.train + self.test + self.unseen


def images_of(config: Config, raw: Path, dataset: str) -> dict[Images, list[str]]:
    """Count the images of one dataset of the grid.

    Returns:
        The folds that have as many images each, by these numbers.

    Raises:
        UserError: the dataset lacks a fold of the grid, or its images cannot be listed.
    """
    params, seed, limits = config.datasets[dataset], config.root_seed(dataset), config.prepare.limits
    folds = count_images(raw / dataset, params, seed, dataset, config.run.folds, limits)
    counts: dict[Images, list[str]] = {}
    for fold, images in folds.items():
        counts.setdefault(images, []).append(fold)
    return counts


def count_images(
    raw: Path,
    params: DatasetParams,
    seed: int,
    dataset: str,
    folds: Sequence[str] = ("0",),
    limits: LimitsParams = DEFAULT_LIMITS,
) -> dict[str, Images]:
    """Count the images of some folds of a dataset by split, as listing its files gives; none is decoded.

    Of a dataset that is yet to be downloaded, what its entry asks for is counted, where that says enough.

    Raises:
        UserError: the raw data are missing, the splits cannot be made from them, or a fold is not among them.
    """
    if params.source in DOWNLOADS and has_only_source_file(raw) and (asked := asked_for(params)):
        DatasetFolds.of_download(params).check(dataset, folds, params)
        return {fold: asked_for_all(params, asked) if fold == ALL else asked for fold in folds}
    with Resources(limits) as resources, prefix_errors(f"datasets.{dataset}"):
        listing = list_images(raw, params, seed, resources)
        plan = plan_folds(listing.candidates, params, seed)
    DatasetFolds.of_plan(plan).check(dataset, folds, params)
    return {fold: replace(count_splits(plan.splits[fold]), packed=len(plan.packed)) for fold in folds}


def count_splits(splits: Splits) -> Images:
    """Count the images of one fold."""
    train, test, unseen = (len(splits[split]) for split in ("train", "test", "unseen"))
    seen, others = (len({c.label for c in splits[split]}) for split in ("train", "unseen"))
    return Images(train, test, unseen, seen, others)


def asked_for(params: DatasetParams) -> Images | None:
    """Count what an entry asks for of a source in `DOWNLOADS` in a numbered fold; None where the files alone tell."""
    classes, train, test = DOWNLOADS[params.source]
    if params.all_unseen:
        return Images(0, 0, count, 0, classes) if (count := classes * (params.unseen or train + test)) else None
    unseen = len(params.unseen_classes or ()) or params.unseen_count or 0
    seen = len(params.seen_classes or ()) or classes - unseen
    images = Images(
        train=params.train_total or seen * (params.train or train),
        test=params.test_total or seen * (params.test or test),
        unseen=unseen * (params.unseen or train),
        classes=seen,
        unseen_classes=unseen,
    )
    return images if images.train and images.test and images.unseen else None


def asked_for_all(params: DatasetParams, images: Images) -> Images:
    """Count what an entry asks for in fold `all`, where the unseen classes of the other folds are seen.

    Args:
        params: the entry.
        images: of the other folds.
    """
    classes = DatasetFolds.of_download(params)
    train, test = (
        getattr(images, split)
        * (1 if getattr(params, f"{split}_total") else (classes.seen + classes.unseen) / classes.seen)
        for split in ("train", "test")
    )
    return Images(round(train), round(test), 0, classes.seen + classes.unseen)
