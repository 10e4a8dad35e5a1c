"""Recommend a layer and a checkpoint of every network for every use: the best candidate, its ties, and how sure it is.

Recommended is the best mean over all folds, or the last layer where choosing does not pay. What that way of choosing
costs is measured with one fold less (regret.csv), and is therefore slightly pessimistic. How sure it is, is said of
other classes where three folds or more tell, else of other images of these classes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ...core.inference.contrasts import LEVEL, Estimate, Float64, Inference
from ...core.inference.layer_comparison import (
    Bounds,
    LayerInference,
    best_of_two,
    difference,
    infer_layers,
    losses_at_most,
    score_intervals,
)
from ...core.inference.scopes import Scope, infer, lacks_groups, state_widest
from ...shared.tables.scores import Neighbours
from .. import facts
from ..curves import MEAN, Name, Scores, best_candidate
from ..facts import Recommendation, best_network
from ..findings.outcomes import change_status
from ..network_data import NetworkData, Refits, unseen_rows
from ..tables.summary import SummaryRow
from .candidates import SHARES, Candidates, Choice, choose, collect_candidates
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
    row, choice = network.row, choose(network, worthwhile)
    assert choice is not None, "the main score chooses a layer at the last step (check_main_score)"
    step = network.steps[choice.taken[0]]
    known = {step: refits for step, refits in network.refits.items() if refits}
    together = infer(*known.values()) if step in known else {}
    losses = _losses_at_most(network, known, next(iter(together.values()), None))
    sure = _sureness(network, choice, known[step], together) if together else {}
    scope, widest = next(iter(sure.items()), (None, None))
    tied = np.flatnonzero([True] if widest.tied is None else widest.tied) if widest else ()  # None: of a single layer
    best = _best(network, _layer(network, *choice.taken, losses), sure)
    unbeaten = row.unbeaten_by(best.value)
    unshown = network.unshown_levels(*(known if step in known else [step]))
    counts = unseen_rows(network.data.layers, row.metric, row.step).groupby("fold")[["n_classes", "n_images"]].max()
    return Recommendation(
        **{name: getattr(row, name) for name in ("dataset", "model", "metric", "better", "n_folds", "n_seeds")},
        use=network.use,
        parts=scores.parts,
        n_classes=int(counts["n_classes"].max()),
        n_images=int(counts["n_images"].sum()),
        candidate_steps=network.steps,
        last_step=row.step,
        last_depth=row.last_depth,
        best=best,
        gain_over_last=choice.over_last,
        gain_over_before=choice.over_before,
        untrained=_untrained(network, losses, worthwhile),
        unbeaten=unbeaten and facts.Baseline(name=unbeaten[0], value=unbeaten[1]),
        doubtful=[] if unbeaten else unshown,
        shortlist=[] if unbeaten else [_layer(network, choice.taken[0], layer, losses) for layer in map(int, tied)],
        shortlist_scope=None if unbeaten else scope,
        pixels=row.baseline,
        chance=row.chance,
        fine_tuning=_fine_tuning(network),
        regret=_mean_regrets(regrets),
        normalize=scores.catalogue[row.metric].scaling,
        neighbours=neighbours,
        missing=_missing(network, scores),
    )


def _sureness(
    network: Candidates, choice: Choice, refits: Refits, together: Mapping[Scope, Inference]
) -> dict[Scope, LayerInference]:
    """Infer how sure the scores of the checkpoint that is taken are; that of its layer knows how it was chosen.

    Args:
        network: what can be chosen.
        choice: what is taken.
        refits: of its checkpoint.
        together: what is known of all checkpoints, of which it is the best; or else the last one, which was not chosen.
    """
    alone, value = infer_layers(refits), network.sign * network.means[choice.taken]
    sure = {}
    for scope, inference in together.items():
        last = Bounds(alone[scope].low[-1], alone[scope].high[-1], value)
        best = last if choice.does_not_pay else score_intervals(inference, refits.score)[1]
        sure[scope] = replace(alone[scope], best=best)
    return sure


def _untrained(network: Candidates, losses: Float64, worthwhile: float) -> facts.UntrainedRecord | None:
    """Choose a layer of the network before it was fine-tuned; None where it was not, or has no score there."""
    fine_tuned = network.steps[0] == 0 < len(network.steps) - 1
    choice = choose(network, worthwhile, steps=slice(1)) if fine_tuned else None
    if choice is None:
        return None
    return facts.UntrainedRecord(layer=_layer(network, *choice.taken, losses), gain_over_last=choice.over_last)


def _losses_at_most(network: Candidates, known: Collection[int], together: Inference | None) -> Float64:
    """Bound what each candidate may lose to the best one, (T, L); NaN: not known.

    No score loses more than its limits are apart.

    Args:
        network: what can be chosen.
        known: the steps of which `together` is.
        together: what is known of their layers, in one scope.
    """
    score, bounds = network.data.catalogue[network.row.metric], np.full(network.means.shape, np.nan)
    if together is not None:
        losses = losses_at_most(together).reshape(len(known), -1)
        bounds[[step in known for step in network.steps]] = np.minimum(losses, score.high - score.low)
    return bounds


def _layer(network: Candidates, step: int, layer: int, losses: Float64) -> facts.LayerRecord:
    point = network.points.assign(pooling=network.points["embedding"]).to_dict("records")[layer]
    return facts.LayerRecord(
        **{name: point[name] for name in ("layer", "depth", "pooling", *SHARES, *SHARES.values())},
        step=network.steps[step],
        value=network.sign * network.means[step, layer],
        loss_at_most=losses[step, layer],
    )


def _best(network: Candidates, chosen: facts.LayerRecord, sure: dict[Scope, LayerInference]) -> facts.CandidateRecord:
    scopes = {
        scope: facts.ScopeRecord(
            **vars(each.best), lead=each.lead.value, lead_at_least=each.lead.low, lead_at_most=each.lead.high
        )
        for scope, each in sure.items()
    }
    return facts.CandidateRecord(
        **dict(chosen),
        last_value=network.sign * network.means[network.steps.index(chosen.step), -1],
        accuracy=network.layers(chosen.step)["accuracy"].iloc[0],
        classes=scopes.get("classes"),
        images=scopes.get("images"),
    )


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


def _missing(network: Candidates, scores: Scores) -> list[facts.Missing]:
    score = scores.catalogue[network.row.metric]
    missing = {
        facts.Missing.HALVES: network.halves is None and score.refit and score.on_halves,
        facts.Missing.GROUPS: any(refits is not None and lacks_groups(refits) for refits in network.refits.values()),
    }
    return [what for what, is_missing in missing.items() if is_missing]
