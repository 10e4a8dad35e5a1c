"""recommendation.json: which layer and checkpoint to take from each network, and what is known of that choice.

Its models are the file's schema; docs/columns.md has their docstrings.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from stages.aggregate.metric_info import Scope
from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.result_files import check_result
from stages.shared.files.digests import mend
from stages.shared.runtime.errors import UserError


class Record(BaseModel):
    """Base of what the file holds: frozen, no further keys, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LayerRecord(Record):
    """A layer of one checkpoint; `null` stands for what is not known.

    Attributes:
        layer: its name, as in layers.csv and the embedding store.
        depth: counts from 0 at the input side.
        pooling: of its embedding.
        step: the checkpoint.
        value: main score of unseen classes, mean over seeds and folds.
        parameters, operations: up to the layer; operations are multiply-adds for one image. `null` where not known,
            as of embeddings from files.
        parameters_share, operations_share: of those up to the last layer.
    """

    layer: str
    depth: int
    pooling: str
    step: int
    value: float
    parameters: int | None
    parameters_share: float | None
    operations: int | None
    operations_share: float | None


class CheckpointRecord(Record):
    """What one checkpoint is good for.

    Attributes:
        step: optimizer steps.
        layer, depth, value: its best layer for unseen classes, and the main score there.
        accuracy: of the network's own head on test images of seen classes; `null` where it has no trained one.
        probe_accuracy, probe_layer: of a linear probe on the same images, at the best layer for that; `null` where
            not measured.
    """

    step: int
    layer: str
    depth: int
    value: float
    accuracy: float | None
    probe_accuracy: float | None
    probe_layer: str | None


class FineTuningRecord(Record):
    """What fine-tuning does to the main score of unseen classes: the best later checkpoint against step 0.

    Attributes:
        step: the later checkpoint.
        change: of the best layer's score, turned so that positive is better.
        low, high: two-sided interval; its level of 95 % is proven only for the scores and scopes that
            docs/uncertainty.md#validation lists.
        scope: `classes` or `images`, as in summary.csv.
        status: whether the interval lies above 0, below it, or holds it.
    """

    step: int
    change: float
    low: float
    high: float
    scope: Scope
    status: Literal["raised", "lowered", "not distinguishable"]


class BestNetworkRecord(Record):
    """How a network compares with the dataset's best one, each by its recommended layer.

    Attributes:
        model: the best one.
        difference: by how much its score is better.
        at_least: one-sided bound of it, after Bonferroni over ordered pairs of the dataset's networks; its level of
            95 % is proven only for the scores and scopes that docs/uncertainty.md#validation lists.
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
    """Mean regret of one criterion over folds, as in regret.csv: against the best layer, and layer and checkpoint."""

    criterion: str
    layers: float
    layers_and_checkpoints: float

    @property
    def words(self) -> str:
        """The criterion's name in tables."""
        return CRITERIA[self.criterion].words


class Recommendation(Record):
    """What is recommended for one network on one dataset.

    Attributes:
        dataset, model: the network.
        metric, better: the main score, and whether `higher` or `lower` is better.
        n_folds: how many folds of unseen classes it rests on.
        candidate_steps: the checkpoints from which one was chosen: those at which the score was fitted again on halves
            (`measure.refits.steps`), else all.
        last_depth: depth of the last layer.
        recommended: the best mean over folds and seeds among all layers at these checkpoints; `null` where no layer is
            of use.
        reason: why nothing is recommended (no layer's mean beats raw pixels, or chance); `null` where something is.
        caveat: what makes it doubtful: that a layer beats raw pixels is not shown by the one-sided bound, whose level
            of 95 % is proven only for the scores and scopes that docs/uncertainty.md#validation lists; or `null`.
        shortlist: layers of that checkpoint that are not distinguishable from the best, the shallowest first, the
            recommended one among them; empty where that is not known.
        shortlist_scope: about other `classes` (three folds or more) or other `images` of these; `null` where not known.
        pixels: score of raw pixels; `null` where not measured.
        checkpoints: each of the candidate steps.
        fine_tuning: `null` of a network without step 0 or a later one, or where no interval is known.
        regret: mean regret of every `criterion` over folds, as in regret.csv: against the best layer at the last step
            (`layers`), and against the best layer and checkpoint (`layers_and_checkpoints`).
        notes: what is missing, a sentence each.
        n_classes, n_images: unseen classes of one fold, and their images in all folds.
        behind: comparison with the dataset's best network; None of that one itself, and where not known.
    """

    dataset: str
    model: str
    metric: str
    better: Literal["higher", "lower"]
    n_folds: int
    candidate_steps: list[int]
    last_depth: int
    recommended: LayerRecord | None
    reason: str | None
    caveat: str | None
    shortlist: list[LayerRecord]
    shortlist_scope: Scope | None
    pixels: float | None
    checkpoints: list[CheckpointRecord]
    fine_tuning: FineTuningRecord | None
    regret: list[RegretRecord]
    notes: list[str]
    n_classes: int | None = None
    n_images: int | None = None
    behind: BestNetworkRecord | None = None

    @property
    def shallowest(self) -> LayerRecord | None:
        """The shallowest layer of the shortlist."""
        return self.shortlist[0] if self.shortlist else None


RECORDS = TypeAdapter(list[Recommendation])


def write_recommendations(path: Path, recommendations: Sequence[Recommendation]) -> None:
    """Write recommendation.json: strict JSON, the same bytes for the same recommendations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(RECORDS.dump_json(list(recommendations), indent=2) + b"\n")


def read_recommendations(path: Path) -> list[Recommendation]:
    """Read recommendation.json.

    Raises:
        UserError: there is none, it is damaged, or it is of another version.
    """
    what = f"{path}: must be a list of recommendations"
    try:
        return RECORDS.validate_json(check_result(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what}, found it damaged or written by another version ({place or 'the file'}: {first['msg']}); "
            f"{mend('aggregate')}"
        ) from None
