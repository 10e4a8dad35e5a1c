"""Whether a dataset's best network is better than the others: each by its recommended layer and checkpoint."""

from collections.abc import Sequence

from stages.aggregate.inference.contrasts import LEVEL
from stages.aggregate.inference.layer_comparison import best_of_two
from stages.aggregate.inference.refits import Replicates
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.schema import BestNetworkRecord, Recommendation
from stages.aggregate.recommend.uncertain import inferences


def compare_networks(networks: Sequence[Candidates], found: Sequence[Recommendation]) -> list[Recommendation]:
    """Put beside every recommendation how its network compares with the best one of its dataset.

    A network without a recommendation takes no part. The best one is chosen by the same scores, so that each bound
    holds for all ordered pairs of a dataset's networks at once.

    Args:
        networks: what could be chosen.
        found: the recommendations of the same networks, in the same order.
    """
    return [
        each.model_copy(update={"behind": _behind(network, each, networks, found)})
        for network, each in zip(networks, found, strict=True)
    ]


def _behind(
    network: Candidates, own: Recommendation, networks: Sequence[Candidates], found: Sequence[Recommendation]
) -> BestNetworkRecord | None:
    of_dataset = [
        (other, each)
        for other, each in zip(networks, found, strict=True)
        if each.dataset == own.dataset and each.recommended is not None
    ]
    if own.recommended is None or len(of_dataset) < 2:
        return None
    best, chosen = max(of_dataset, key=lambda pair: _gain(*pair))
    if best is network:
        return None
    level = 1 - (1 - LEVEL) / (len(of_dataset) * (len(of_dataset) - 1))
    return _compare((best, chosen), (network, own), level)


def _compare(
    best: tuple[Candidates, Recommendation], other: tuple[Candidates, Recommendation], level: float
) -> BestNetworkRecord | None:
    first, second = _at_choice(*best), _at_choice(*other)
    if first is None or second is None:
        return None
    for scope, inference in inferences(first, second):
        difference = best_of_two(inference, len(first.keys), better=best[0].better)
        if difference is not None:
            at_least = difference.lower(level)
            return BestNetworkRecord(model=best[1].model, difference=difference.value, at_least=at_least, scope=scope)
    return None


def _at_choice(network: Candidates, found: Recommendation) -> Replicates | None:
    """Scores of the layers at the recommended checkpoint."""
    assert found.recommended is not None
    replicates = network.replicates[network.steps.index(found.recommended.step)]
    return None if replicates is None else replicates.take(network.keys)


def _gain(network: Candidates, found: Recommendation) -> float:
    assert found.recommended is not None
    return network.sign * found.recommended.value
