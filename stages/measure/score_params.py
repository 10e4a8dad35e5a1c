"""The part of the `measure` section that says how scores of layers are computed: that of `whichlayer.score`, too."""

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, SCORES, is_clustered
from ..core.scores.description import Neighbours, Normalize
from ..shared.runtime.errors import UserError, check_known, did_you_mean
from ..shared.workflow.models import Params


def one_of(names: Collection[str], problem: str) -> AfterValidator:
    """Take one of some names; `problem` says of another one, `{!r}`, what is wrong."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"{problem.format(name)}: {did_you_mean(name, names)}")
        return name

    return AfterValidator(check)


def _even(count: int) -> int:
    if count % 2:
        raise ValueError(f"must be even, since halves come in pairs, found {count}")
    return count


REFITTED = [name for name, score in LAYER_SCORES.items() if score.refit]
ScoreName = Annotated[str, one_of([*LAYER_SCORES, *HEAD_SCORES], "unknown score {!r}")]
RefittedName = Annotated[str, one_of(REFITTED, "{!r} is no score that can be refitted")]
Steps = Literal["ends", "all"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class SearchParams(Params):
    """How hard k-means looks for the clustering of least inertia.

    Attributes:
        starts: number of k-means++ starts in the leading columns of the rotated embedding.
        polished: number of the best distinct partitions that continue in all columns, at most `starts`.
    """

    starts: Annotated[int, Field(ge=1, le=10_000)]
    polished: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _no_more_than_starts(self) -> Self:
        if self.polished > self.starts:
            raise ValueError(f"polished must be at most starts ({self.starts}), found {self.polished}; lower polished")
        return self


class KMeansParams(SearchParams):
    """K-means clustering.

    Attributes:
        seed: root seed of the starts. A single start runs on the unrotated embedding, with this random state:
            `{starts: 1, polished: 1, seed: 42}` is the paper's clustering.
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)]


class RefitsParams(SearchParams):
    """Scores of the unseen split fitted again without each class and on halves of the images.

    Without a class, k-means searches as `measure.kmeans` says.

    Attributes:
        starts, polished: the same for k-means on halves. Cluster scores are refitted only if `measure.kmeans.starts` is
            at least as large.
        metrics: scores by name; each is refitted only at steps at which it is measured, too (docs/scores.md#refits).
        steps: checkpoints at which scores are refitted: `ends` (first and last), `all`, or a list of steps.
        halves: number of halves, in complementary pairs; 0: none, and no intervals over images.
    """

    metrics: list[RefittedName]
    steps: Steps
    halves: Annotated[int, Field(ge=0, le=1000), AfterValidator(_even)]


class ProbeParams(Params):
    """The linear probe.

    Attributes:
        C: inverse strength of the L2 penalty, as in scikit-learn.
        folds: number of cross-validation folds.
        steps: checkpoints at which the probe is fitted: `ends` (first and last), `all`, or a list of steps. If
            `probe_accuracy` is in `measure.extra.metrics`, only those that are also in `measure.extra.steps`.
    """

    C: Annotated[float, Field(ge=1e-8, le=1e8)]
    folds: Annotated[int, Field(ge=2)]
    steps: Steps


class ScoreParams(Params):
    """Which scores of layers are computed, and how: `MeasureParams` has the attributes."""

    metrics: Annotated[list[ScoreName], Field(min_length=1)]
    normalize: Normalize
    kmeans: KMeansParams
    neighbours: Neighbours = "all"
    max_images: Annotated[int, Field(ge=10)] = 10_000
    probe: ProbeParams
    refits: RefitsParams

    @property
    def refits_clusters(self) -> bool:
        """Whether scores from clusters are refitted: k-means searches as hard on all images as it does on halves."""
        return self.kmeans.starts >= self.refits.starts

    @property
    def all_metrics(self) -> list[str]:
        """Names of all scores, those of every checkpoint first."""
        return self.metrics


def notes_on_refits(params: ScoreParams, lacking: Sequence[str]) -> list[str]:
    """List what `measure.refits` asks for and is not fitted again, with what parts of the images there are not."""
    asked = [name for name in params.refits.metrics if name in params.all_metrics]
    clustered = [name for name in asked if is_clustered(name)]
    starts, wanted = params.kmeans.starts, params.refits.starts
    few = (
        f"measure.refits leaves out {', '.join(clustered)}: measure.kmeans has {starts} starts, fewer than the "
        f"{wanted} of measure.refits, and so few say little about an interval"
    )
    return [*([few] if clustered and not params.refits_clusters else []), *lacking] if asked else []


def check_ranking(wanted: str, measure: ScoreParams, where: str = "aggregate.main_metric") -> None:
    """Check that the main score, which `where` names, is among the scores that are measured, and ranks layers.

    Raises:
        UserError: it is not; the nearest that are.
    """
    check_known(wanted, measure.all_metrics, f"{where}: {wanted!r} must be in measure.metrics or measure.extra.metrics")
    if SCORES[wanted].better == "neither":
        raise UserError(f"{where}: must be a score by which a layer is better, found {wanted!r}; try nmi")
