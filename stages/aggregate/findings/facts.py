"""The findings on one dataset: numbers and statuses, of which `words` makes sentences."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from stages.aggregate.findings.accuracy_rule import AccuracyFinding, NetworkPair
from stages.aggregate.findings.status import Claim, Reason, Status, change_status, lead_status
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow


@dataclass(frozen=True)
class DepthFinding:
    """Finding (ii): whether an earlier layer of one network separates unseen classes better than the last.

    Attributes:
        network: its name.
        leads: of the best earlier layer over the last, in each scope in which it has bounds of a proven level, the
            wider one first.
        in_scope: whether some layer is shown to beat chance and raw pixels; True where no bound is known. A network
            that does not has learnt nothing that depth could be asked about.
    """

    network: str
    leads: dict[Scope, Lead]
    in_scope: bool

    @property
    def statuses(self) -> dict[Scope, Status]:
        """What holds in each of these scopes."""
        return {
            scope: lead_status(lead) if self.in_scope else Status.OUT_OF_SCOPE for scope, lead in self.leads.items()
        }


@dataclass(frozen=True)
class FineTuningFinding:
    """Finding (iii): what fine-tuning did to g of one network; it need not help.

    Attributes:
        network: its name.
        changes: g at the last step less g at step 0, turned so that a positive difference is better, in each scope in
            which it has an interval of a proven level, the wider one first.
        accuracy: that of chance, which a head that was not trained has, and at the last step; None where not measured.
    """

    network: str
    changes: dict[Scope, Estimate]
    accuracy: tuple[float, float] | None = None

    @property
    def statuses(self) -> dict[Scope, Status]:
        """What holds in each of these scopes."""
        return {scope: change_status(change) for scope, change in self.changes.items()}


@dataclass(frozen=True)
class Correlation:
    """Rank correlation of accuracy and g over some networks; it is described and no evidence."""

    value: float
    n_networks: int


@dataclass(frozen=True)
class Course:
    """A network's accuracy or g over training: its first and last known value, and the steps these are from."""

    first_step: int
    first: float
    last_step: int
    last: float


@dataclass(frozen=True)
class TrainingCourse:
    """A network over training.

    Attributes:
        network: its name.
        steps: the first and the last.
        accuracy, g: their courses; None where no value is known.
    """

    network: str
    steps: tuple[int, int]
    accuracy: Course | None
    g: Course | None


@dataclass(frozen=True)
class Outcome:
    """What holds of a claim.

    Attributes:
        network: that it is about; None: all of the dataset.
        scope: other `classes`, or other `images` of these classes; None where it cannot be judged.
        status: what holds.
        reason: why it cannot be judged, else None.
        n_networks, detectable: of `NO_COUNTER_EXAMPLE`: how many networks are accurate, and what would have been seen.
        counter_example: the one with the largest difference in g.
    """

    network: str | None
    scope: Scope | None
    status: Status
    reason: Reason | None = None
    n_networks: int | None = None
    detectable: float | None = None
    counter_example: NetworkPair | None = None


@dataclass(frozen=True)
class DatasetFindings:
    """The findings on one dataset.

    Attributes:
        rows: main rows of summary.csv, in the order of the grid.
        accuracy: whether accuracy implies generalization.
        depth: whether an earlier layer beats the last, one for each row.
        fine_tuning: what fine-tuning did, of networks that have a checkpoint of step 0 and a later one.
        correlations: over all networks that have a head, and over the accurate ones where these are fewer.
        training: of networks that were measured at several steps.
    """

    rows: list[SummaryRow]
    accuracy: AccuracyFinding
    depth: list[DepthFinding]
    fine_tuning: list[FineTuningFinding]
    correlations: list[Correlation]
    training: list[TrainingCourse]

    @property
    def dataset(self) -> str:
        """Its name."""
        return self.rows[0].dataset

    @property
    def out_of_scope(self) -> dict[str, Reason]:
        """The networks that findings (i) or (ii) leave out, and why; none where no other would be left."""
        networks = dict(self.accuracy.deciding[1].out_of_scope) if self.accuracy.deciding else {}
        networks |= {each.network: Reason.NO_LAYER_BEATS_PIXELS for each in self.depth if not each.in_scope}
        return networks if len(networks) < len(self.rows) else {}

    def without(self, networks: Collection[str]) -> "DatasetFindings":
        """The same without some networks, but for what says how they compare in accuracy."""
        return replace(
            self,
            rows=[row for row in self.rows if row.model not in networks],
            depth=[each for each in self.depth if each.network not in networks],
            fine_tuning=[each for each in self.fine_tuning if each.network not in networks],
            training=[each for each in self.training if each.network not in networks],
        )

    def outcomes(self, claim: Claim) -> list[Outcome]:
        """What holds of a claim: of the dataset, or of each network in every scope that is known."""
        if claim is Claim.ACCURACY:
            return [self._accuracy_outcome()]
        if claim is Claim.FINE_TUNING and not self.fine_tuning:
            return [Outcome(None, None, Status.UNKNOWN, Reason.NO_STEPS)]
        one_layer = claim is Claim.DEPTH and all(row.last_depth == 0 for row in self.rows)
        outcomes: list[Outcome] = []
        for finding in self.depth if claim is Claim.DEPTH else self.fine_tuning:
            known = [Outcome(finding.network, scope, status) for scope, status in finding.statuses.items()]
            reason = Reason.ONE_LAYER if one_layer else Reason.NO_INTERVAL
            outcomes += known or [Outcome(finding.network, None, Status.UNKNOWN, reason)]
        return outcomes

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
