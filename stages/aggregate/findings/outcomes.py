"""The findings on one dataset: numbers and statuses, of which `words` makes sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from ...core.inference.contrasts import Estimate
from ...core.inference.layer_comparison import Bounds
from ...core.scores.description import Scope
from ..tables.summary_row import SummaryRow


class Claim(StrEnum):
    """What is put to the test; the paper claims the first two."""

    ACCURACY = auto()
    DEPTH = auto()
    FINE_TUNING = auto()


class Status(StrEnum):
    """What holds of a claim, in the order in which statuses are counted."""

    SHOWN = auto()
    SHOWN_HERE = auto()
    NO_COUNTER_EXAMPLE = auto()
    SUPPORTED = auto()
    CONTRADICTED = auto()
    INCONCLUSIVE = auto()
    RAISED = auto()
    LOWERED = auto()
    NOT_DISTINGUISHABLE = auto()
    OUT_OF_SCOPE = auto()
    UNKNOWN = auto()


class Reason(StrEnum):
    """Why a claim cannot be judged, or a network is out of its scope."""

    NO_HEAD = auto()
    NO_ACCURATE_NETWORK = auto()
    ONE_ACCURATE_NETWORK = auto()
    NO_INTERVAL = auto()
    ONE_LAYER = auto()
    NO_STEPS = auto()
    NOT_AT_START = auto()
    LESS_ACCURATE = auto()
    PIXELS_AS_ACCURATE = auto()
    NO_LAYER_BEATS_PIXELS = auto()


def lead_status(lead: Bounds) -> Status:
    """Return whether some layer is shown to be better than the last, or none is."""
    return Status.SUPPORTED if lead.low > 0 else Status.CONTRADICTED if lead.high <= 0 else Status.INCONCLUSIVE


def change_status(change: Estimate) -> Status:
    """Return whether the two-sided interval of a change lies above 0, below it, or holds it."""
    low, high = change.interval()
    return Status.RAISED if low > 0 else Status.LOWERED if high < 0 else Status.NOT_DISTINGUISHABLE


@dataclass(frozen=True)
class NetworkPair:
    """Two networks compared.

    Attributes:
        first, second: their names.
        accuracy: the first's less the second's.
        g: the first's less the second's, turned so that a positive difference is better.
    """

    first: str
    second: str
    accuracy: Estimate
    g: Estimate

    def reversed(self) -> "NetworkPair":
        """The same pair, the second network first."""
        return NetworkPair(self.second, self.first, self.accuracy.reversed(), self.g.reversed())


@dataclass(frozen=True)
class AccuracyResult:
    """What one scope's evidence says.

    Attributes:
        in_scope: names of the accurate networks.
        out_of_scope: the others, and why.
        counter_examples: pairs, the more accurate network first, the largest difference in g first.
        detectable: smallest difference in g that would have been seen, with `POWER`, in each ordered pair of which the
            first is shown to be at least as accurate; None of none.
        level: one-sided confidence level of each bound, after Bonferroni over ordered pairs.
    """

    in_scope: tuple[str, ...]
    out_of_scope: dict[str, Reason]
    counter_examples: tuple[NetworkPair, ...]
    detectable: float | None
    level: float


@dataclass(frozen=True)
class AccuracyFinding:
    """The finding.

    Attributes:
        status: `SHOWN` for other classes, `SHOWN_HERE`, `NO_COUNTER_EXAMPLE` or `UNKNOWN`.
        results: in each scope that is known, the wider one first: about other classes and training again (three folds
            or more), and about these classes and trained networks (scores on halves).
    """

    status: Status
    results: Mapping[Scope, AccuracyResult]

    @property
    def deciding(self) -> tuple[Scope, AccuracyResult] | None:
        """The scope that the status is about: the wider one, unless only the narrower one has a counter-example."""
        if self.status == Status.SHOWN_HERE:
            return "images", self.results["images"]
        judged = [(scope, result) for scope, result in self.results.items() if len(result.in_scope) > 1]
        return next(iter(judged or self.results.items()), None)


@dataclass(frozen=True)
class Depth:
    """Whether an earlier layer is better than the last, at one checkpoint.

    Attributes:
        step: the checkpoint.
        leads: of the best earlier layer over the last, in each scope in which its bounds have a proven level, the wider
            one first.
        in_scope: whether some layer is shown to beat chance and raw pixels; True where no bound is known. A network
            that does not has learnt nothing that depth could be asked about.
    """

    step: int
    leads: dict[Scope, Bounds]
    in_scope: bool = True

    @property
    def statuses(self) -> dict[Scope, Status]:
        """What holds in each scope; nothing out of scope, which does not depend on what evidence there is."""
        return {scope: lead_status(lead) for scope, lead in self.leads.items()} if self.in_scope else {}


@dataclass(frozen=True)
class NetworkFindings:
    """What is found of one network on one dataset.

    Attributes:
        row: its main row of summary.csv, which has its leads.
        in_scope: of its last checkpoint, as in `Depth`.
        changes: what fine-tuning did to g, which it need not raise: g at the last step less g at step 0, turned so that
            a positive difference is better, in each scope in which it has an interval of a proven level, the wider one
            first; None of a network without step 0 or a later one.
        training: its first and last g over training; None of a network that was measured at a single step.
        unmeasured: whether there is a step 0 and a later one, but the main score was not measured at step 0.
        recommended: finding (ii) at the checkpoint that is recommended by the main score; None where that is the last.
    """

    row: SummaryRow
    in_scope: bool = True
    changes: dict[Scope, Estimate] | None = None
    training: tuple[float, float] | None = None
    unmeasured: bool = False
    recommended: Depth | None = None

    @property
    def depths(self) -> list[Depth]:
        """Finding (ii) at each checkpoint at which it is judged, the last one last."""
        last = Depth(self.row.step, self.row.proven_leads, self.in_scope)
        return [last] if self.recommended is None else [self.recommended, last]

    def outcomes(self, claim: Claim) -> list["Outcome"]:
        """What holds of finding (ii), at each checkpoint, or of (iii), in every scope that is known."""
        if claim is Claim.FINE_TUNING:
            statuses = {scope: change_status(change) for scope, change in (self.changes or {}).items()}
            return self._outcomes(self.row.step, statuses, Status.UNKNOWN, Reason.NO_INTERVAL)
        outcomes = []
        for depth in self.depths:
            status, reason = Status.UNKNOWN, Reason.ONE_LAYER if self.row.last_depth == 0 else Reason.NO_INTERVAL
            if not depth.in_scope and self.row.last_depth > 0:
                status, reason = Status.OUT_OF_SCOPE, Reason.NO_LAYER_BEATS_PIXELS
            outcomes += self._outcomes(depth.step, depth.statuses, status, reason)
        return outcomes

    def _outcomes(self, step: int, statuses: Mapping[Scope, Status], status: Status, reason: Reason) -> list["Outcome"]:
        """What holds in each scope; where nothing is known in any, this status for this reason."""
        known = [Outcome(self.row.model, scope, status, step=step) for scope, status in statuses.items()]
        return known or [Outcome(self.row.model, None, status, reason, step=step)]


@dataclass(frozen=True)
class Outcome:
    """What holds of a claim.

    Attributes:
        network: that it is about; None: all of the dataset.
        scope: other `classes`, or other `images` of these classes; None where nothing is known in either.
        status: what holds.
        reason: without a scope, why it cannot be judged or is out of scope; else None.
        n_networks, detectable: of `NO_COUNTER_EXAMPLE`: how many networks are accurate, and what would have been seen.
        counter_example: the one with the largest difference in g.
        step: the checkpoint that is judged; None of what is about all networks, each at its last.
    """

    network: str | None
    scope: Scope | None
    status: Status
    reason: Reason | None = None
    n_networks: int | None = None
    detectable: float | None = None
    counter_example: NetworkPair | None = None
    step: int | None = None


@dataclass(frozen=True)
class DatasetFindings:
    """The findings on one dataset.

    Attributes:
        networks: in the order of the grid.
        accuracy: whether accuracy implies generalization.
    """

    networks: list[NetworkFindings]
    accuracy: AccuracyFinding

    @property
    def rows(self) -> list[SummaryRow]:
        """Main rows of summary.csv."""
        return [each.row for each in self.networks]

    @property
    def dataset(self) -> str:
        """Its name."""
        return self.rows[0].dataset

    @property
    def out_of_scope(self) -> dict[str, Reason]:
        """The networks that findings (i) or (ii) leave out, and why; none where no other would be left."""
        aside = dict(self.accuracy.deciding[1].out_of_scope) if self.accuracy.deciding else {}
        aside |= {each.row.model: Reason.NO_LAYER_BEATS_PIXELS for each in self.networks if not each.in_scope}
        return aside if len(aside) < len(self.networks) else {}

    def outcomes(self, claim: Claim) -> list[Outcome]:
        """What holds of a claim: of the dataset, or of each network at each checkpoint in every scope that is known."""
        if claim is Claim.ACCURACY:
            return [self._accuracy_outcome()]
        judged = [each for each in self.networks if claim is Claim.DEPTH or each.changes is not None]
        if not judged:
            unmeasured = any(each.unmeasured for each in self.networks)
            return [Outcome(None, None, Status.UNKNOWN, Reason.NOT_AT_START if unmeasured else Reason.NO_STEPS)]
        return [outcome for each in judged for outcome in each.outcomes(claim)]

    def _accuracy_outcome(self) -> Outcome:
        status, deciding = self.accuracy.status, self.accuracy.deciding
        if all(row.accuracy is None for row in self.rows):
            return Outcome(None, None, Status.UNKNOWN, Reason.NO_HEAD)
        if deciding is None:
            return Outcome(None, None, Status.UNKNOWN, Reason.NO_INTERVAL)
        scope, result = deciding
        if status is Status.UNKNOWN:
            reason = Reason.ONE_ACCURATE_NETWORK if result.in_scope else Reason.NO_ACCURATE_NETWORK
            return Outcome(None, None, status, reason)
        pair = result.counter_examples[0] if result.counter_examples else None
        return Outcome(None, scope, status, None, len(result.in_scope), result.detectable, pair)


@dataclass(frozen=True)
class Power:
    """What a study of this design shows of other classes in 80% of the cases.

    Attributes:
        dataset, model: the network.
        lead: of the best earlier layer over the last.
        difference: between the best layer and another one, in the median of the layers.
        folds, seeds, classes: number of folds, of seeds, or of unseen classes in a fold -> the lead, the rest of the
            design as it is; empty where that is not known: what training adds, of a study of one seed, and what folds
            add, of a network that is measured as it is. Of one seed all that varies is laid to the classes, so that
            the number of classes is a least one.
    """

    dataset: str
    model: str
    lead: float
    difference: float
    folds: dict[int, float]
    seeds: dict[int, float]
    classes: dict[int, float]
