"""Recommend a layer and a checkpoint of every network for every use, for classes that nobody labelled.

Recommended is the best mean over all folds. What that way of choosing costs is measured with one fold less
(regret.csv), and is therefore slightly pessimistic. How sure it is, is said of other classes where three folds or more
tell, else of other images of these classes.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.aggregate.curves import Scores
from stages.aggregate.inference.contrasts import LEVEL
from stages.aggregate.inference.layer_comparison import best_of_two
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.inference.refits import Refits, infer
from stages.aggregate.recommend.candidates import Candidates, collect_candidates
from stages.aggregate.recommend.network import recommend_network
from stages.aggregate.recommend.regret import regret_rows
from stages.aggregate.recommend.schema import BestNetworkRecord, Recommendation, best_network
from stages.aggregate.recommend.variants import add_variants
from stages.aggregate.tables.regret import RegretRow
from stages.aggregate.tables.summary import SummaryRow


def recommend_all(
    summary: Sequence[SummaryRow],
    scores: Scores,
    networks: dict[Name, NetworkData],
    analyses: Mapping[str, pd.DataFrame] | None = None,
) -> tuple[list[Recommendation], list[RegretRow]]:
    """Recommend a layer and a checkpoint for every use, and compute what every way of choosing one cost.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds and folds.
        networks: the measured data of each network.
        analyses: tables of the analyses, of which `scalings` and `joined` say what variants of a layer gain.
    """
    candidates = collect_candidates(summary, scores, networks)
    regrets = regret_rows(candidates, scores.folds)
    found = [recommend_network(network, scores, regrets) for network in candidates]
    if analyses:
        found = [add_variants(each, analyses["scalings"], analyses["joined"]) for each in found]
    return compare_networks(candidates, found), regrets


def compare_networks(networks: Sequence[Candidates], found: Sequence[Recommendation]) -> list[Recommendation]:
    """Put beside every recommendation how its network compares with the best one for its use.

    A network without a recommendation takes no part. The best one is chosen by the same scores, so that each bound
    holds for all ordered pairs of a dataset's networks at once.

    Args:
        networks: what could be chosen.
        found: the recommendations of the same networks, in the same order.
    """
    pairs = list(zip(networks, found, strict=True))
    return [own.model_copy(update={"behind": _behind(network, own, pairs)}) for network, own in pairs]


def _behind(
    network: Candidates, own: Recommendation, pairs: Sequence[tuple[Candidates, Recommendation]]
) -> BestNetworkRecord | None:
    alike = [each for _, each in pairs if (each.dataset, each.use) == (own.dataset, own.use)]
    rivals = [each for each in alike if each.recommended is not None]
    best = best_network(rivals)
    if best is None or best is own or own.recommended is None:
        return None
    first, second = _at_choice(next(each for each, record in pairs if record is best), best), _at_choice(network, own)
    if first is None or second is None:
        return None
    level = 1 - (1 - LEVEL) / (len(rivals) * (len(rivals) - 1))
    for scope, inference in infer(first, second).items():
        difference = best_of_two(inference, len(first.keys), better=network.better)
        if difference is not None:
            at_least = difference.lower(level)
            return BestNetworkRecord(model=best.model, difference=difference.value, at_least=at_least, scope=scope)
    return None


def _at_choice(network: Candidates, found: Recommendation) -> Refits | None:
    """Scores of the layers at the recommended checkpoint."""
    refits = network.refits[network.steps.index(found.best.step)]
    return None if refits is None else refits.take(network.keys)
