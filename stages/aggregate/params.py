"""The `aggregate` section of params.yaml, and what aggregate reads of other sections."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, field_validator

from ..core.scores.description import Neighbours, OfferedUse
from ..shared.workflow.params import Params, RunParams, read_run, read_section


class AskedMeasures(Params):
    """The part of the `measure` section that says which tables a cell has, and of what.

    Attributes:
        analyses: of the last checkpoint; measure checks their names.
        neighbours: which images can be an image's neighbours.
    """

    model_config = ConfigDict(extra="ignore")

    analyses: list[str]
    neighbours: Neighbours = "all"


class AggregateParams(Params):
    """How the results are summed up.

    Attributes:
        main_metric: the score of the findings, of metrics.json and of the figures with one score (steps and overview);
            it also leads its own use. It must be measured at the last checkpoint, and cannot be `accuracy`, which has
            no layers.
        use: the purpose of the features: the verdict, `whichlayer recommend`, `features` and `cut` use only the layer
            for it; null: the layer for each use.
        images: whether the page shows images; set false for images that must stay private.
        worthwhile_gain: gain over the last layer up to which choosing does not pay, in units of each score.
        accuracy_margin: how far below the best accuracy a network still counts as accurate (finding i,
            docs/uncertainty.md#the-findings).
    """

    main_metric: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    use: OfferedUse | None = None
    images: bool = True
    worthwhile_gain: Annotated[float, Field(ge=0)] = 0.02
    accuracy_margin: Annotated[float, Field(ge=0, le=1)]

    @field_validator("main_metric")
    @classmethod
    def _of_layers(cls, name: str) -> str:
        if name == "accuracy":
            raise ValueError("must be a layer score; accuracy is the whole network's")
        return name


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes:
        grid: which cells.
        measured: which tables each has, and of what, in the section of the measure stage.
        params: how the cells are summed up.
    """

    grid: RunParams
    measured: AskedMeasures
    params: AggregateParams


def read_asked(path: Path) -> Asked:
    """Read what was asked for from params.yaml.

    Raises:
        UserError: a value is unknown, missing or impossible.
    """
    params = read_section(path, "aggregate", AggregateParams)
    measured = read_section(path, "measure", AskedMeasures)
    return Asked(read_run(path), measured, params)
