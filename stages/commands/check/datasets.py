"""What must hold of the grid's datasets: their raw data, and classes of enough images."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from stages.commands.config import Config
from stages.prepare.params import TorchvisionParams
from stages.prepare.source_file import has_only_source_file
from stages.prepare.splits import assign_splits, class_counts
from stages.shared.console import UserError
from stages.shared.params import RunParams


def check_raw(raw: Path, run: RunParams) -> None:
    """Check that every dataset of the grid has its raw folder (or a link to one), and that it is not empty.

    Raises:
        UserError: naming the dataset and how to provide it.
    """
    for dataset in run.datasets:
        folder = raw / dataset
        if folder.is_symlink() and not folder.exists():
            raise UserError(
                f"{folder}: is a link to {folder.readlink()}, which does not exist; point it at your images"
            )
        if not folder.exists():
            raise UserError(
                f"{folder}: must exist, since run.datasets names {dataset!r}; copy your images there, or link to them: "
                f"ln -s /path/to/images {folder}"
            )
        if folder.is_dir() and not any(folder.iterdir()):
            raise UserError(f"{folder}: must hold images, found nothing; copy your images there")


def check_folds(config: Config) -> None:
    """Check that limits of the grid's datasets leave every class an image for each of the probe's folds.

    Raises:
        UserError: naming the limit that is too small.
    """
    folds, splits, remedy = probed(config)
    for dataset in config.run.datasets:
        for split in splits:
            limit = getattr(config.datasets[dataset], split)
            if limit is not None and limit < folds:
                raise UserError(
                    f"datasets.{dataset}.{split}: must be at least measure.probe.folds, {folds}, found {limit}: every "
                    f"fold needs an image of every class; raise it, {remedy}"
                )


def check_classes(config: Config, raw: Path) -> None:
    """Check that images that lie in the grid's raw folders can be split, with an image of every class for each fold.

    They are listed, not read. What would first be downloaded is not.

    Raises:
        UserError: the splits cannot be made from them, or a class has too few images for the probe.
    """
    folds, splits, remedy = probed(config)
    for dataset in config.run.datasets:
        params, seed = config.datasets[dataset], config.root_seed(dataset)
        if isinstance(params, TorchvisionParams) or has_only_source_file(raw / dataset):
            continue
        from stages.prepare.sources import SOURCES  # takes a second to import

        with ExitStack() as resources:
            listing = SOURCES[params.source](raw / dataset, params, seed, resources)
            images = assign_splits(listing.candidates, params, seed, dataset)
        for split, chosen in images.items():
            label, count = min(class_counts(chosen).items(), key=lambda item: item[1])
            if split in splits and count < folds:
                raise UserError(
                    f"datasets.{dataset}: every class must have an image for each of measure.probe.folds, {folds}, in "
                    f"the split {split!r}, found {count} of class {label!r}; add images, change the limits or "
                    f"`test_fraction`, {remedy}"
                )


def probed(config: Config) -> tuple[int, Sequence[str], str]:
    """Tell into how many folds the probe divides which splits, and how to do without."""
    measure = config.measure
    splits: Sequence[str] = config.embed.splits
    user = "probe_accuracy out of measure.metrics and measure.extra.metrics"
    if "corruptions" in measure.analyses:
        user += ", and corruptions out of measure.analyses"
    if "probe_accuracy" not in measure.all_metrics:
        splits = ["test"] if "corruptions" in measure.analyses else []
    return measure.probe.folds, splits, f"lower the folds, or take {user}"
