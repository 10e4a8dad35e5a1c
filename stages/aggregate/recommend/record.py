"""The record of a decision: what recommendation.json says of one use of one network. It loads no table library."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.choose import STEADY, Candidates, Decision
from ...core.inference.contrasts import Float64
from ..facts import Baseline, CandidateRecord, LayerRecord, Missing, Recommendation, ScopeRecord

Layers = Sequence[Mapping[str, Any]]
"""Of each layer by depth what `LayerRecord` has beside its checkpoint, score and loss."""


def record(
    network: Candidates, decision: Decision, layers: Layers, *, accuracy: float | None = None, **about: Any
) -> Recommendation:
    """Record a decision.

    Args:
        network: what could be chosen.
        decision: what is taken.
        layers: their names and costs.
        accuracy: of the network's own head at the checkpoint that is taken.
        **about: fields of the record that do not follow from the decision.
    """
    (step, layer), unbeaten = decision.choice.taken, decision.unbeaten
    sign, level_values = network.score.sign, {name: network.score.sign * of for name, of in network.levels.items()}
    scopes = {
        scope: ScopeRecord(
            **vars(each.best), lead=each.lead.value, lead_at_least=each.lead.low, lead_at_most=each.lead.high
        )
        for scope, each in decision.sure.items()
    }
    best = CandidateRecord(
        **dict(layer_record(network, decision.losses, layers, step, layer)),
        last_value=sign * network.means[step, -1],
        accuracy=accuracy,
        classes=scopes.get("classes"),
        images=scopes.get("images"),
    )
    tied = [] if unbeaten else decision.tied
    lacking = {Missing.HALVES: network.lacks_halves, Missing.GROUPS: network.lacks_groups}
    return Recommendation(
        better=network.score.better,
        chosen_by=STEADY[about["use"]] if decision.choice.by_another else None,
        normalize=network.score.scaling,
        candidate_steps=network.steps,
        best=best,
        last_score=sign * network.means[-1, -1],
        gain_over_last=decision.choice.over_last,
        gain_over_before=decision.choice.over_before,
        unbeaten=unbeaten and Baseline(name=unbeaten, value=level_values[unbeaten]),
        doubtful=[] if unbeaten else decision.doubtful,
        shortlist=[layer_record(network, decision.losses, layers, step, each) for each in tied],
        shortlist_scope=None if unbeaten else next(iter(decision.sure), None),
        pixels=level_values.get("raw_pixels"),
        chance=level_values.get("chance"),
        missing=[what for what, is_missing in lacking.items() if is_missing],
        **about,
    )


def with_shares(layers: Layers) -> list[dict[str, Any]]:
    """Add what each layer takes as a share of what the last one does; nothing is known where that takes nothing."""
    described = [dict(each) for each in layers]
    for what in ("parameters", "operations"):
        whole = described[-1][what]
        for each in described:
            each[f"{what}_share"] = each[what] / whole if whole else None
            each[what] = each[what] if whole else None
    return described


def layer_record(network: Candidates, losses: Float64, layers: Layers, step: int, layer: int) -> LayerRecord:
    """Record one candidate, by its place among checkpoints and layers, and its bound among `losses` (T, L)."""
    value = network.score.sign * network.means[step, layer]
    return LayerRecord(**layers[layer], step=network.steps[step], value=value, loss_at_most=losses[step, layer])
