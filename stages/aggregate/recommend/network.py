"""The recommendation for one use of one network: its best candidate, what ties with it, and how sure that is."""

from collections.abc import Sequence

import numpy as np

from stages.aggregate.curves import MEAN, Scores, best_index
from stages.aggregate.findings.status import change_status
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.inference.intervals import LayerInference, infer_layers, losses_of_candidates
from stages.aggregate.inference.layer_comparison import best_of_two, is_above
from stages.aggregate.inference.refits import infer, lacks_groups
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import best_candidate
from stages.aggregate.recommend.schema import (
    Baseline,
    CandidateRecord,
    CheckpointRecord,
    FineTuningRecord,
    LayerRecord,
    Missing,
    Recommendation,
    RegretRecord,
    ScopeRecord,
)
from stages.aggregate.scope import Scope
from stages.aggregate.tables.regret import RegretRow
from stages.shared.embeddings.split_names import SEEN


def recommend_network(network: Candidates, scores: Scores, regrets: Sequence[RegretRow]) -> Recommendation:
    """Recommend a layer and a checkpoint of one network for one use.

    Args:
        network: what can be chosen.
        scores: means over seeds and folds.
        regrets: the rows of regret.csv.
    """
    row, chosen = network.row, best_candidate(network.means)
    assert chosen is not None, "the main score chooses a layer at the last step (check_main_score)"
    step, layer = chosen
    unbeaten = row.unbeaten_by(network.sign * float(network.means[step, layer]))
    refits = network.refits[step]
    layers = infer_layers(refits.take(network.keys), network.better) if refits else {}
    scope, tied = next(((scope, each.tied) for scope, each in layers.items()), (None, None))
    losses = _losses_at_most(network)
    tied_layers = np.flatnonzero(tied) if tied is not None else [0] if len(network.keys) == 1 and layers else []
    shortlist = [_layer(network, step, int(index), losses) for index in tied_layers]
    best = _best(network, _layer(network, step, layer, losses), layers, _accuracy(scores, network, network.steps[step]))
    return Recommendation(
        dataset=row.dataset,
        model=row.model,
        use=network.use,
        metric=row.metric,
        better=network.better,
        n_folds=row.n_folds,
        n_seeds=row.n_seeds,
        n_classes=network.n_classes,
        n_images=network.n_images,
        candidate_steps=list(network.steps),
        last_step=row.step,
        last_depth=row.last_depth,
        best=best,
        unbeaten=unbeaten and Baseline(name=unbeaten[0], value=unbeaten[1]),
        doubtful=unbeaten is None and _is_doubtful(network, step),
        shortlist=[] if unbeaten else shortlist,
        shortlist_scope=None if unbeaten else scope,
        pixels=row.baseline,
        chance=row.chance,
        checkpoints=_compare_checkpoints(network, scores, losses),
        fine_tuning=_fine_tuning(network),
        regret=_regrets(network, regrets),
        missing=_missing(network, scores),
        unmeasured=_unmeasured(network, scores),
    )


def _losses_at_most(network: Candidates) -> Float64:
    """Bound what each candidate may lose to the best one, (T, L), in the wider scope that is known; NaN: not known."""
    known = [step for step, refits in enumerate(network.refits) if refits is not None]
    taken = [refits.take(network.keys) for refits in network.refits if refits is not None]
    bounds = np.full(network.means.shape, np.nan)
    for own in list(losses_of_candidates(taken, network.better).values())[:1] if taken else ():
        bounds[known] = own
    return bounds


def _layer(network: Candidates, step: int, layer: int, losses: Float64 | None = None) -> LayerRecord:
    point = network.points.iloc[layer]
    parameters, parameters_share = _cost(network, "parameters", layer)
    operations, operations_share = _cost(network, "operations", layer)
    return LayerRecord(
        layer=str(point["layer"]),
        depth=int(point["depth"]),
        pooling=str(point["embedding"]),
        step=network.steps[step],
        value=network.sign * float(network.means[step, layer]),
        loss_at_most=None if losses is None else _finite(losses[step, layer]),
        parameters=parameters,
        parameters_share=parameters_share,
        operations=operations,
        operations_share=operations_share,
    )


def _cost(network: Candidates, what: str, layer: int) -> tuple[int | None, float | None]:
    """What stands up to a layer, and its share of what stands up to the last; (None, None) where that is not known."""
    values = network.points[what].fillna(0)
    own, whole = int(values.iloc[layer]), int(values.iloc[-1])
    return (own, own / whole) if whole else (None, None)


def _best(
    network: Candidates, chosen: LayerRecord, layers: dict[Scope, LayerInference], accuracy: float | None
) -> CandidateRecord:
    last_value = network.sign * float(network.means[network.steps.index(chosen.step), -1])
    scopes = {
        scope: ScopeRecord(
            value=each.best and _finite(each.best.value),
            low=each.best and _finite(each.best.low),
            high=each.best and _finite(each.best.high),
            lead_at_least=each.lead and _finite(each.lead.low),
            lead_at_most=each.lead and _finite(each.lead.high),
        )
        for scope, each in layers.items()
    }
    return CandidateRecord(
        **dict(chosen),
        last_value=_finite(last_value),
        accuracy=accuracy,
        lead=next((_finite(each.lead.value) for each in layers.values() if each.lead), None),
        classes=scopes.get("classes"),
        images=scopes.get("images"),
    )


def _finite(value: float | None) -> float | None:
    """Return a number of a record; None for NaN, as where halves of the images vary by rounding errors alone."""
    return None if value is None or not np.isfinite(value) else float(value)


def _is_doubtful(network: Candidates, step: int) -> bool:
    """Whether it is not shown that a layer beats chance and raw pixels at a checkpoint, where a bound is known."""
    refits = network.refits[step]
    if refits is None:
        return False
    pixels = network.pixels if network.row.baseline is not None else None
    taken, index = refits.take([*network.keys, *([pixels] if pixels else [])]), len(network.keys) if pixels else None
    shown = (
        is_above(inference, chance=network.row.chance, pixels=index, better=network.better)
        for inference in infer(taken).values()
    )
    return next((not above for above in shown if above is not None), False)


def _fine_tuning(network: Candidates) -> FineTuningRecord | None:
    """Compare the best layer of the best later checkpoint with the best one of step 0; None where not known."""
    best = best_candidate(network.means[1:]) if network.steps[0] == 0 and len(network.steps) > 1 else None
    if best is None:
        return None
    later, first = network.refits[1 + best[0]], network.refits[0]
    if later is None or first is None:
        return None
    for scope, inference in infer(later.take(network.keys), first.take(network.keys)).items():
        change = best_of_two(inference, len(network.keys), better=network.better)
        low, high = (None, None) if change is None else map(_finite, change.interval())
        if change is not None and low is not None and high is not None:
            step, status = network.steps[1 + best[0]], change_status(change)
            return FineTuningRecord(step=step, change=change.value, low=low, high=high, scope=scope, status=status)
    return None


def _compare_checkpoints(network: Candidates, scores: Scores, losses: Float64) -> list[CheckpointRecord]:
    """Sum up every candidate checkpoint that has a best layer."""
    probe, records = scores.main_points(network.row.dataset, network.row.model, "probe_accuracy", SEEN), []
    for step, gains, at_most in zip(network.steps, network.means, losses, strict=True):
        best = best_index(gains, "higher")
        if best is None:
            continue
        probed = probe.loc[probe["step"] == step].set_index("layer")["value"].dropna()
        records.append(
            CheckpointRecord(
                step=step,
                layer=str(network.points["layer"].iloc[best]),
                depth=int(network.points["depth"].iloc[best]),
                value=network.sign * float(gains[best]),
                loss_at_most=_finite(at_most[best]),
                accuracy=_accuracy(scores, network, step),
                probe_accuracy=float(probed.max()) if len(probed) else None,
                probe_layer=str(probed.idxmax()) if len(probed) else None,
            )
        )
    return records


def _accuracy(scores: Scores, network: Candidates, step: int) -> float | None:
    point = scores.accuracy_at(vars(network.row), step)
    return None if point is None else _finite(point["value"])


def _regrets(network: Candidates, rows: Sequence[RegretRow]) -> list[RegretRecord]:
    """Mean regrets over folds, in the order of the rows."""
    row = network.row
    name = (MEAN, "layers_and_checkpoints", row.dataset, row.model, row.metric)
    return [
        RegretRecord(
            criterion=each.criterion,
            value=each.value,
            at_most=each.regret_at_most,
            at_least=_finite(each.regret_at_least),
        )
        for each in rows
        if (each.fold, each.candidates, each.dataset, each.model, each.metric) == name and np.isfinite(each.value)
    ]


def _unmeasured(network: Candidates, scores: Scores) -> list[str]:
    """Return the label-free scores by which no criterion could choose."""
    label_free = [name for name, score in scores.catalogue.items() if score.label_free]
    return [name for name in label_free if name not in network.label_free]


def _missing(network: Candidates, scores: Scores) -> list[Missing]:
    missing = {
        Missing.HALVES: network.halves is None and scores.catalogue[network.row.metric].refit,
        Missing.GROUPS: any(refits is not None and lacks_groups(refits) for refits in network.refits),
        Missing.OTHER_FOLDS: network.row.n_folds == 1,
        Missing.OPERATIONS: _cost(network, "operations", -1) == (None, None),
    }
    return [what for what, is_missing in missing.items() if is_missing]
