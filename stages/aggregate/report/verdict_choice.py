"""The verdict's recommendation, in wordings from long to short."""

from collections.abc import Sequence

from stages.aggregate.formatting import harmless, joined, layers, percent, place
from stages.aggregate.recommend.schema import LayerRecord, Recommendation
from stages.aggregate.report.recommendation import at_checkpoint
from stages.aggregate.report.scopes import SHORT, at_start

NAMED = 3
"""How many networks that are not distinguishable are named."""


def choice(found: Sequence[Recommendation]) -> list[str]:
    """Say which layer of which network to take features from, or what is not distinguishable; of datasets, counts.

    A network without a recommendation, no better than raw pixels or chance, is never named.
    """
    if len({each.dataset for each in found}) > 1:
        return _counts(found)
    useful = useful_networks(found)
    if not useful:
        return _nothing(found)
    return _one(useful[0], _beaten(found)) if len(useful) == 1 else _several(useful)


def useful_networks(found: Sequence[Recommendation]) -> list[Recommendation]:
    """The best network of a dataset, and those that are not shown to be worse; none where none is of use."""
    known = [each for each in found if each.recommended is not None]
    best = best_network(known)
    return [] if best is None else [best, *(each for each in known if each is not best and not _worse(each))]


def best_network(found: Sequence[Recommendation]) -> Recommendation | None:
    """The network of the best recommended layer, the first of equal ones."""
    known = [each for each in found if each.recommended is not None]
    return max(known, key=_gain, default=None)


def _gain(found: Recommendation) -> float:
    assert found.recommended is not None
    return -found.recommended.value if found.better == "lower" else found.recommended.value


def _worse(found: Recommendation) -> bool:
    return found.behind is not None and found.behind.distinguishable


def _nothing(found: Sequence[Recommendation]) -> list[str]:
    if len(found) == 1:
        return [f"No recommendation: {found[0].reason}."]
    return [f"No recommendation: in none of {len(found)} networks does a layer beat raw pixels and chance."]


def _beaten(found: Sequence[Recommendation]) -> str:
    """Say in which scope the best network beats the others; nothing where there are no others to compare with."""
    scopes = {each.behind.scope for each in found if each.behind is not None}
    return f", the best network ({SHORT['images' if 'images' in scopes else 'classes']})" if scopes else ""


def _one(found: Recommendation, beaten: str) -> list[str]:
    chosen = found.recommended
    assert chosen is not None
    name, doubt = harmless(found.model), f" But {found.caveat}." if found.caveat else ""
    at, layer = at_checkpoint(found, chosen.step), harmless(chosen.layer)
    if found.last_depth == 0:
        return [f"Take {name}{beaten}: its only layer ({layer}){at}.{doubt}"]
    where = f"layer {place(chosen.depth, found.last_depth)}"
    cost = f" ({percent(share)} of the multiply-adds)" if (share := chosen.operations_share) is not None else ""
    takes = _takes(chosen, ", which takes ")
    tied, first = _ties(found, chosen), _shallowest(found, chosen)
    named = f"; the shallowest, {first.depth + 1} ({harmless(first.layer)}){_takes(first, ', takes ')}" if first else ""
    brief = f"; {first.depth + 1} is the shallowest{_share(first)}" if first else ""
    return [
        f"Take features from {name}{beaten}: {where} ({layer}){at}{takes}.{doubt} {tied}{named}.",
        f"Take {name}{beaten}: {where} ({layer}){at}{cost}.{doubt} {tied}{brief}.",
        f"Take {name}{beaten}: {where} ({layer}){at}{cost}; {_shallowest_tie(found, first)}.{doubt}",
        f"Take {name}, {where}{at}{cost}.{doubt} {tied}{brief}.",
        f"Take {name}, {where}{at}; {_shallowest_tie(found, first)}.{doubt}",
    ]


def _ties(found: Recommendation, chosen: LayerRecord) -> str:
    others = [layer.depth for layer in found.shortlist if layer.depth != chosen.depth]
    if found.shortlist_scope is None:
        return "Which layers tie is not known"
    scope = SHORT[found.shortlist_scope]
    if not others:
        return f"No other layer ties ({scope})"
    return f"{layers(others).capitalize()} {'tie' if len(others) > 1 else 'ties'} ({scope})"


def _shallowest(found: Recommendation, chosen: LayerRecord) -> LayerRecord | None:
    """The shallowest layer that ties, where it is another one."""
    first = found.shallowest
    return first if first is not None and first.depth < chosen.depth else None


def _shallowest_tie(found: Recommendation, first: LayerRecord | None) -> str:
    if found.shortlist_scope is None:
        return "which layers tie is not known"
    scope = SHORT[found.shortlist_scope]
    return f"the shallowest tie is {first.depth + 1} ({scope})" if first else f"no shallower layer ties ({scope})"


def _takes(layer: LayerRecord, before: str) -> str:
    """Say what a layer takes, after these words; nothing where that is not known."""
    shares = {"parameters": layer.parameters_share, "multiply-adds": layer.operations_share}
    known = [f"{percent(share)} of the {what}" for what, share in shares.items() if share is not None]
    return f"{before}{joined(known)}" if known else ""


def _share(layer: LayerRecord) -> str:
    return "" if layer.operations_share is None else f" ({percent(layer.operations_share)})"


def _several(found: Sequence[Recommendation]) -> list[str]:
    """Name networks that are not distinguishable, each with its layer."""
    behind = [each.behind for each in found[1:]]
    known = [each for each in behind if each is not None]
    scope = SHORT["images" if any(each.scope == "images" for each in known) else "classes"]
    why = f"not distinguishable ({scope})" if len(known) == len(behind) else "the best is not known"
    doubtful = [harmless(each.model) for each in found if each.caveat]
    doubt = f" Not shown to beat raw pixels: {joined(doubtful[:NAMED])}." if doubtful else ""
    wordings = ((NAMED, True), (NAMED, False), (2, False))
    listed = [_or([_with_layer(each, named=named) for each in found], shown) for shown, named in wordings]
    places = [_where(each).replace(", layer ", ", ") for each in found]
    return [*(f"Take {names}: {why}.{doubt}" for names in listed), f"{at_start(why)}: {_or(places, 2)}.{doubt}"]


def _with_layer(found: Recommendation, *, named: bool) -> str:
    """Name a network and its layer, by its number alone or also by its name."""
    chosen, first = found.recommended, found.shallowest
    assert chosen is not None
    tied = f" ({first.depth + 1} ties)" if first and first.depth < chosen.depth else ""
    layer = f" ({harmless(chosen.layer)}){at_checkpoint(found, chosen.step)}" if named else ""
    return f"{_where(found)}{layer}{tied}"


def _where(found: Recommendation) -> str:
    assert found.recommended is not None
    return f"{harmless(found.model)}, layer {place(found.recommended.depth, found.last_depth)}"


def _or(names: list[str], shown: int) -> str:
    others = len(names) - shown
    listed = [*names[:shown], f"{others} more networks"] if others > 1 else names
    return f"{'; '.join(listed[:-1])}; or {listed[-1]}"


def _counts(found: Sequence[Recommendation]) -> list[str]:
    by_dataset: dict[str, list[Recommendation]] = {}
    for each in found:
        by_dataset.setdefault(each.dataset, []).append(each)
    useful = [each for each in found if each.recommended is not None]
    compared = [own for own in by_dataset.values() if sum(each.recommended is not None for each in own) > 1]
    alone = sum(len(useful_networks(own)) == 1 for own in compared)
    tied = sum(len(each.shortlist) > 1 for each in useful)
    scopes = {each.shortlist_scope for each in useful if each.shortlist_scope}
    scope = f" ({SHORT['images' if 'images' in scopes else 'classes']})" if scopes else ""
    best = [f"one network is best in {alone} of {len(compared)} datasets"] if compared else []
    ties = [f"layers tie in {tied} of {len(useful)} cases"] if scopes else ["which layers tie is not known"]
    none = [f"{len(found) - len(useful)} of {len(found)} cases beat no raw pixels or chance"]
    said = [*best, *ties, *(none if len(useful) < len(found) else [])]
    text = f"{'; '.join(said)}{scope}"
    brief = f"{'; '.join([*ties, *best])}{scope}"
    return [f"`whichlayer recommend` names a layer for each case: {text}.", f"{at_start(text)}.", f"{at_start(brief)}."]
