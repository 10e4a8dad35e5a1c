"""Which layer and checkpoint of a network to take, and what choosing them gains over its last layers."""

from dataclasses import dataclass, replace

from stages.aggregate.curves import best_candidate
from stages.aggregate.inference.gain import Gain, Payoff, gain_over
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.scope import PROVEN


@dataclass(frozen=True)
class Choice:
    """What to take, and what choosing gains.

    Attributes:
        taken: index of the checkpoint and of the layer: of the best mean, or the last ones where choosing does not pay.
        over_last, over_before: gains over the last layer of the last checkpoint and over the layer before it, both in
            one scope; nothing is known of a single layer.
    """

    taken: tuple[int, int]
    over_last: Gain
    over_before: Gain

    @property
    def does_not_pay(self) -> bool:
        """Whether the last layer is taken, since choosing does not pay."""
        return self.over_last.status == Payoff.DOES_NOT_PAY


def choose(network: Candidates, worthwhile: float, *, steps: slice = slice(None)) -> Choice | None:
    """Choose among the layers of some checkpoints; None where none has a score.

    Args:
        network: what can be chosen.
        worthwhile: gain over the last layer up to which choosing does not pay.
        steps: which of its checkpoints.
    """
    gains, refits, means = network.gains[:, steps], [*network.refits.values()][steps], network.means[steps]
    best, (T, L), proven = best_candidate(means), means.shape, PROVEN.get(network.row.metric, ())
    if best is None or L == 1:
        return best and Choice(best, Gain(), Gain())
    last, before = (
        _limited(network, gain_over((-1, at), gains, refits, proven=proven, worthwhile=worthwhile)) for at in (-1, -2)
    )
    if last.status == Payoff.DOES_NOT_PAY:
        if network.row.unbeaten_by(network.sign * means[-1, -1]) is None:
            return Choice((T - 1, L - 1), replace(last, estimate=None, low=None, high=None), Gain())
        last = replace(last, status=Payoff.UNDECIDED)  # a layer of no use is not taken
    return Choice(best, last, before if last.scope in (None, before.scope) else Gain())


def _limited(network: Candidates, gain: Gain) -> Gain:
    """End an interval where the score's limits do: nothing gains more than these are apart."""
    score = network.data.catalogue[network.row.metric]
    most = score.high - score.low
    known = {name: value for name in ("low", "high", "at_most") if (value := getattr(gain, name)) is not None}
    return replace(gain, **{name: min(max(value, -most), most) for name, value in known.items()})
