"""Every fact that aggregate found of a study, of which `words` and commands make sentences: facts.json.

A recommendation is which layer and checkpoint to take from a network for one use, and how sure that choice is.
docs/columns.md has the docstrings of its records: recommendation.json is written from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from math import inf, isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from ..core.inference.gain import Gain
from ..core.inference.layer_comparison import Level
from ..core.inference.scopes import MIN_CLASSES
from ..core.representations.candidates import Join, Recipe
from ..core.scores.description import USES, Better, Neighbours, Normalize, Scope, Use, sign_of
from ..shared.runtime.errors import UserError
from .findings.outcomes import DatasetFindings, Power, Status
from .names import Parts


class Record(BaseModel):
    """Base of what the file holds: frozen, no further keys, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        """Leave out a number that is not known, as where halves of the images vary by rounding errors alone."""
        return None if isinstance(value, float) and not isfinite(value) else value


class LayerRecord(Record):
    """A layer of one checkpoint; `null` stands for what is not known.

    Attributes:
        layer: its name, as in layers.csv and the embedding store.
        depth: counts from 0 at the input side.
        pooling: pooling of its embedding.
        step: the checkpoint.
        value: leading score of unseen classes, mean over seeds and folds.
        loss_at_most: upper bound on its loss against the best layer and checkpoint, which holds for all layers at once;
            its level of 95% is proven only for the scores and scopes that docs/uncertainty.md#validation lists. `null`
            if there is no bound.
        parameters, operations: parameters of the network, and multiply-adds per image, up to the layer. `null` if
            unknown, as for embeddings from files.
        parameters_share, operations_share: the same as shares of those up to the last layer.
    """

    layer: str
    depth: int
    pooling: str
    step: int
    value: float
    loss_at_most: float | None = None
    parameters: int | None
    parameters_share: float | None
    operations: int | None
    operations_share: float | None


class ChangeRecord(Record):
    """What fine-tuning does to a layer's leading score of unseen classes, from pre-trained to a later checkpoint.

    Attributes:
        change: change of the score, signed so that positive is better.
        low, high: two-sided interval; its level of 95% is proven only for the scores and scopes that
            docs/uncertainty.md#validation lists.
        scope: `classes` or `images`, as in summary.csv.
        status: whether the interval lies above 0, below 0, or includes 0.
    """

    change: float
    low: float
    high: float
    scope: Scope
    status: Status


class FineTuningRecord(ChangeRecord):
    """What fine-tuning does to the best layer's score: of the best later checkpoint and pre-trained, each at its own.

    Attributes:
        step: the later checkpoint.
        last: the same for the last layer, at the same checkpoints; `null` if there is none.
    """

    step: int
    last: ChangeRecord | None = None


class BestNetworkRecord(Record):
    """How a network compares with the dataset's best one, each by its recommended layer.

    Attributes:
        model: the best network.
        difference: difference of the two scores, positive if that network is better.
        at_least: lower bound on the difference, with Bonferroni's correction over ordered pairs of the dataset's
            networks; its level of 95% is proven only for the scores and scopes that docs/uncertainty.md#validation
            lists.
        scope: `classes` or `images`, as in summary.csv.
    """

    model: str
    difference: float
    at_least: float
    scope: Scope

    @property
    def distinguishable(self) -> bool:
        """Whether the best network is shown to be better."""
        return self.at_least > 0


class RegretRecord(Record):
    """What one way of choosing gives on classes that it did not know, mean over folds, as in regret.csv.

    Attributes:
        criterion: the rule that chooses the layer; `other_folds` also chooses the checkpoint.
        value: score of the choice.
        at_most: regret with the best layer and checkpoint chosen on the images that score them; too large on average.
        at_least: regret with the best chosen on one half of the images and scored on the other; mostly too small;
            `null` without refits on halves.
        error: standard error over folds of the mean of both (of `at_most` if `at_least` is null); `null` for a single
            fold.
    """

    criterion: str
    value: float
    at_most: float
    at_least: float | None
    error: float | None = None


class UntrainedRecord(Record):
    """What the pre-trained network would give, before fine-tuning.

    Attributes:
        layer: its best layer; the last layer if choosing does not pay.
        gain_over_last: gain of choosing among its layers over its own last layer.
    """

    layer: LayerRecord
    gain_over_last: Gain


class ScopeRecord(Record):
    """How sure the best candidate's score is in one scope; `null` where not known.

    Attributes:
        value, low, high: its score, corrected for the choice among all layers and checkpoints, and its interval.
        lead, lead_at_least, lead_at_most: gain of the best earlier layer over the last at that checkpoint, corrected
            for choosing the layer, and one-sided bounds. They do not account for the choice of checkpoint.
    """

    value: float | None
    low: float | None
    high: float | None
    lead: float | None
    lead_at_least: float | None
    lead_at_most: float | None


class CandidateRecord(LayerRecord):
    """The best candidate, whether or not it is recommended, and what else is known of its network at that checkpoint.

    Attributes:
        last_value: score of the last layer.
        accuracy: accuracy of the network's own head on test images of seen classes; `null` without a trained head.
        classes, images: its intervals and bounds over classes and over images; `null` if there are none.
    """

    last_value: float | None
    accuracy: float | None
    classes: ScopeRecord | None
    images: ScopeRecord | None

    @property
    def scope(self) -> Scope | None:
        """The wider scope in which its score has an interval."""
        known: dict[Scope, ScopeRecord | None] = {"classes": self.classes, "images": self.images}
        return next((scope for scope, record in known.items() if record and record.low is not None), None)

    @property
    def estimate(self) -> tuple[float | None, float | None, float | None]:
        """Its score and the ends of its interval in that scope; else the plain mean without ends."""
        record: ScopeRecord | None = getattr(self, self.scope) if self.scope else None
        return (record.value, record.low, record.high) if record else (self.value, None, None)


class Baseline(Record):
    """What a layer must beat to be of use, and its score."""

    name: Level
    value: float


class Missing(StrEnum):
    """What a recommendation lacks."""

    HALVES = auto()
    GROUPS = auto()


class Recommendation(Record):
    """What is recommended for one use of one network on one dataset.

    Attributes:
        dataset, model: the network.
        use: purpose of the features: `classifier`, `retrieval`, `discovery` or `detection`; `geometry`, which no
            command takes, if such a score is `aggregate.main_metric`.
        metric, better: the score that leads this use, and whether `higher` or `lower` is better.
        chosen_by: the score that chose the layer if that is not `metric`: `map_at_r` for discovery with fewer than ten
            classes, or fewer than ten images in some class.
        n_folds, n_seeds: numbers of folds and seeds behind it.
        parts: `sets` if the folds are sets of the classes of a frozen network.
        n_classes, n_images: unseen classes of one fold, and their images in all folds.
        candidate_steps: the checkpoints to choose from: those with refits (`measure.refits.steps`), else all.
        last_step, last_depth: the last step, and the depth of the last layer.
        best: the layer and checkpoint to take: the best mean over folds and seeds among all layers at these
            checkpoints; where choosing does not pay, the last layer of the last one.
        last_score: score of the last layer of the last checkpoint, which `gain_over_last` is over.
        gain_over_last, gain_over_before: what choosing gains over the last layer of the last checkpoint, and over the
            second-to-last layer.
        untrained: `null` of a network that was not fine-tuned, or whose pre-trained weights are no candidate.
        unbeaten: why nothing is recommended: the baseline that no layer's mean beats; `null` where something is.
        doubtful: which of `chance` and `raw_pixels` no layer is shown to beat, by one-sided bounds; their level of 95%
            is proven only for the scores and scopes that docs/uncertainty.md#validation lists. `null`: no bound is
            known.
        shortlist: layers of that checkpoint that are not distinguishable from the best, the shallowest first, the
            recommended one among them; empty where that is not known.
        shortlist_scope: about other `classes` (three folds or more) or other `images` of these; `null` where not known.
        pixels, chance: scores of raw pixels and of chance; `null` where not measured.
        fine_tuning: `null` without the pre-trained or a later checkpoint, or where no interval is known.
        regret: what every way of choosing gives on classes that it did not know.
        behind: comparison with the dataset's best network; `null` of that one itself, and where not known.
        normalize: how the rows are scaled of which the leading score is: `l2` (L2-normalized) or `none`.
        neighbours: which images can be an image's neighbours (`measure.neighbours`).
        missing: missing parts of the record.
    """

    dataset: str
    model: str
    use: Use
    metric: str
    chosen_by: str | None = None
    better: Better
    n_folds: int
    n_seeds: int
    parts: Parts = "folds"
    n_classes: int
    n_images: int
    candidate_steps: list[int]
    last_step: int
    last_depth: int
    best: CandidateRecord
    last_score: float | None = None
    gain_over_last: Gain = Gain()
    gain_over_before: Gain = Gain()
    untrained: UntrainedRecord | None = None
    unbeaten: Baseline | None
    doubtful: list[Level] | None
    shortlist: list[LayerRecord]
    shortlist_scope: Scope | None
    pixels: float | None
    chance: float | None
    fine_tuning: FineTuningRecord | None
    regret: list[RegretRecord]
    behind: BestNetworkRecord | None = None
    normalize: Normalize = "none"
    neighbours: Neighbours = "all"
    missing: list[Missing]

    @property
    def recommended(self) -> CandidateRecord | None:
        """The layer and checkpoint to take; None where no layer is of use."""
        return self.best if self.unbeaten is None else None

    @property
    def use_name(self) -> str:
        """The use in words."""
        return USES[self.use].words or self.use

    @property
    def has_few_classes(self) -> bool:
        """Whether it promises nothing for other classes: there are too few, and no interval over classes."""
        return self.n_folds * self.n_classes < MIN_CLASSES and self.best.scope != "classes"

    @property
    def gain(self) -> float:
        """The best candidate's score, turned so that higher is better."""
        return sign_of(self.better) * self.best.value

    @property
    def ties(self) -> list[LayerRecord]:
        """The other layers that tie with the recommended one, the shallowest first."""
        return [layer for layer in self.shortlist if layer.depth != self.best.depth]

    @property
    def cheapest_tie(self) -> LayerRecord | None:
        """The shallowest layer before the recommended one that may lose no more than that one; None where none does."""
        own = -inf if self.best.loss_at_most is None else self.best.loss_at_most
        known = ((tie, tie.loss_at_most) for tie in self.ties if tie.depth < self.best.depth)
        return next((tie for tie, loss in known if loss is not None and loss <= own), None)


def best_network(networks: Sequence[Recommendation]) -> Recommendation | None:
    """The network of the best recommended layer for one use, the first of equal ones; None where none is of use."""
    return max((each for each in networks if each.recommended is not None), key=lambda each: each.gain, default=None)


def told_of(networks: Sequence[Recommendation]) -> Recommendation:
    """The network of which an answer tells first, of those of one dataset for one use: the best one."""
    return best_network(networks) or max(networks, key=lambda each: each.gain)


class RepresentationRecord(Record):
    """Which layer or join of layers, with which recipe for its rows, to take from a network for a use.

    Attributes:
        dataset, model, layers, join, recipe: as in representations.csv, of the best mean over all classes.
        use, metric: what for, and the score that chose.
        value, layer_value: score, mean over classes, of what was chosen on other sets or folds, and of single layers.
        last_layer, last_value, gain_over_last: deepest layer of the last checkpoint, its score, and the gain over it.
        n_classes, n_sets, n_candidates: unseen classes, their sets or folds, and what was chosen among.
        step, of_steps: checkpoint of a fine-tuned network; `value` among only the pre-trained one, and only the last.
    """

    dataset: str
    model: str
    layers: list[str]
    join: Join
    recipe: Recipe
    value: float
    layer_value: float
    last_layer: str
    last_value: float
    gain_over_last: Gain
    n_classes: int
    n_sets: int
    n_candidates: int
    step: int | None = None
    of_steps: tuple[float, float] | None = None
    use: Use = "retrieval"
    metric: str = "map_at_r"


@dataclass(frozen=True)
class Facts:
    """What a study says.

    Attributes:
        recommendations: the layer and checkpoint to take of each network for each use, in the order of the grid.
        findings: the claims, judged on each dataset.
        use: the one that is asked about (`aggregate.use`); None: all.
        cell: fold and seed of the networks to take features from: fold `all` where it is in the grid.
        power: what a study of this design shows by the main score, of every network of which it is known.
        unit_rows: the scores that are of L2-normalized embeddings; others are of unnormalized ones.
        representations: what to take from networks if `representations` is among `measure.analyses`.
        claims: whether the paper's claims are told, as of a study.
        notice, no_joins: a sentence that all outputs have; whether joins were asked for and could not be compared.
        format: of the file; another number wherever a field, or what it may hold, changes.
    """

    recommendations: Sequence[Recommendation]
    findings: Sequence[DatasetFindings]
    use: Use | None = None
    cell: str = "0/0"
    power: list[Power] = field(default_factory=list)
    unit_rows: list[str] = field(default_factory=list)
    representations: list[RepresentationRecord] = field(default_factory=list)
    notice: str = ""
    no_joins: bool = False
    claims: bool = True
    format: Literal["whichlayer.facts/9"] = "whichlayer.facts/9"

    @property
    def parts(self) -> Parts:
        """What its folds are."""
        return self.recommendations[0].parts if self.recommendations else "folds"

    def of_use(self, use: str | None = None) -> list[Recommendation]:
        """Return the recommendations for one use, by default that of the study, else for all.

        Raises:
            UserError: no score measures this use.
        """
        wanted = use or self.use
        kept = [each for each in self.recommendations if wanted in (None, each.use)]
        if not kept:
            known = ", ".join(sorted({each.use for each in self.recommendations}))
            raise UserError(
                f"a use must be one that a score was measured for, here {known}, found {wanted!r}; "
                "docs/scores.md#uses lists each use's scores (measure.metrics, measure.analyses)"
            )
        return kept
