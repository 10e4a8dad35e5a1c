"""What the tables of uses show of each, and what is written under them."""

from collections.abc import Sequence

from ...core.inference.gain import Gain, Payoff
from ...core.inference.layer_comparison import Level
from ...core.inference.scopes import is_proven
from ...core.scores.description import Scope
from ..facts import Recommendation
from .formatting import (
    MISSING,
    capitalized,
    change_interval,
    decimals,
    interval,
    joined,
    number,
    percent,
    runs,
)
from .scopes import explain_intervals
from .scores import LEVELS, metric_name, short_name

FEW_CLASSES = "With fewer than ten classes, scores cover new images but not new classes."


def use_cells(found: Recommendation) -> dict[str, str]:
    """Return the cells of a row of every table of uses, by their headings.

    Where its score has an interval, both know that the layer and its checkpoint were chosen; else it is the plain mean.
    """
    best, (value, low, high) = found.best, found.best.estimate
    before = found.gain_over_before.estimate
    shares = {"parameters": best.parameters_share, "multiply-adds": best.operations_share}
    return {
        "use": f"{found.use_name} ({short_name(found.metric)})",
        "layer": f"{best.depth + 1}/{found.last_depth + 1}",
        "step": str(best.step) if best.step or len(found.candidate_steps) == 1 else "pre-trained",
        "score": f"{number(value)} {interval(low, high)}".rstrip(),
        "last layer": number(found.last_score),
        "gain over last": gain_words(found.gain_over_last) or MISSING,
        "over second-to-last": MISSING if before is None else decimals(before, sign=True),
        "ties (at most)": brief_ties(found),
        **{name: MISSING if share is None else percent(share) for name, share in shares.items()},
    }


def brief_ties(found: Recommendation) -> str:
    """Number the layers that tie with the recommended one, the cheapest with what it may lose: `4, 6 (-0.09), 9`.

    That is the shallowest of those that may lose no more than the recommended one may itself; others cost more than
    they save.
    """
    if found.shortlist_scope is None or found.last_depth == 0:
        return MISSING
    if not found.ties:
        return "none" if is_proven(found.metric, found.shortlist_scope) else MISSING
    depths, cheapest = [tie.depth for tie in found.ties], found.cheapest_tie
    if cheapest is None:
        return runs(depths)
    at, price = depths.index(cheapest.depth), f"{cheapest.depth + 1} (-{cheapest.loss_at_most:.2f})"
    return ", ".join(filter(None, [runs(depths[:at]), price, runs(depths[at + 1 :])]))


def gain_words(record: Gain) -> str:
    """Write a gain and its interval; nothing where it is not known, or the layer that it is over is named."""
    if record.estimate is None:
        return ""
    if record.low is None or record.high is None:
        return f"{decimals(record.estimate, sign=True)} (not proven)"
    return change_interval(record.estimate, record.low, record.high)


def explain_brackets(networks: Sequence[Recommendation]) -> str:
    """Explain what brackets in tables of uses are, else ties, and whose level is proven; nothing of no network."""
    shown: list[tuple[str, str, Scope | None]] = [(each.use_name, each.metric, each.best.scope) for each in networks]
    for each in networks:
        gain, own = each.gain_over_last, each.best.scope
        unproven = not gain.proven and own is not None and is_proven(each.metric, own)
        if gain.low is not None and (gain.scope != own or unproven):
            shown.append((f"gain for {each.use_name}", each.metric if gain.proven else "", gain.scope))
    alone = [(each.use_name, each.metric, each.shortlist_scope) for each in networks if not each.best.scope]
    step = max((each.last_step for each in networks), default=0)
    doubted = [each for each in networks if each.best.scope and not is_proven(each.metric, each.best.scope)]
    known = [each for each in networks if each.gain_over_last.scope or each.last_depth == 0 or each in doubted]
    lacking = {each.use_name: each.best.value for each in networks if each not in known}
    perfect = " (perfect scores do not vary)" * ({*lacking.values()} == {1.0})
    why = f"The gain has no interval{perfect}, so undecided: {joined([*lacking])}." if lacking else ""
    undecided = all(each.gain_over_last.status == Payoff.UNDECIDED for each in doubted)
    brackets = explain_intervals("[ ]", shown, step, ", so undecided" * undecided)
    few = FEW_CLASSES * (any(each.has_few_classes for each in networks) and "other images" not in brackets)
    return " ".join(filter(None, [brackets, why, explain_intervals("Ties", alone, step), few]))


def reason(found: Recommendation) -> str | None:
    """Why nothing is recommended; None where something is."""
    if found.unbeaten is None:
        return None
    level, best = LEVELS[found.unbeaten.name], f"{metric_name(found.metric)} {number(found.best.value)} at best"
    return f"no layer beats {level} ({best}, {level} {number(found.unbeaten.value)})"


def levels_to_beat(found: Recommendation) -> str:
    """Name the levels that no layer is shown to beat, or all if that is untested, with their scores."""
    values: dict[Level, float | None] = {"chance": found.chance, "raw_pixels": found.pixels}
    known = {LEVELS[name]: values[name] for name in found.doubtful or values if values[name] is not None}
    return joined([f"{name} ({number(value)})" for name, value in known.items()])


PRETRAINED = " of the pre-trained network"


def at_checkpoint(found: Recommendation) -> str:
    """Name the checkpoint of a recommended layer; nothing of a network that was measured as it is."""
    if found.best.step:
        return f" at step {found.best.step}"
    return PRETRAINED if len(found.candidate_steps) > 1 else ""


def scored_as(networks: Sequence[Recommendation]) -> str:
    """Say that scores are of L2-normalized embeddings, or of neighbours of other groups; nothing where they are not."""
    uses = {each.use_name: each.normalize for each in networks}
    of_unit_rows = [use for use, scaling in uses.items() if scaling == "l2"]
    which = "Scores" if len(of_unit_rows) == len(uses) else capitalized(joined(of_unit_rows))
    scaled = f"{which} {'uses' if len(of_unit_rows) == 1 < len(uses) else 'use'} L2-normalized embeddings."
    others = any(each.neighbours == "other_groups" for each in networks)
    return f"{scaled * bool(of_unit_rows)} {'Neighbours come only from different groups.' * others}".strip()
