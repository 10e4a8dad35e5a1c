"""Check params.yaml, the raw data and the networks of the grid before `dvc repro`."""

from collections.abc import Sequence
from pathlib import Path

import click

from ..core.scores.catalogue import PROBE, SCORES
from ..finetune.params import schedule_length
from ..measure.analyses.registry import check_embedded
from ..measure.params import check_class_sizes, check_ranking, check_steps, chosen_steps
from ..prepare.candidates import describe_counts
from ..prepare.params import TorchvisionParams
from ..prepare.pools import checked_fraction
from ..prepare.raw_files import check_regular
from ..prepare.splits import FoldPlan
from ..shared.embeddings.split_names import UNSEEN
from ..shared.runtime.errors import UserError, prefix_errors
from ..shared.workflow.params import RunParams, check_as_many_sets
from .config import Config, read_config
from .dvc_project.workspace import cache_folder, check_merged, open_repo, stage_path
from .folds import find_folds
from .project import RAW, ROOT, ProjectCommand, params_option


@click.command(cls=ProjectCommand)
@params_option
def check(params: Path) -> None:
    """Check params.yaml, the raw data and the grid's networks before `dvc repro`.

    It finds errors that a stage would find only after earlier stages have run: in parameters and their combinations, a
    dataset's folds, your own images' classes, the training's length, weight files, networks and their layers. A message
    has the rule, the value found and the remedy.

    It takes some seconds. Your own images are listed, not opened. Networks are built, with weights from files and
    packages only.
    """
    from ..shared.workflow.stage_run import check_cache  # watches for DVC from its import on

    config = read_config(params)
    check_cache(cache_folder())
    check_merged(ROOT)
    with open_repo():
        stage_path("aggregate", "--out")  # of the last stage in dvc.yaml
    notes = check_config(config, RAW)
    run, count = config.run, len(list(config.run.cells()))
    print(
        f"check: {params} is valid; {count} cell{'s' if count > 1 else ''}: datasets {', '.join(run.datasets)}; models "
        f"{', '.join(run.models)}; folds {', '.join(run.folds)}; seeds {', '.join(map(str, run.seeds))}"
    )
    for note in notes:
        print(f"check: {note}")


def check_config(config: Config, raw: Path) -> list[str]:
    """Check the grid with its raw data and networks.

    Returns:
        What a user should know of the datasets, a sentence each.

    Raises:
        UserError: at the first that does not hold.
    """
    check_sections(config)
    check_raw(raw, config.run)
    return check_classes(config, raw) + check_networks(config)


def check_networks(config: Config) -> list[str]:
    """Check that networks and layers of the grid's models are, and that their weights fit or can be had.

    Returns:
        Where weights of the Hugging Face hub are, a sentence each.

    Raises:
        UserError: naming the model and the file, what its network does not take, or the layer and the nearest.
    """
    from ..embed.taps.find import find_taps  # torch takes seconds to import
    from ..shared.networks.network import build_network, build_skeleton
    from .hub_weights import describe_weights

    notes = []
    for name in config.run.models:
        network, taps = config.models[name].network, config.models[name].taps
        with prefix_errors(f"models.{name}"):
            skeleton = build_skeleton(network, 2)
            find_taps(skeleton, network, taps)
        with prefix_errors(f"models.{name}.network"):
            if network.weights.source in ("file", "package"):
                build_network(network, 2, seed=0)
            found = describe_weights(network, skeleton.module) if network.weights.source == "hub" else None
            notes += [f"models.{name}.network: {found}"] if found else []
    return notes


def check_sections(config: Config) -> None:
    """Check what one section or entry asks of another.

    Raises:
        UserError: at the first that does not hold.
    """
    check_ranking(config.aggregate.main_metric, config.measure)
    check_use(config)
    check_checkpoints(config)
    check_analyses(config)
    check_datasets(config)


def check_use(config: Config) -> None:
    """Check that a score is measured for the use that features are for.

    Raises:
        UserError: none is.
    """
    wanted, measure = config.aggregate.use, config.measure
    uses = {SCORES[name].use for name in measure.all_metrics} | ({"detection"} if "ood" in measure.analyses else set())
    if wanted is not None and wanted not in uses:
        raise UserError(
            f"aggregate.use: a score must be measured for {wanted!r}, found scores for {_joined(sorted(uses))}; "
            "docs/scores.md#uses lists each use's scores (measure.metrics, measure.analyses)"
        )


def check_checkpoints(config: Config) -> None:
    """Check that the probe, further scores and refits are asked for at checkpoints that every network of the grid has.

    Raises:
        UserError: naming the steps that one lacks, or that the score of the verdict is not measured at the last, or
            that the probe, as a further score, has no checkpoint.
    """
    measure, main = config.measure, config.aggregate.main_metric
    decides = {"extra": main in measure.extra.metrics, "probe": main == "probe_accuracy", "refits": False}
    for model in config.run.models:
        kept = config.checkpoints(model)
        steps = {name: chosen_steps(getattr(measure, name).steps, kept) for name in decides}
        for name, wanted in steps.items():
            if decides[name] and kept[-1] not in wanted:
                raise UserError(
                    f"aggregate.main_metric: {main!r} must be measured at the last checkpoint, {kept[-1]}, found "
                    f"measure.{name}.steps {_joined(wanted)}; add {kept[-1]} there"
                )
            check_steps(name, measure, kept, frozen=config.models[model].network.frozen)
        if "probe_accuracy" in measure.extra.metrics and not set(steps["extra"]) & set(steps["probe"]):
            raise UserError(
                "measure.probe.steps: must share a checkpoint with measure.extra.steps, since probe_accuracy is in "
                f"measure.extra.metrics, found {_joined(steps['probe'])} beside {_joined(steps['extra'])}; add a step "
                "from one to the other, or name probe_accuracy in measure.metrics"
            )


def check_analyses(config: Config) -> None:
    """Check that unseen images are embedded, by whose scores a layer is chosen, and what the analyses look at.

    Raises:
        UserError: naming what is lacking, the analysis and the remedies.
    """
    embed = config.embed
    if UNSEEN not in embed.splits:
        raise UserError(
            f"embed.splits: must list 'unseen', found {_joined(embed.splits)}: a layer is chosen by its score on "
            "unseen classes; add it"
        )
    frozen = all(config.models[model].network.frozen for model in config.run.models)
    check_embedded(config.measure.analyses, embed.splits, training=embed.train_per_class > 0, frozen=frozen)


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


MANY_CLASSES = 12
FEW_CLASSES = (
    "datasets.{}: with {} classes in all, {} fold(s) with unseen ones reveal little about new classes; 12 classes or "
    "more reveal more"
)
FEW_UNSEEN = (
    "datasets.{}: folds with {} unseen classes have no interval over classes in NMI, MAP@R and whatever is refitted "
    "without a class; leave out {} or more"
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


def check_datasets(config: Config) -> None:
    """Check that the grid's datasets have seen classes for what is fine-tuned, and images for the probe's folds.

    Raises:
        UserError: naming the dataset without seen classes and the network, or the limit that is too small.
    """
    tuned = [model for model in config.run.models if not config.models[model].network.frozen]
    folds = config.measure.probe.folds
    for dataset in config.run.datasets:
        entry = config.datasets[dataset]
        if entry.all_unseen and tuned:
            raise UserError(
                f"datasets.{dataset}.unseen_classes: `all` leaves no class to fine-tune on, which {tuned[0]!r} in "
                f"run.models needs; set models.{tuned[0]}.network.frozen: true, or list the unseen classes"
            )
        for split in config.embed.splits:
            limit, probed = getattr(entry, split), PROBE in config.measure.all_metrics
            if probed and limit is not None and limit < folds and (split == UNSEEN or not entry.all_unseen):
                raise UserError(
                    f"datasets.{dataset}.{split}: must be at least measure.probe.folds, {folds}, found {limit}: every "
                    f"fold needs an image from every class; raise it, lower the folds, or remove {PROBE} from "
                    "measure.metrics and measure.extra.metrics"
                )


def check_classes(config: Config, raw: Path) -> list[str]:
    """Check that the grid's datasets have its folds, with an image of every class for each fold of the probe.

    Images are listed, not opened. Of those that would first be downloaded the entry alone says which folds there are
    and how many images, and of torchvision's datasets whether there are test images.

    Returns:
        What a user should know of datasets of few classes, a sentence each.

    Raises:
        UserError: the splits cannot be made, a fold is not there, a class has too few images for the probe, or an
            entry of torchvision's is not valid.
    """
    from ..core.scores.refits import MIN_CLASSES
    from ..prepare.sources.torchvision import split_arguments  # takes a second to import

    notes: list[str] = []
    sets: dict[str, int] = {}
    for dataset in config.run.datasets:
        params = config.datasets[dataset]
        if isinstance(params, TorchvisionParams):
            with prefix_errors(f"datasets.{dataset}"):
                if not params.all_unseen:
                    checked_fraction(params, has_test="test" in split_arguments(params))
            continue
        plan = find_folds(config, raw, dataset)
        with prefix_errors(f"datasets.{dataset}"):
            for fold in config.run.folds:
                for split, found in plan.splits[fold].items():
                    if found and split in config.embed.splits:
                        check_class_sizes((each.label for each in found), split, config.measure)
            check_schedules(config, plan)
        if plan.left_out:
            notes.append(f"datasets.{dataset}: left out, with too few images: {describe_counts(plan.left_out)}")
        sets[dataset] = len(plan.sets)
        seen, unseen = plan.folds[0][0].seen, plan.folds[0][0].unseen
        unseen = plan.sets[0] if plan.sets else unseen
        if seen and len(seen + unseen) < MANY_CLASSES:
            notes.append(FEW_CLASSES.format(dataset, len(seen + unseen), len(config.run.numbered)))
        elif len(unseen) < MIN_CLASSES:
            notes.append(FEW_UNSEEN.format(dataset, len(unseen), MIN_CLASSES))
    check_as_many_sets(sets)
    return notes


def check_schedules(config: Config, plan: FoldPlan) -> None:
    """Check that the training of every network ends within its schedule, in the folds of the grid.

    Raises:
        UserError: it does not.
    """
    for network in (config.models[model].network for model in config.run.models):
        for fold in config.run.folds if not network.frozen else ():
            schedule_length(config.finetune, len(plan.splits[fold]["train"]), epochs=network.epochs)
