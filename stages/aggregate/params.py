"""The `aggregate` section of params.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from stages.shared.params import Params


class AggregateParams(Params):
    """How the results are summed up.

    Attributes:
        main_metric: the score of the verdict, of metrics.json and of the figures with one score (steps and overview);
            one of `measure.metrics`, but not `accuracy`, which has no layers.
    """

    main_metric: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]

    @field_validator("main_metric")
    @classmethod
    def _of_layers(cls, name: str) -> str:
        if name == "accuracy":
            raise ValueError("must be a score of layers; accuracy is the whole network's")
        return name
