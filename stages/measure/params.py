"""The `measure` section of params.yaml."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, PROBE, SCORES, is_clustered
from ..core.scores.description import Neighbours, Normalize
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.runtime.errors import UserError, check_known, did_you_mean, listed
from ..shared.workflow.params import ALL, Params
from .analyses.registry import ANALYSES


def _one_of(names: Collection[str], problem: str) -> AfterValidator:
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
ScoreName = Annotated[str, _one_of([*LAYER_SCORES, *HEAD_SCORES], "unknown score {!r}")]
RefittedName = Annotated[str, _one_of(REFITTED, "{!r} is no score that can be fitted again")]
AnalysisName = Annotated[str, _one_of(ANALYSES, "unknown analysis {!r}")]
Steps = Literal["ends", "all"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class ExtraParams(Params):
    """Further scores, at some checkpoints only.

    Attributes:
        metrics: scores by name, none of them in `measure.metrics`; `[]`: none.
        steps: checkpoints at which they are computed: `ends` (first and last), `all`, or a list of steps.
    """

    metrics: list[ScoreName]
    steps: Steps


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


class MeasureParams(Params):
    """What to measure, and how.

    Attributes:
        metrics: scores by name, computed at every checkpoint (docs/scores.md).
        extra: further scores, at some checkpoints only.
        analyses: analyses of the last checkpoint, by name (docs/scores.md#analyses); `[]`: none.
        normalize: `l2` scales every embedding to length 1 for scores that use distances (docs/scores.md#uses); `none`
            takes raw rows. Other scores always take raw rows.
        kmeans: the clustering behind `nmi` and similar scores.
        knn_k: number of neighbours of `knn_purity`: size of the largest class of the `split` itself, or of the unseen
            split for both (`paper`).
        neighbours: which images can be an image's neighbours: `all` others, or only those of `other_groups`, so that
            similarity within a writer, patient or video does not count (docs/scores.md#groups).
        probe: the classifier behind `probe_accuracy`, which is fitted at its own steps only.
        refits: scores of the unseen split that are fitted again, for their intervals.
    """

    metrics: Annotated[list[ScoreName], Field(min_length=1)]
    extra: ExtraParams
    analyses: Annotated[list[AnalysisName], Field(json_schema_extra={"items": {"enum": list(ANALYSES)}})]
    normalize: Normalize
    kmeans: KMeansParams
    knn_k: Literal["split", "paper"]
    neighbours: Neighbours = "all"
    probe: ProbeParams
    refits: RefitsParams

    @property
    def refits_clusters(self) -> bool:
        """Whether scores from clusters are refitted: k-means searches as hard on all images as it does on halves."""
        return self.kmeans.starts >= self.refits.starts

    @property
    def all_metrics(self) -> list[str]:
        """Names of all scores, those of every checkpoint first."""
        return [*self.metrics, *self.extra.metrics]

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        lists = {"metrics": self.metrics, "extra.metrics": self.extra.metrics, "analyses": self.analyses}
        lists["refits.metrics"] = self.refits.metrics
        for where, names in lists.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{where} must not repeat a name, found {names}")
        both = [name for name in self.extra.metrics if name in self.metrics]
        if both:
            raise ValueError(f"extra.metrics must not repeat a name of metrics, found {both}; leave it in one of them")
        return self


def available(
    params: MeasureParams, fold: str, splits: Collection[str], *, frozen: bool, of_others: bool = False
) -> tuple[MeasureParams, list[str]]:
    """Leave out what needs classes that there are not: unseen ones in fold `all`, seen ones where all are unseen.

    Args:
        params: what is asked for.
        fold: the cell's.
        splits: those that are scored.
        frozen: whether the network is measured as it is, for which there need be no seen classes.
        of_others: whether there are images of other sets of classes, which analyses read in the place of seen ones.

    Returns:
        The parameters, and what was left out, one sentence each.
    """
    if fold != ALL and (SEEN in splits or not frozen):
        return params, []
    lacking, kind = (UNSEEN, "unseen") if fold == ALL else (SEEN, "seen")
    lost = {name for name in params.analyses if lacking in ANALYSES[name].splits}
    lost |= {name for name in params.analyses if lacking in ANALYSES[name].reads and not of_others}
    analyses = [name for name in params.analyses if name not in lost]
    without = [name for name in params.analyses if name in lost]
    without += ["measure.refits"] if fold == ALL and set(params.refits.metrics) & set(params.all_metrics) else []
    notes = [f"{', '.join(without)} left out: fold {fold} has no {kind} classes"] if without else []
    if fold == ALL and params.knn_k == "paper":
        notes.append(f"measure.knn_k: k is that of the split itself: fold {ALL} has no unseen classes")
    return params.model_copy(update={"analyses": analyses, **({"knn_k": "split"} if fold == ALL else {})}), notes


def notes_on_refits(params: MeasureParams, lacking: Sequence[str]) -> list[str]:
    """List what `measure.refits` asks for and is not fitted again, with what parts of the images there are not."""
    asked = [name for name in params.refits.metrics if name in params.all_metrics]
    clustered = [name for name in asked if is_clustered(name)]
    starts, wanted = params.kmeans.starts, params.refits.starts
    few = (
        f"measure.refits leaves out {', '.join(clustered)}: measure.kmeans has {starts} starts, fewer than the "
        f"{wanted} of measure.refits, and so few say little about an interval"
    )
    return [*([few] if clustered and not params.refits_clusters else []), *lacking] if asked else []


def chosen_steps(wanted: Steps, steps: Sequence[int]) -> tuple[int, ...]:
    """Resolve `ends`, `all` or a list to steps of checkpoints."""
    if wanted == "ends":
        return (steps[0], steps[-1])
    return tuple(steps) if wanted == "all" else tuple(wanted)


def check_steps(section: str, params: MeasureParams, steps: Sequence[int], *, frozen: bool) -> None:
    """Check that the steps of `measure.extra`, `measure.probe` or `measure.refits` are checkpoints of a network.

    Raises:
        UserError: naming those that are not.
    """
    unknown = [step for step in chosen_steps(getattr(params, section).steps, steps) if step not in steps]
    if unknown:
        giver = "a frozen network has" if frozen else "finetune.steps and finetune.keep give"
        raise UserError(
            f"measure.{section}.steps: must name checkpoints, found {', '.join(map(str, unknown))}; {giver} "
            f"{', '.join(map(str, steps))}: choose of these, or add steps there"
        )


def check_class_sizes(labels: Iterable[str], split: str, params: MeasureParams) -> None:
    """Check that a split has classes to separate, of enough images for the probe's folds.

    Args:
        labels: the class of every image.
        split: its name.
        params: the `measure` section.

    Raises:
        UserError: naming the split and the classes.
    """
    sizes = Counter(map(str, labels))
    if len(sizes) < 2:
        raise UserError(f"split {split!r} must have at least 2 classes to separate, found only {next(iter(sizes))!r}")
    folds = params.probe.folds
    short = [f"{name!r} ({sizes[name]})" for name in sorted(sizes, key=sizes.__getitem__) if sizes[name] < folds]
    if short and PROBE in params.all_metrics:
        raise UserError(
            f"every class must have an image for each of measure.probe.folds, {folds}, in the split {split!r}, found "
            f"{listed(short)}; add images, take such classes out (of a dataset by `min_images`), change its limits or "
            f"`test_fraction`, lower the folds, or take {PROBE} out of measure.metrics and "
            "measure.extra.metrics"
        )


def check_ranking(wanted: str, measure: MeasureParams, where: str = "aggregate.main_metric") -> None:
    """Check that the main score, which `where` names, is among the scores that are measured, and ranks layers.

    Raises:
        UserError: it is not; the nearest that are.
    """
    check_known(wanted, measure.all_metrics, f"{where}: {wanted!r} must be in measure.metrics or measure.extra.metrics")
    if SCORES[wanted].better == "neither":
        raise UserError(f"{where}: must be a score by which a layer is better, found {wanted!r}; try nmi")
