"""What the sections of params.yaml must hold, each by itself and one beside another."""

from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.params import AggregateParams
from stages.commands.check.datasets import check_folds
from stages.embed.params import EmbedParams, TapsParams
from stages.finetune.params import FinetuneParams
from stages.measure.metrics import METRICS
from stages.measure.params import MeasureParams, chosen_steps
from stages.prepare.params import PrepareParams, read_dataset
from stages.shared.console import UserError, nearest
from stages.shared.networks.params import NetworkParams
from stages.shared.params import Params, RunParams, entry_ids, read_entry, read_run, read_section

SECTIONS: dict[str, type[Params]] = {
    "prepare": PrepareParams,
    "finetune": FinetuneParams,
    "embed": EmbedParams,
    "measure": MeasureParams,
    "aggregate": AggregateParams,
}


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
    for dataset in entry_ids(path, "datasets"):
        read_dataset(path, dataset)
    for name in entry_ids(path, "models"):
        read_entry(path, "models", name, NetworkParams, part="network")
        read_entry(path, "models", name, TapsParams, part="taps")
    check_checkpoints(path)
    check_splits(path)
    check_analyses(path)
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
    last = read_section(path, "finetune", FinetuneParams).steps[-1]
    for name, applies in (("extra", wanted in measure.extra.metrics), ("probe", wanted == "probe_accuracy")):
        steps = getattr(measure, name).steps
        if applies and isinstance(steps, list) and last not in steps:
            raise UserError(
                f"aggregate.main_metric: {wanted!r} must be measured at the last checkpoint, {last}, found "
                f"measure.{name}.steps {_joined(steps)}; add {last} there"
            )


def check_checkpoints(path: Path) -> None:
    """Check that the probe and the further scores are asked for at checkpoints that will be there.

    Raises:
        UserError: naming the steps that will not, or that the probe, as a further score, has no checkpoint.
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
    extra, probe = (chosen_steps(steps, kept) for steps in (measure.extra.steps, measure.probe.steps))
    if "probe_accuracy" in measure.extra.metrics and not set(extra) & set(probe):
        raise UserError(
            "measure.probe.steps: must share a checkpoint with measure.extra.steps, since probe_accuracy is in "
            f"measure.extra.metrics, found {_joined(probe)} beside {_joined(extra)}; add a step of one to the other, "
            "or name probe_accuracy in measure.metrics"
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


def check_analyses(path: Path) -> None:
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
    for name in read_section(path, "measure", MeasureParams).analyses:
        missing = [need for need, met in needs.get(name, []) if not met]
        if missing:
            raise UserError(
                f"measure.analyses: {name!r} needs {missing[0]}; change it there, or take {name} out of "
                "measure.analyses"
            )


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
