"""Check params.yaml and the raw data of the grid before `dvc repro`, in a second, importing no network library.

DVC itself reports a missing raw folder as a bare `[Errno 2]` and a missing entry of params.yaml by its key alone; this
says what must hold and what to do. What one section asks of another, and layers that are named, are checked here as
well, since their own stage would find out only after training. Named layers alone take longer: their networks are
built, without weights.

    python -m stages.check
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.params import AggregateParams
from stages.embed.params import EmbedParams
from stages.embed.taps.params import TapsParams
from stages.finetune.params import FinetuneParams
from stages.measure.catalogue import METRICS
from stages.measure.params import MeasureParams
from stages.prepare.params import PrepareParams, read_dataset
from stages.shared.console import UserError, nearest, run_door
from stages.shared.networks.params import NetworkParams
from stages.shared.params import Params, RunParams, read_row, read_run, read_section, row_ids

SECTIONS: dict[str, type[Params]] = {
    "prepare": PrepareParams,
    "finetune": FinetuneParams,
    "embed": EmbedParams,
    "measure": MeasureParams,
    "aggregate": AggregateParams,
}


def main() -> None:
    """Validate every section and entry, then look for the grid's raw folders and for the layers that it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="the folder that holds data/raw/<dataset>")
    args = parser.parse_args()
    run = check_params(args.params)
    check_raw(args.raw, run)
    check_layers(args.params, run)
    cells = len(run.datasets) * len(run.models) * len(run.seeds)
    print(
        f"check: {args.params} is valid; {cells} cells: datasets {', '.join(run.datasets)}; "
        f"models {', '.join(run.models)}; seeds {', '.join(map(str, run.seeds))}"
    )


def check_params(path: Path) -> RunParams:
    """Validate a whole params file, including entries that the grid does not use.

    Returns:
        The grid.

    Raises:
        UserError: at the first section or entry that does not hold.
    """
    run = read_run(path)
    for section, model in SECTIONS.items():
        read_section(path, section, model)
    check_main_metric(path)
    for dataset in row_ids(path, "datasets"):
        read_dataset(path, dataset)
    for name in row_ids(path, "models"):
        read_row(path, "models", name, NetworkParams, half="network")
        read_row(path, "models", name, TapsParams, half="taps")
    check_checkpoints(path)
    check_splits(path)
    check_last_step(path)
    check_folds(path, run)
    return run


def check_main_metric(path: Path) -> None:
    """Check that the score of the verdict is among those that are measured, at the last checkpoint.

    Raises:
        UserError: it is not; the nearest that are.
    """
    wanted = read_section(path, "aggregate", AggregateParams).main_metric
    measure = read_section(path, "measure", MeasureParams)
    if wanted not in measure.all_metrics:
        raise UserError(
            f"aggregate.main_metric: {wanted!r} must be in measure.metrics or measure.extra.metrics: "
            f"{nearest(wanted, measure.all_metrics)}"
        )
    if wanted in METRICS and METRICS[wanted].better == "neither":
        raise UserError(f"aggregate.main_metric: must be a score by which a layer is better, found {wanted!r}; try nmi")
    steps, last = measure.extra.steps, read_section(path, "finetune", FinetuneParams).steps[-1]
    if wanted in measure.extra.metrics and isinstance(steps, list) and last not in steps:
        raise UserError(
            f"aggregate.main_metric: {wanted!r} must be measured at the last checkpoint, {last}, found "
            f"measure.extra.steps {_joined(steps)}; add {last} there, or name {wanted} in measure.metrics"
        )


def check_checkpoints(path: Path) -> None:
    """Check that the probe and the further scores are asked for at checkpoints that will be there.

    Raises:
        UserError: naming the steps that will not.
    """
    finetune, measure = read_section(path, "finetune", FinetuneParams), read_section(path, "measure", MeasureParams)
    kept = finetune.steps if finetune.keep == "all" else finetune.steps[-1:]
    for name, wanted in (("probe", measure.probe.steps), ("extra", measure.extra.steps)):
        absent = [step for step in wanted if step not in kept] if isinstance(wanted, list) else []
        if absent:
            raise UserError(
                f"measure.{name}.steps: must name checkpoints, found {_joined(absent)}; finetune.steps and "
                f"finetune.keep give {_joined(kept)}: choose of these, or add steps there"
            )


def check_splits(path: Path) -> None:
    """Check that unseen images are embedded, by whose scores a layer is chosen.

    Raises:
        UserError: they are not.
    """
    splits = read_section(path, "embed", EmbedParams).splits
    if "unseen" not in splits:
        raise UserError(
            f"embed.splits: must list 'unseen', found {_joined(splits)}: a layer is chosen by its score on unseen "
            "classes; add it"
        )


def check_last_step(path: Path) -> None:
    """Check that what the analyses of the last checkpoint look at is embedded.

    Raises:
        UserError: naming the analysis and both remedies.
    """
    embed = read_section(path, "embed", EmbedParams)
    needs = {
        "ood": [("embed.splits to list 'test'", "test" in embed.splits)],
        "seen_matched": [("embed.splits to list 'test'", "test" in embed.splits)],
        "corruptions": [("embed.corruptions.kinds to name some", bool(embed.corruptions.kinds))],
    }
    needs["ood"] += [("embed.train_per_class to be more than 0", embed.train_per_class > 0)]
    for name in read_section(path, "measure", MeasureParams).last_step:
        missing = [need for need, met in needs.get(name, []) if not met]
        if missing:
            raise UserError(
                f"measure.last_step: {name!r} needs {missing[0]}; change it there, or take {name} out of "
                "measure.last_step"
            )


def check_folds(path: Path, run: RunParams) -> None:
    """Check that limits of the grid's datasets leave every class an image for each of the probe's folds.

    Raises:
        UserError: naming the limit that is too small.
    """
    measure = read_section(path, "measure", MeasureParams)
    splits: Sequence[str] = read_section(path, "embed", EmbedParams).splits
    user = "probe_accuracy out of measure.metrics and measure.extra.metrics"
    if "corruptions" in measure.last_step:
        user += ", and corruptions out of measure.last_step"
    if "probe_accuracy" not in measure.all_metrics:
        splits = ["test"] if "corruptions" in measure.last_step else []
    for dataset in run.datasets:
        entry, folds = read_dataset(path, dataset), measure.probe.folds
        for split in splits:
            limit = getattr(entry, split)
            if limit is not None and limit < folds:
                raise UserError(
                    f"datasets.{dataset}.{split}: must be at least measure.probe.folds, {folds}, found {limit}: every "
                    f"fold needs an image of every class; raise it, lower the folds, or take {user}"
                )


def check_layers(path: Path, run: RunParams) -> None:
    """Check that the layers that the grid's models name are layers of their networks.

    Raises:
        UserError: naming the model, the module path and the nearest.
    """
    for name in run.models:
        taps = read_row(path, "models", name, TapsParams, half="taps")
        if taps.layers == "default":
            continue
        from stages.embed.taps.find import find_taps  # torch takes seconds to import, and few grids name layers
        from stages.shared.networks.build import build_skeleton

        network = read_row(path, "models", name, NetworkParams, half="network")
        try:
            find_taps(build_skeleton(network, 2), network, taps)
        except UserError as error:
            raise UserError(f"models.{name}: {error}") from None


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


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


if __name__ == "__main__":
    run_door(main)
