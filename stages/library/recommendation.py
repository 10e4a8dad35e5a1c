"""What to take for one use: a layer, and a representation if that is better.

Modules of words are imported only to print one: scoring does not need them.
"""

from dataclasses import dataclass

from ..aggregate.facts import Recommendation as Record
from ..core.inference.gain import Payoff


@dataclass(frozen=True)
class RecommendedRepresentation:
    """What is better for a use than the best single layer; `Result.fit` makes it.

    Attributes:
        use, metric: what for, and its score.
        name: in words.
        layers: that are joined, of one network, from input to output.
        join, recipe: of them.
        network: of several the one that it is of; else empty.
        score: among classes of a fold, which took no part in the choice or in a fit.
        gain_over_layer: score less that of the best single layer, chosen on the same other classes.
        gain, gain_low, gain_high: gain over the habit and its 95% interval over classes; None if there is none.
        habit: the layer that this is over, in words.
        status: `pays` if the interval lies above 0, else `undecided`.
        features: numbers per image.
        operations: multiply-adds per image; None: unknown.
        habit_operations: of the habit.
    """

    use: str
    metric: str
    name: str
    layers: tuple[str, ...]
    join: str
    recipe: str
    network: str
    score: float
    gain_over_layer: float
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    habit: str
    status: str
    features: int
    operations: float | None
    habit_operations: float | None

    def __str__(self) -> str:
        from ..aggregate.words.formatting import capitalized, change_interval, number
        from ..aggregate.words.scores import short_name

        shown = "take {}: shown to be better than the habit. "
        told = (shown if self.status == Payoff.PAYS else "try {}: undecided. ").format(self.name)
        told += f"{capitalized(short_name(self.metric))} within folds {number(self.score)}, "
        told += f"{self.gain_over_layer:+.3f} over the best single layer"
        if self.gain is not None and self.gain_low is not None and self.gain_high is not None:
            told += f" and {change_interval(self.gain, self.gain_low, self.gain_high)} over the habit, {self.habit}"
        told += f". {self.features:,} features"
        if self.operations is not None and self.habit_operations is not None:
            told += f", {self.operations / 1e6:.0f} M multiply-adds (habit {self.habit_operations / 1e6:.0f} M)"
        return f"{told}; result.fit(use={self.use!r}) makes it"


@dataclass(frozen=True)
class Recommendation:
    """The layer to take for one use.

    Attributes:
        use: `classifier` (of labelled images), `retrieval` (nearest neighbours), `discovery` (clusters) or `detection`
            (OOD detection of unseen classes).
        metric: the score that leads this use: `probe_accuracy`, `map_at_r`, `nmi` or `ood_auroc_knn`.
        layer: its best layer; the last one if choosing does not pay.
        score: that layer's score, corrected for the choice among layers, so it is below the mean in `table`. Report
            this score.
        low, high: the score's 95% interval; None if there is none, as for fewer than ten classes without halves.
        gain: gain over the last layer, corrected for the choice among layers; None if the last layer itself is chosen,
            or if there is no estimate.
        gain_low, gain_high: the gain's 95% interval, around `gain`.
        status: `pays` (the gain's interval lies above 0), `does_not_pay` (no layer gains more than 0.02) or
            `undecided`.
        ties: layers that are not distinguishable from the chosen one, from input to output.
        scope: the intervals' scope: `classes` from ten classes on, else `images`; None if there are none.
        useful: whether any layer beats chance and raw pixels.
        representation: what is better than the layer; None: nothing is, or nothing else was compared.
    """

    use: str
    metric: str
    layer: str
    score: float
    low: float | None
    high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    status: str
    ties: tuple[str, ...]
    scope: str | None
    useful: bool
    representation: RecommendedRepresentation | None = None

    @classmethod
    def of(cls, record: Record) -> "Recommendation":
        """Take from a record of recommendation.json what a user asks first."""
        best, gain = record.best, record.gain_over_last
        score, low, high = best.estimate
        return cls(
            record.use,
            record.metric,
            best.layer,
            best.value if score is None else score,
            low,
            high,
            gain.estimate,
            gain.low,
            gain.high,
            str(gain.status),
            tuple(tie.layer for tie in record.ties),
            best.scope,
            record.unbeaten is None,
        )

    def __str__(self) -> str:
        from ..aggregate.words.formatting import change_interval, interval, number, wrapped
        from ..aggregate.words.scores import short_name
        from ..aggregate.words.verdict import WIDTH

        layer = f"{self.layer}: {short_name(self.metric)} {number(self.score)} {interval(self.low, self.high)}".rstrip()
        if self.gain is not None and self.gain_low is not None and self.gain_high is not None:
            layer += f", {change_interval(self.gain, self.gain_low, self.gain_high)} over the last layer"
        if self.representation:
            told = [f"For {self.use} {self.representation}.", f"Best single layer: {layer}."]
        elif not self.useful:
            told = [f"For {self.use} no layer beats chance and raw pixels. Best: {layer}."]
        else:
            verb = "try" if self.status == Payoff.UNDECIDED else "take"
            told = [f"For {self.use} {verb} {layer}, {self.status.replace('_', ' ')}."]
        return "\n".join(wrapped(line, WIDTH) for line in told)

    __repr__ = __str__
