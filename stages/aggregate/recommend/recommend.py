"""Recommend a layer and a checkpoint of every network, for classes that nobody labelled.

Recommended is the best mean over all folds. What that way of choosing costs is measured with one fold less
(regret.csv), and is therefore slightly pessimistic.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.formatting import joined, number
from stages.aggregate.metric_info import metric_name
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.checkpoints import compare_checkpoints
from stages.aggregate.recommend.criteria import CRITERIA, LABEL_FREE, best_candidate
from stages.aggregate.recommend.network_comparison import compare_networks
from stages.aggregate.recommend.schema import LayerRecord, Recommendation, RegretRecord
from stages.aggregate.recommend.uncertain import fine_tuning, lead_over_pixels, shortlist
from stages.aggregate.tables.regret import JOINT, LAYERS


def recommend(networks: Sequence[Candidates], scores: Scores, regrets: pd.DataFrame) -> list[Recommendation]:
    """Recommend a layer and a checkpoint of every network.

    Args:
        networks: what can be chosen.
        scores: means over seeds and folds.
        regrets: regret.csv.
    """
    means = regrets[regrets["fold"] == MEAN]
    found = [
        _recommend(each, scores, means[(means["dataset"] == each.row.dataset) & (means["model"] == each.row.model)])
        for each in networks
    ]
    return compare_networks(networks, found)


def _recommend(network: Candidates, scores: Scores, regrets: pd.DataFrame) -> Recommendation:
    row, chosen = network.row, best_candidate(network.means)
    assert chosen is not None, "the main score chooses a layer at the last step (check_main_score)"
    step, layer = chosen
    reason = _reason(network, step, layer)
    scope, tied = shortlist(network, step)
    return Recommendation(
        dataset=row.dataset,
        model=row.model,
        metric=row.metric,
        better=network.better,
        n_folds=row.n_folds,
        candidate_steps=list(network.steps),
        last_depth=row.last_depth,
        recommended=None if reason else _layer(network, step, layer),
        reason=reason,
        caveat=None if reason else _caveat(network, step),
        shortlist=[] if reason else [_layer(network, step, each) for each in tied],
        shortlist_scope=None if reason else scope,
        pixels=row.baseline,
        checkpoints=compare_checkpoints(network, scores),
        fine_tuning=fine_tuning(network),
        regret=list(_regrets(regrets)),
        notes=list(_notes(network)),
        n_classes=network.n_classes,
        n_images=network.n_images,
    )


def _layer(network: Candidates, step: int, layer: int) -> LayerRecord:
    point = network.points.iloc[layer]
    parameters, parameters_share = _cost(network, "parameters", layer)
    operations, operations_share = _cost(network, "operations", layer)
    return LayerRecord(
        layer=str(point["layer"]),
        depth=int(point["depth"]),
        pooling=str(point["embedding"]),
        step=network.steps[step],
        value=network.sign * float(network.means[step, layer]),
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


def _reason(network: Candidates, step: int, layer: int) -> str | None:
    """Say why no layer is of use: the best is no better than raw pixels or chance; None where one is."""
    row, sign = network.row, network.sign
    value, name = float(network.means[step, layer]), metric_name(row.metric)
    for level, words in ((row.baseline, "raw pixels"), (row.chance, "chance")):
        if level is not None and value <= sign * level:
            return f"no layer beats {words} ({name} {number(sign * value)} at best, {words} {number(level)})"
    return None


def _caveat(network: Candidates, step: int) -> str | None:
    """Say what makes the choice doubtful: that a layer beats raw pixels is not shown, where an interval is known."""
    lead = lead_over_pixels(network, step)
    if lead is None or lead > 0 or network.row.baseline is None:
        return None
    return f"it is not shown that a layer beats raw pixels ({number(network.row.baseline)})"


def _regrets(means: pd.DataFrame) -> Iterator[RegretRecord]:
    for criterion in CRITERIA:
        own = means[means["criterion"] == criterion].set_index("candidates")["regret"]
        if len(own):
            yield RegretRecord(criterion=criterion, **{name: float(own[name]) for name in (LAYERS, JOINT)})


def _notes(network: Candidates) -> Iterator[str]:
    """Say what is missing."""
    if network.halves is None:
        yield "No regret is known: the score was not fitted again on halves of the images (measure.refits)."
    elif network.row.n_folds == 1:
        yield "What choosing by other folds costs is not known: it takes two folds."
    if _cost(network, "operations", -1) == (None, None):
        yield "Multiply-adds are not known."
    lacking = [metric_name(score) for score in LABEL_FREE if score not in network.known[0].label_free]
    if lacking and network.halves is not None:
        yield f"Not measured without labels: {joined(lacking)}."
