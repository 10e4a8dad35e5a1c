"""The settings of params.yaml as arguments of `score`."""

from pathlib import Path
from typing import Any

from ..aggregate.params import AggregateParams
from ..core.scores.catalogue import HEAD_SCORES
from ..measure.params import MeasureParams
from ..measure.score_params import ScoreParams, check_ranking
from ..shared.workflow.params import read_section
from .checks import SECTIONS


def read_settings(
    params: Path, metrics: str | None = None, normalize: str | None = None
) -> tuple[MeasureParams, AggregateParams, dict[str, Any]]:
    """Read the sections of params.yaml that say how embeddings are scored, and their values as arguments.

    Args:
        params: the params file.
        metrics: names of scores, comma-separated, the main one first; None: those of `measure`.
        normalize: in the place of `measure.normalize`; None: as that says.

    Raises:
        UserError: a value is unknown, missing or impossible, or the main score is not measured, or ranks no layers.
    """
    measure, aggregate = (
        read_section(params, "measure", MeasureParams),
        read_section(params, "aggregate", AggregateParams),
    )
    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    if names is None:
        check_ranking(main := aggregate.main_metric, measure)
        names = [main, *(name for name in measure.all_metrics if name not in (main, *HEAD_SCORES))]
    asked = arguments_of(measure) | {"metrics": names, "worthwhile_gain": aggregate.worthwhile_gain}
    asked |= {"normalize": normalize or measure.normalize}
    return measure, aggregate.model_copy(update={"main_metric": names[0]}), asked


def arguments_of(measure: ScoreParams) -> dict[str, Any]:
    """Return settings as arguments of `score`, but for its names of scores."""
    known: dict[str, Any] = {name: getattr(measure, name) for name in ("normalize", "neighbours", "max_images")}
    for section in SECTIONS:
        own = getattr(measure, section).model_dump(exclude={"steps"})
        known |= {f"{section}_{name}": value for name, value in own.items()}
    return known


def left_out(measure: MeasureParams) -> list[str]:
    """Name the scores that were asked for and need a head."""
    heads = [name for name in measure.all_metrics if name in HEAD_SCORES]
    return [f"left out, since there is no head: {', '.join(heads)}"] if heads else []
