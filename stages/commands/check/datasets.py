"""What must hold of the grid's datasets: their raw data, and classes of enough images."""

from collections.abc import Sequence
from pathlib import Path

from stages.commands.config import Config
from stages.commands.features.image_files import describe, not_images
from stages.commands.folds import find_folds, is_absent
from stages.finetune.params import schedule_length
from stages.measure.analyses.registry import probing
from stages.prepare.candidates import Candidate, class_counts, describe_counts
from stages.prepare.params import TorchvisionParams
from stages.prepare.raw_files import check_regular
from stages.prepare.source_file import read_source_file
from stages.prepare.splits import FoldPlan
from stages.shared.runtime.errors import UserError, prefix_errors
from stages.shared.settings.params import RunParams

OWN = ("folder", "table")
"""Sources whose images are a user's own files."""

MANY_CLASSES = 10
FEW_CLASSES = (
    "datasets.{}: of {} classes in all, one choice of the unseen ones cannot tell how others would come out; with "
    "10 or more, several folds can"
)


def check_raw(raw: Path, run: RunParams) -> None:
    """Check that every dataset of the grid has its raw folder (or a link to one), of files and folders and not empty.

    Raises:
        UserError: naming the dataset and how to provide it.
    """
    for dataset in run.datasets:
        folder = raw / dataset
        if not folder.exists():
            found = f"a link to {folder.readlink()}, which does not exist" if folder.is_symlink() else "nothing"
            raise UserError(
                f"{folder}: must exist, since run.datasets names {dataset!r}, found {found}; copy your images there, "
                f"or link to them: ln -s /path/to/images {folder}"
            )
        if folder.is_dir() and not any(folder.iterdir()):
            raise UserError(f"{folder}: must hold images, found nothing; copy your images there")
        check_regular(folder, for_dvc=True)


def check_seen(config: Config) -> None:
    """Check that datasets without seen classes meet networks alone that are measured as they are.

    Raises:
        UserError: naming the dataset and the network that would be fine-tuned.
    """
    tuned = [model for model in config.run.models if not config.models[model].network.frozen]
    for dataset in config.run.datasets:
        if config.datasets[dataset].all_unseen and tuned:
            raise UserError(
                f"datasets.{dataset}.unseen_classes: `all` leaves no class to fine-tune on, which {tuned[0]!r} of "
                f"run.models needs; set models.{tuned[0]}.network.frozen: true, or name the unseen classes"
            )


def check_folds(config: Config) -> None:
    """Check that limits of the grid's datasets leave every class an image for each of the probe's folds.

    Raises:
        UserError: naming the limit that is too small.
    """
    folds, splits, remedy = probed(config)
    for dataset in config.run.datasets:
        without = ("train", "test") if config.datasets[dataset].all_unseen else ()
        for split in (split for split in splits if split not in without):
            limit = getattr(config.datasets[dataset], split)
            if limit is not None and limit < folds:
                raise UserError(
                    f"datasets.{dataset}.{split}: must be at least measure.probe.folds, {folds}, found {limit}: every "
                    f"fold needs an image of every class; raise it, {remedy}"
                )


def check_classes(config: Config, raw: Path) -> list[str]:
    """Check that the grid's datasets have its folds, with an image of every class for each fold of the probe.

    Images are listed, and opened only where their names do not end as an image's. Those that would first be downloaded
    are not: of them the entry alone says which folds there are and how many images, and of torchvision's datasets
    nothing does. The `source.json` that names the download is read.

    Returns:
        What a user should know of datasets of few classes, a sentence each.

    Raises:
        UserError: the splits cannot be made, a fold is not there, a class has too few images for the probe, or a
            `source.json` is not valid.
    """
    from stages.prepare.sources import SOURCE_FILES  # takes a second to import

    notes = []
    for dataset in config.run.datasets:
        params = config.datasets[dataset]
        if isinstance(params, TorchvisionParams):
            continue
        with prefix_errors(f"datasets.{dataset}"):
            if is_absent(config, raw, dataset):
                read_source_file(raw / dataset, SOURCE_FILES[params.source])
        own = params.source in OWN and params.on_bad_image == "error"
        plan = find_folds(config, raw, dataset, inspect=check_images if own else None)
        with prefix_errors(f"datasets.{dataset}"):
            check_short(config, plan)
            check_schedules(config, plan)
        if plan.left_out:
            notes.append(f"datasets.{dataset}: left out for want of images: {describe_counts(plan.left_out)}")
        seen, classes = plan.folds[0][0].seen, plan.folds[0][0].seen + plan.folds[0][0].unseen
        if seen and len(classes) < MANY_CLASSES:
            notes.append(FEW_CLASSES.format(dataset, len(classes)))
    return notes


def check_images(candidates: Sequence[Candidate]) -> None:
    """Open the files whose names do not end as an image's.

    Raises:
        UserError: naming those that are none.
    """
    bad = not_images({each.source: each.content for each in candidates})
    if bad:
        raise UserError(
            f"every file in a class must be an image, found {describe(bad)}; remove them, or set `on_bad_image: skip`"
        )


def check_short(config: Config, plan: FoldPlan) -> None:
    """Check that every class has an image for each of the probe's folds, in the folds of the grid.

    Raises:
        UserError: naming all that have not.
    """
    count, splits, remedy = probed(config)
    for split in splits:
        of_split = [found for fold in config.run.folds for name, found in plan.splits[fold].items() if name == split]
        short = {label: n for found in of_split for label, n in class_counts(found).items() if n < count}
        if short:
            raise UserError(
                f"every class must have an image for each of measure.probe.folds, {count}, in the split {split!r}, "
                f"found {describe_counts(short)}; add images, change the limits or `test_fraction`, leave out classes "
                f"of few images (`min_images`), {remedy}"
            )


def check_schedules(config: Config, plan: FoldPlan) -> None:
    """Check that the training of every network ends within its schedule, in the folds of the grid.

    Raises:
        UserError: it does not.
    """
    for network in (config.models[model].network for model in config.run.models):
        for fold in config.run.folds if not network.frozen else ():
            schedule_length(config.finetune, len(plan.splits[fold]["train"]), epochs=network.epochs)


def probed(config: Config) -> tuple[int, Sequence[str], str]:
    """Return into how many folds the probe divides which splits, and how to do without."""
    measure, analyses = config.measure, probing(config.measure.analyses)
    user = "probe_accuracy out of measure.metrics and measure.extra.metrics"
    user += "".join(f", and {name} out of measure.analyses" for name in analyses)
    splits = config.embed.splits if "probe_accuracy" in measure.all_metrics else list(analyses.values())
    return measure.probe.folds, splits, f"lower the folds, or take {user}"
