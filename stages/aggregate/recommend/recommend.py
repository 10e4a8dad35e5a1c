"""Recommend a layer and a checkpoint of every network for every use, for classes that nobody labelled.

Recommended is the best mean over all folds, or the last layer where choosing does not pay. What that way of choosing
costs is measured with one fold less (regret.csv), and is therefore slightly pessimistic. How sure it is, is said of
other classes where three folds or more tell, else of other images of these classes.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.aggregate.curves import Name, Scores
from stages.aggregate.inference.contrasts import LEVEL
from stages.aggregate.inference.intervals import state_widest
from stages.aggregate.inference.layer_comparison import best_of_two
from stages.aggregate.inference.network_data import NetworkData
from stages.aggregate.recommend.candidates import Candidates, collect_candidates
from stages.aggregate.recommend.network import recommend_network
from stages.aggregate.recommend.pairs import pair_of
from stages.aggregate.recommend.regret import regret_table
from stages.aggregate.recommend.schema import BestNetworkRecord, Recommendation, best_network
from stages.aggregate.tables.summary import SummaryRow
from stages.shared.tables.scores import Neighbours


def recommend_all(
    summary: Sequence[SummaryRow],
    scores: Scores,
    networks: dict[Name, NetworkData],
    analyses: Mapping[str, pd.DataFrame] | None = None,
    neighbours: Neighbours = "all",
    *,
    worthwhile: float,
) -> tuple[list[Recommendation], pd.DataFrame]:
    """Recommend a layer and a checkpoint for every use, and compute what every way of choosing one cost.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds and folds.
        networks: the measured data of each network.
        analyses: tables of the analyses, of which `joined` says what two layers gain.
        neighbours: which images can be an image's neighbours.
        worthwhile: gain up to which choosing does not pay.
    """
    candidates = collect_candidates(summary, scores, networks)
    regrets = [regret_table(network, scores.folds) for network in candidates]
    pairs = zip(candidates, regrets, strict=True)
    found = [recommend_network(network, scores, own, worthwhile=worthwhile) for network, own in pairs]
    found = [each.model_copy(update={"neighbours": neighbours}) for each in found]
    if analyses:
        found = [each.model_copy(update={"pair": pair_of(each, analyses["joined"])}) for each in found]
    return compare_networks(candidates, found), pd.concat(regrets, ignore_index=True)


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
    alike = [pair for pair in pairs if (pair[1].dataset, pair[1].use) == (own.dataset, own.use)]
    rivals = [(candidates, each) for candidates, each in alike if each.recommended is not None]
    best = best_network([each for _, each in rivals])
    if best is None or best is own or own.recommended is None:
        return None
    ahead = next(candidates for candidates, each in rivals if each is best)
    chosen = ahead.refits[best.best.step], network.refits[own.best.step]
    stated = state_widest(lambda inference: best_of_two(inference, len(ahead.points)), *chosen)
    if stated is None:
        return None
    (scope, difference), level = stated, 1 - (1 - LEVEL) / (len(rivals) * (len(rivals) - 1))
    at_least = difference.lower(level)
    return BestNetworkRecord(model=best.model, difference=difference.value, at_least=at_least, scope=scope)
