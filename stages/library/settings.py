"""Settings of `score` as keyword arguments: `kmeans_starts` is `measure.kmeans.starts` of params.yaml, and so on."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ..aggregate.params import AggregateParams
from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES
from ..measure.params import MeasureParams, check_ranking
from ..shared.runtime.errors import UserError, check_known
from ..shared.runtime.param_errors import describe_wrong_value

METRICS = sorted(LAYER_SCORES, key=lambda name: not LAYER_SCORES[name].in_paper)
"""Scores that are computed by default, those of the paper first."""

REFITTED = [name for name, score in LAYER_SCORES.items() if score.refit and not score.over_folds]
"""Scores that are fitted again by default: all whose intervals do not come from folds."""

FIXED: dict[str, Any] = {"knn_k": "split", "extra": {"metrics": [], "steps": "ends"}, "analyses": []}
"""What a single checkpoint of one split leaves no choice of."""

SECTIONS = ("kmeans", "probe", "refits")
SETTINGS = ("normalize", "neighbours", *SECTIONS)
"""What an argument of `score` begins with that is a setting."""


def parse_settings(metrics: Sequence[str] | None, given: Mapping[str, Any]) -> MeasureParams:
    """Check settings by the model of params.yaml.

    Args:
        metrics: names of scores, the main one first; None: all.
        given: the settings by argument.

    Raises:
        UserError: one is impossible, or names no score; names the argument.
    """
    if metrics is not None and (isinstance(metrics, str) or not len(metrics)):
        raise UserError(f"metrics must be a list of names of scores, found {metrics!r}")
    for name in metrics or ():
        check_known(name, LAYER_SCORES, f"metrics must name scores of layers, found {name!r}")
    values: dict[str, Any] = FIXED | {"metrics": [*(METRICS if metrics is None else metrics)]}
    values |= {"probe": {"steps": "ends"}, "refits": {"steps": "ends"}, "kmeans": {}}
    for argument, value in given.items():
        section, _, name = argument.partition("_")
        (values[section] if section in SECTIONS else values)[name or section] = value
    refitted = values["refits"].get("metrics")
    values["refits"]["metrics"] = REFITTED if refitted is None else [*refitted]
    measure = checked(values)
    check_ranking(measure.metrics[0], measure, where="metrics")
    return measure


def checked(values: dict[str, Any]) -> MeasureParams:
    """Validate values, and name a wrong one by its argument."""
    try:
        return MeasureParams.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        argument = "_".join(map(str, wrong["loc"]))
        raise UserError(describe_wrong_value({**wrong, "loc": ()}, argument, MeasureParams)) from None


def arguments_of(measure: MeasureParams, aggregate: AggregateParams) -> dict[str, Any]:
    """Return the sections of params.yaml as arguments of `score`.

    Raises:
        UserError: the main score is not measured, or ranks no layers.
    """
    check_ranking(aggregate.main_metric, measure)
    main, others = aggregate.main_metric, [name for name in measure.all_metrics if name not in HEAD_SCORES]
    known = measure.model_dump(include={"normalize", "neighbours"}) | {"worthwhile_gain": aggregate.worthwhile_gain}
    for section in SECTIONS:
        own = getattr(measure, section).model_dump(exclude={"steps"})
        known |= {f"{section}_{name}": value for name, value in own.items()}
    return known | {"metrics": [main, *(name for name in others if name != main)]}
