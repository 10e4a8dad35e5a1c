"""The `measure` section of params.yaml."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..core.representations.candidates import JOINS, RECIPES, Join, Recipe
from ..core.scores.catalogue import PROBE
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.runtime.errors import UserError, listed
from ..shared.workflow.models import ALL, Params
from .analyses.registry import ANALYSES
from .score_params import RefitsParams as RefitsParams
from .score_params import ScoreName, ScoreParams, Steps, one_of
from .score_params import SearchParams as SearchParams
from .score_params import check_ranking as check_ranking

AnalysisName = Annotated[str, one_of(ANALYSES, "unknown analysis {!r}")]


class ExtraParams(Params):
    """Further scores, at some checkpoints only.

    Attributes:
        metrics: scores by name, none of them in `measure.metrics`; `[]`: none.
        steps: checkpoints at which they are computed: `ends` (first and last), `all`, or a list of steps.
    """

    metrics: list[ScoreName]
    steps: Steps


class RepresentationsParams(Params):
    """The candidates of the analysis `representations`.

    Attributes:
        joins: which layers stand side by side for the analysis `representations`. Single layers that are only
            L2-normalized always compete.
        recipes: what is done with their rows (docs/use.md#a-representation). `whitened`, `within` and
            `whitened_within` need 8 classes.
    """

    joins: list[Join] = Field(min_length=1, default_factory=lambda: [*JOINS])
    recipes: list[Recipe] = Field(min_length=1, default_factory=lambda: [*RECIPES])


class MeasureParams(ScoreParams):
    """What to measure, and how.

    Attributes:
        metrics: scores by name, computed at every checkpoint (docs/scores.md).
        extra: further scores, at some checkpoints only.
        analyses: analyses of the last checkpoint, by name (docs/scores.md#analyses); `[]`: none. Of a fine-tuned
            network `representations` needs the test images (`embed.splits`).
        normalize: `l2` L2-normalizes every embedding for scores that use distances (docs/scores.md#uses); `none`
            takes unnormalized embeddings. Other scores always take unnormalized embeddings.
        kmeans: the clustering behind `nmi` and similar scores.
        knn_k: number of neighbours of `knn_purity`: size of the largest class of the `split` itself, or of the unseen
            split for both (`paper`).
        neighbours: which images can be an image's neighbours: `all` others, or only those of `other_groups`, so that
            similarity within a writer, patient or video does not count (docs/scores.md#groups).
        max_images: largest number of images of a split that are scored; of more, so many are drawn class by class, at
            least `measure.probe.folds` of each, the same for all layers, networks and seeds.
        probe: the classifier behind `probe_accuracy`, which is fitted at its own steps only.
        refits: scores of the unseen split that are fitted again, for their intervals.
        representations: the candidates of the analysis `representations`.
    """

    extra: ExtraParams
    analyses: Annotated[list[AnalysisName], Field(json_schema_extra={"items": {"enum": list(ANALYSES)}})]
    knn_k: Literal["split", "paper"]
    representations: RepresentationsParams = RepresentationsParams()

    @property
    def all_metrics(self) -> list[str]:
        """Names of all scores, those of every checkpoint first."""
        return [*self.metrics, *self.extra.metrics]

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        lists = {"metrics": self.metrics, "extra.metrics": self.extra.metrics, "analyses": self.analyses}
        lists["refits.metrics"] = self.refits.metrics
        lists |= {f"representations.{name}": names for name, names in self.representations}
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
            f"{listed(short)}; add images, remove such classes (of a dataset by `min_images`), change its limits or "
            f"`test_fraction`, lower the folds, or remove {PROBE} from measure.metrics and "
            "measure.extra.metrics"
        )
