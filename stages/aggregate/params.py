"""The `aggregate` section of params.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from stages.shared.params import Params


class AggregateParams(Params):
    """How the results are summed up.

    Attributes:
        main_metric: the score of the verdict, of metrics.json and of the figures with one score (steps and overview);
            one of `measure.metrics`, but not `accuracy`, which has no layers.
        resamples: how often the images are drawn again for every interval and comparison; at least 100, since a 95 %
            interval is cut out of their tails.
        seed: root of the draws; each dataset and split has a child seed, so that all of a dataset's networks, layers
            and scores meet the same draws.
    """

    main_metric: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0)]

    @field_validator("main_metric")
    @classmethod
    def _of_layers(cls, name: str) -> str:
        if name == "accuracy":
            raise ValueError("must be a score of layers; accuracy is the whole network's")
        return name
