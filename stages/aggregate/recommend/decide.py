"""Recommend a layer and a checkpoint of every network for every use, by the rule of `core.choose`.

What that way of choosing costs is measured with one fold less (regret.csv), and is therefore slightly pessimistic.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...core.choose import choose, decide
from ...core.inference.best import best_candidate
from ...core.inference.contrasts import LEVEL, Estimate, Float64, Inference
from ...core.inference.layer_comparison import best_of_two, difference
from ...core.inference.refitted import Refits
from ...core.inference.scopes import state_widest
from ...core.scores.description import Neighbours
from .. import facts
from ..curves import MEAN, Name, Scores
from ..facts import Recommendation, best_network
from ..findings.outcomes import change_status
from ..network_data import NetworkData
from ..tables.summary_row import SummaryRow
from .candidates import Candidates, collect_candidates
from .record import layer_record, record, with_shares
from .regret import regret_table


def recommend_all(
    summary: Sequence[SummaryRow],
    scores: Scores,
    networks: dict[Name, NetworkData],
    neighbours: Neighbours = "all",
    *,
    worthwhile: float,
) -> tuple[list[Recommendation], pd.DataFrame]:
    """Recommend a layer and a checkpoint for every use, and compute what every way of choosing one cost.

    Args:
        summary: rows of summary.csv.
        scores: means over seeds and folds.
        networks: the measured data of each network.
        neighbours: which images can be an image's neighbours.
        worthwhile: gain up to which choosing does not pay.
    """
    candidates = collect_candidates(summary, scores, networks)
    regrets = [regret_table(network, summary, scores) for network in candidates]
    found = [
        recommend_network(network, scores, own, neighbours, worthwhile=worthwhile)
        for network, own in zip(candidates, regrets, strict=True)
    ]
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
) -> facts.BestNetworkRecord | None:
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
    return facts.BestNetworkRecord(model=best.model, difference=difference.value, at_least=at_least, scope=scope)


def recommend_network(
    network: Candidates, scores: Scores, regrets: pd.DataFrame, neighbours: Neighbours = "all", *, worthwhile: float
) -> Recommendation:
    """Recommend a layer and a checkpoint of one network for one use.

    Args:
        network: what can be chosen.
        scores: means over seeds and folds.
        regrets: its rows of regret.csv.
        neighbours: which images can be an image's neighbours.
        worthwhile: gain over the last layer up to which choosing does not pay.
    """
    row, decision = network.row, decide(network, worthwhile)
    assert decision is not None, "the main score chooses a layer at the last step (check_main_score)"
    step = network.steps[decision.choice.taken[0]]
    return record(
        network,
        decision,
        _layers(network),
        accuracy=network.layers(step)["accuracy"].iloc[0],
        **{name: getattr(row, name) for name in ("dataset", "model", "metric", "n_folds", "n_seeds")},
        use=network.use,
        parts=scores.parts,
        n_classes=int(network.counts["n_classes"].max()),
        n_images=int(network.counts["n_images"].sum()),
        last_step=row.step,
        last_depth=row.last_depth,
        untrained=_untrained(network, decision.losses, worthwhile),
        fine_tuning=_fine_tuning(network),
        regret=_mean_regrets(regrets),
        neighbours=neighbours,
    )


def _layers(network: Candidates) -> list[dict[str, Any]]:
    """The names and costs of the layers, by depth."""
    points = network.points.assign(pooling=network.points["embedding"]).fillna({"parameters": 0, "operations": 0})
    described: list[Any] = points[["layer", "depth", "pooling", "parameters", "operations"]].to_dict("records")
    return with_shares(described)


def _untrained(network: Candidates, losses: Float64, worthwhile: float) -> facts.UntrainedRecord | None:
    """Choose a layer of the network before it was fine-tuned; None where it was not, or has no score there."""
    fine_tuned = network.steps[0] == 0 < len(network.steps) - 1
    choice = choose(network, worthwhile, steps=slice(1)) if fine_tuned else None
    if choice is None:
        return None
    layer = layer_record(network, losses, _layers(network), *choice.taken)
    return facts.UntrainedRecord(layer=layer, gain_over_last=choice.over_last)


def _fine_tuning(network: Candidates) -> facts.FineTuningRecord | None:
    """Compare the best later checkpoint with step 0, at each one's best layer and at the last; None where not known.

    Where several are later, the best of them was chosen, as its layer was.
    """
    best = best_candidate(network.means[1:]) if network.steps[0] == 0 < len(network.steps) - 1 else None
    if best is None:
        return None
    step, L = network.steps[1 + best[0]], len(network.points)
    if (chosen := network.refits[step]) is None:
        return None
    parts = chosen.without.shape, chosen.halves.shape
    fitted = [refits for each, refits in network.refits.items() if each > 0 and refits]
    later = [refits for refits in fitted if (refits.without.shape, refits.halves.shape) == parts]
    at_last = _change(lambda inference: difference(inference, L - 1, 2 * L - 1), chosen, network.refits[0])
    at_best = _change(lambda inference: best_of_two(inference, L * len(later)), *later, network.refits[0])
    return None if at_best is None else facts.FineTuningRecord(**dict(at_best), step=step, last=at_last)


def _change(statement: Callable[[Inference], Estimate | None], *networks: Refits | None) -> facts.ChangeRecord | None:
    def bounded(inference: Inference) -> Estimate | None:
        change = statement(inference)
        return change if change and np.isfinite(change.interval()).all() else None

    stated = state_widest(bounded, *networks)
    if stated is None:
        return None
    scope, change = stated
    low, high = change.interval()
    return facts.ChangeRecord(change=change.value, low=low, high=high, scope=scope, status=change_status(change))


def _mean_regrets(regrets: pd.DataFrame) -> list[facts.RegretRecord]:
    """Mean regrets over folds, and how far folds differ."""
    means, folds = regrets[regrets["fold"] == MEAN], regrets[regrets["fold"] != MEAN]
    errors = folds[["regret_at_most", "regret_at_least"]].mean(axis=1).groupby(folds["criterion"]).sem()
    means = means.assign(error=means["criterion"].map(errors))
    names = {"value": "value", "regret_at_most": "at_most", "regret_at_least": "at_least"}
    records = means[np.isfinite(means["value"])].rename(columns=names)[["criterion", *names.values(), "error"]]
    return [facts.RegretRecord(**record) for record in records.to_dict("records")]
