"""The settings of params.yaml as arguments of `score`."""

from typing import Any

from ..aggregate.params import AggregateParams
from ..core.scores.catalogue import HEAD_SCORES
from ..measure.params import MeasureParams, check_ranking
from .checks import SECTIONS


def arguments_of(measure: MeasureParams, aggregate: "AggregateParams") -> dict[str, Any]:
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
