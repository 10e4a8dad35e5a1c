"""What is computed of embeddings from files: params.yaml's `measure` and `aggregate`, without what files lack."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stages.aggregate.params import AggregateParams, Asked
from stages.measure.analyses.registry import ANALYSES
from stages.measure.metrics import HEAD_SCORES, LAYER_SCORES
from stages.measure.params import MeasureParams
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.settings.params import CheckpointSteps, RunParams, parse, read_section

SEED = 0
CHECKPOINT = CheckpointSteps(steps=[0], keep="all")
"""A file holds one network as it is."""


def grid_of(dataset: str, model: str, folds: int) -> RunParams:
    """Name the cells that files are: a fold each.

    Raises:
        UserError: a name is none that DVC takes.
    """
    for option, name in (("--dataset", dataset), ("--model", model)):
        if not re.fullmatch("[A-Za-z0-9_]+", name):
            raise UserError(f"{option} must be of letters, digits and `_`, found {name!r}")
    axes = {"datasets": [dataset], "models": [model], "folds": list(range(folds)), "seeds": [SEED]}
    return RunParams.model_validate(axes)


def read_asked(
    path: Path, grid: RunParams, splits: Collection[str], metrics: Sequence[str], normalize: str | None
) -> tuple[MeasureParams, Asked, list[str]]:
    """Read how files are scored and the scores summed up.

    Args:
        path: the params file.
        grid: the files' names.
        splits: what the files hold, `unseen` and, if given, `test`.
        metrics: the scores asked for, the main one first; none: those of `measure`.
        normalize: in the place of `measure.normalize`; None: as that says.

    Returns:
        The section `measure`, what aggregate is asked for, and what is left out, one phrase each.

    Raises:
        UserError: a value is unknown, missing or impossible, or the main score is not computed.
    """
    measure = read_section(path, "measure", MeasureParams)
    aggregate = read_section(path, "aggregate", AggregateParams)
    if metrics:
        unknown = next((name for name in metrics if name not in LAYER_SCORES), None)
        if unknown is not None:
            raise UserError(
                f"--metrics must name scores of layers, found {unknown!r}: {did_you_mean(unknown, LAYER_SCORES)}"
            )
        if LAYER_SCORES[metrics[0]].better == "neither":
            raise UserError(
                f"--metrics must begin with a score that ranks layers, found {metrics[0]!r}, of which neither high nor "
                "low is better; put another first"
            )
        measure = _changed(measure, metrics=list(metrics), extra=measure.extra.model_copy(update={"metrics": []}))
        aggregate = aggregate.model_copy(update={"main_metric": metrics[0]})
    measure, left_out = _possible(measure, splits)
    if aggregate.main_metric not in measure.all_metrics:
        raise UserError(
            f"aggregate.main_metric: {aggregate.main_metric!r} must be one of measure.metrics: "
            f"{did_you_mean(aggregate.main_metric, measure.all_metrics)}"
        )
    measure = _changed(measure, normalize=normalize or measure.normalize)
    return measure, Asked(grid, CHECKPOINT, measure.analyses, aggregate), left_out


def _possible(measure: MeasureParams, splits: Collection[str]) -> tuple[MeasureParams, list[str]]:
    """Leave out what needs a head, training images or seen classes that are not there; there is one checkpoint."""
    analyses = [n for n in measure.analyses if not ANALYSES[n].extra and set(ANALYSES[n].splits) <= set(splits)]
    left_out = [name for name in (*measure.all_metrics, *measure.analyses) if name in HEAD_SCORES]
    left_out += [name for name in measure.analyses if name not in analyses]
    scores = {
        "metrics": [name for name in measure.metrics if name not in HEAD_SCORES],
        "extra": {"metrics": [n for n in measure.extra.metrics if n not in HEAD_SCORES], "steps": "ends"},
    }
    steps = {name: getattr(measure, name).model_copy(update={"steps": "ends"}) for name in ("probe", "refits")}
    return _changed(measure, analyses=analyses, **scores, **steps), left_out


def _changed(measure: MeasureParams, **values: Any) -> MeasureParams:
    """Replace values, which are checked."""
    plain = {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in values.items()}
    return parse(measure.model_dump() | plain, MeasureParams, where="measure")
