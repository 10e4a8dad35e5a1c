"""The `measure` section of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stages.measure.catalogue import NAMES
from stages.shared.console import nearest
from stages.shared.params import Params


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name!r} is no score: {nearest(name, NAMES)}")
    return name


class KMeansParams(Params):
    """K-means clustering.

    Attributes:
        starts: number of k-means++ starts, each fitted alone.
        seed: random state of the first start, root of the others' child seeds; `{starts: 1, seed: 42}` is the paper's.
    """

    starts: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class ProbeParams(Params):
    """The linear probe.

    Attributes:
        C: inverse strength of the L2 penalty, as in scikit-learn.
        folds: number of cross-validation folds.
        steps: where the probe is fitted: `ends` (first and last checkpoint), `all`, or a list of checkpoints' steps.
    """

    C: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    folds: Annotated[int, Field(ge=2)]
    steps: Literal["ends", "all"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class MeasureParams(Params):
    """What to measure, and how.

    Attributes:
        metrics: names of scores, from the catalogue.
        normalize: `l2` scales every embedding to length 1 before any score; `none` takes it as it is.
        kmeans: the clustering behind `nmi`.
        knn_k: number of neighbours of `knn_purity`: size of the largest class of the `split` itself, or of the unseen
            split for both (`paper`).
        probe: the classifier behind `probe_accuracy`.
    """

    metrics: Annotated[list[Annotated[str, AfterValidator(_known)]], Field(min_length=1)]
    normalize: Literal["none", "l2"]
    kmeans: KMeansParams
    knn_k: Literal["split", "paper"]
    probe: ProbeParams

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError(f"metrics must not repeat a name, found {self.metrics}")
        return self
