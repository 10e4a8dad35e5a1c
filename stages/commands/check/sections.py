"""What the sections of params.yaml must hold beside each other. Pure: no file is read."""

from collections.abc import Sequence

from stages.commands.check.datasets import check_folds, check_seen
from stages.commands.config import Config
from stages.measure.analyses.registry import Extra, check_embedded
from stages.measure.metrics import SCORES
from stages.measure.params import chosen_steps
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.errors import UserError, did_you_mean

GIVERS = "finetune.steps and finetune.keep give"


def check_sections(config: Config) -> None:
    """Check what one section or entry asks of another.

    Raises:
        UserError: at the first that does not hold.
    """
    check_main_metric(config)
    check_use(config)
    check_checkpoints(config)
    check_analyses(config)
    check_seen(config)
    check_folds(config)


def check_main_metric(config: Config) -> None:
    """Check that the score of the verdict is among those that are measured, at the last checkpoint.

    Raises:
        UserError: it is not; the nearest that are.
    """
    wanted, measure = config.aggregate.main_metric, config.measure
    if wanted not in measure.all_metrics:
        raise UserError(
            f"aggregate.main_metric: {wanted!r} must be in measure.metrics or measure.extra.metrics: "
            f"{did_you_mean(wanted, measure.all_metrics)}"
        )
    if SCORES[wanted].better == "neither":
        raise UserError(f"aggregate.main_metric: must be a score by which a layer is better, found {wanted!r}; try nmi")
    for last in sorted({config.checkpoints(model)[-1] for model in config.run.models}):
        for name, applies in (("extra", wanted in measure.extra.metrics), ("probe", wanted == "probe_accuracy")):
            steps = getattr(measure, name).steps
            if applies and isinstance(steps, list) and last not in steps:
                raise UserError(
                    f"aggregate.main_metric: {wanted!r} must be measured at the last checkpoint, {last}, found "
                    f"measure.{name}.steps {_joined(steps)}; add {last} there"
                )


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
            "docs/scores.md#uses names those of each use (measure.metrics, measure.analyses)"
        )


def check_checkpoints(config: Config) -> None:
    """Check that the probe, further scores and refits are asked for at checkpoints that every network of the grid has.

    Raises:
        UserError: naming the steps that one lacks, or that the probe, as a further score, has no checkpoint.
    """
    measure = config.measure
    for model in config.run.models:
        kept = config.checkpoints(model)
        giver = f"models.{model}.network.frozen gives" if config.models[model].network.frozen else GIVERS
        for name in ("probe", "extra", "refits"):
            wanted = getattr(measure, name).steps
            absent = [step for step in wanted if step not in kept] if isinstance(wanted, list) else []
            if absent:
                raise UserError(
                    f"measure.{name}.steps: must name checkpoints, found {_joined(absent)}; {giver} {_joined(kept)}: "
                    "choose of these, or add steps there"
                )
        extra, probe = (chosen_steps(steps, kept) for steps in (measure.extra.steps, measure.probe.steps))
        if "probe_accuracy" in measure.extra.metrics and not set(extra) & set(probe):
            raise UserError(
                "measure.probe.steps: must share a checkpoint with measure.extra.steps, since probe_accuracy is in "
                f"measure.extra.metrics, found {_joined(probe)} beside {_joined(extra)}; add a step of one to the "
                "other, or name probe_accuracy in measure.metrics"
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
    extra: dict[Extra, bool] = {"train": embed.train_per_class > 0, "corrupted": bool(embed.corruptions.kinds)}
    check_embedded(config.measure.analyses, embed.splits, [kind for kind, wanted in extra.items() if wanted])


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
