"""Finding (i), "high accuracy on seen classes does not imply generalization": the rule.

The claim denies an implication, so one counter-example shows it, and pairs of networks that agree show nothing. A
counter-example is a pair of accurate networks of which the first is at least as accurate as the second and has a worse
g. The claim is therefore never "not supported": without a counter-example it is said what would have been seen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stages.aggregate.findings.status import Reason, Status
from stages.aggregate.inference.contrasts import LEVEL, Estimate
from stages.aggregate.inference.power import POWER
from stages.aggregate.scope import Scope

TOLERANCE = 0.01
"""Accuracy that the first network of a counter-example may lack."""


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
        comparable: number of ordered pairs of which the first is shown to be at least as accurate.
        detectable: smallest difference in g that would have been seen, with `POWER`, in each of these; None of none.
        level: one-sided confidence level of each bound, after Bonferroni over ordered pairs.
    """

    in_scope: tuple[str, ...]
    out_of_scope: dict[str, Reason]
    counter_examples: tuple[NetworkPair, ...]
    comparable: int
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


def why_out_of_scope(to_best: Estimate | None, over_pixels: Estimate | None, *, margin: float) -> Reason | None:
    """Return why a network does not count as accurate; None where it does.

    Args:
        to_best: its accuracy less that of the most accurate network; None of that one itself.
        over_pixels: its accuracy less that of a linear probe on raw pixels; None where that was not measured, and then
            not asked for.
        margin: accuracy below the best network's up to which a network counts as accurate.
    """
    if to_best is not None and to_best.lower() < -margin:
        return Reason.LESS_ACCURATE
    if over_pixels is not None and over_pixels.lower() <= 0:
        return Reason.PIXELS_AS_ACCURATE
    return None


def judge_scope(reasons: Mapping[str, Reason | None], pairs: Iterable[NetworkPair]) -> AccuracyResult:
    """Compare the accurate networks in one scope: other classes and training, or these classes and trained networks.

    Args:
        reasons: of all networks, why they are out of scope; at least one.
        pairs: of any two of them, in either order.
    """
    inside = tuple(name for name, reason in reasons.items() if reason is None)
    level = 1 - (1 - LEVEL) / max(1, len(inside) * (len(inside) - 1))
    ordered = [each for pair in pairs if {pair.first, pair.second} <= {*inside} for each in (pair, pair.reversed())]
    comparable = [pair for pair in ordered if pair.accuracy.lower(level) > -TOLERANCE]
    counter_examples = [pair for pair in comparable if pair.g.upper(level) < 0]
    return AccuracyResult(
        in_scope=inside,
        out_of_scope={name: reason for name, reason in reasons.items() if reason is not None},
        counter_examples=tuple(sorted(counter_examples, key=lambda pair: pair.g.value)),
        comparable=len(comparable),
        detectable=max((_detectable(pair.g, level) for pair in comparable), default=None),
        level=level,
    )


def judge_accuracy(results: Mapping[Scope, AccuracyResult]) -> AccuracyFinding:
    """Rule on the claim from what is known in each scope, the wider one first."""
    shown = [scope for scope, result in results.items() if result.counter_examples]
    if shown:
        return AccuracyFinding(Status.SHOWN if shown[0] == "classes" else Status.SHOWN_HERE, results)
    judged = any(len(result.in_scope) > 1 for result in results.values())
    return AccuracyFinding(Status.NO_COUNTER_EXAMPLE if judged else Status.UNKNOWN, results)


def _detectable(g: Estimate, level: float) -> float:
    """Difference whose bound at this level excludes 0 with the probability `POWER`."""
    error = replace(g, value=0.0)
    return error.upper(level) + error.upper(POWER)
