"""All networks of a dataset: the main score on unseen classes by layer, the best one ringed, its lead at the right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, panel, records
from stages.aggregate.charts.intervals import with_bands
from stages.aggregate.charts.theme import (
    GREY,
    GROUND,
    LOW_HIGH,
    Look,
    Spec,
    Y,
    encode_looks,
    layer,
    layer_axis,
    level_layers,
    level_mark,
    model_looks,
)  # fmt: skip
from stages.aggregate.words.formatting import short_names

DRAWN = ("value", "low", "high", "tied")
APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""


@dataclass(frozen=True)
class NetworkLine:
    """One network of an overview.

    Attributes:
        model: its name.
        words: in the legend.
        best, last: depths of its best and of its last layer.
        lead: bounds of the lead over the last layer, as text; may be empty.
        aside: whether it says little and is drawn in grey, without bars.
    """

    model: str
    words: str
    best: int
    last: int
    lead: str = ""
    aside: bool = False


def overview_layers(looks: Mapping[str, Look], names: str, legend: Spec | None = None) -> list[Spec]:
    """Draw the score of every network against its layers; ties filled, the best ringed, the lead as a bar.

    Data sets: points (network, x, value, low, high, tip, and whether it is tied, the best, the last or aside); leads
    (network, x, from, to, value, text, tip); levels (kind, value).

    Args:
        looks: of every network.
        names: an expression: the names of the layers, or nothing where networks have not as many (`layer_axis`).
        legend: of the networks.
    """
    encoded, x = encode_looks("network", looks, legend), layer_axis(names)
    color, shape, dash = (encoded[channel] for channel in ("color", "shape", "strokeDash"))
    line = {"x": x, "y": Y, "color": color}
    hollow = {"condition": {"test": "datum.tied === false", "value": GROUND}} | color
    width = {"condition": {"test": "datum.aside", "value": 0.8}, "value": 1.8}
    size = {"condition": {"test": "datum.aside", "value": 14}, "value": 36}
    ends = {"y": Y | {"field": "from"}, "y2": {"field": "to"}}
    ring, bars = "datum.best && !datum.aside", "(datum.best || datum.last) && isValid(datum.low) && !datum.aside"
    dot = {"shape": shape, "size": size, "fill": hollow, "tooltip": {"field": "tip"}}
    return [
        *level_layers(),
        layer("points", {"type": "line"}, line | {"strokeDash": dash, "strokeWidth": width}),
        layer("points", {"type": "rule", "strokeWidth": 1.2}, line | LOW_HIGH, bars),
        layer("points", {"type": "point", "size": 150, "strokeWidth": 1.4, "opacity": 1}, line, ring),
        layer("points", {"type": "point", "opacity": 1}, line | dot),
        layer("leads", {"type": "rule", "strokeWidth": 3}, line | ends | {"tooltip": {"field": "tip"}}),
        layer("leads", {"type": "text", "align": "left", "dx": 6}, {"x": x, "y": Y, "text": {"field": "text"}}),
    ]  # fmt: skip


def overview_figure(
    points: pd.DataFrame, levels: Mapping[str, float], networks: Sequence[NetworkLine], models: Sequence[str],
    words: Words, *, title: str,
) -> Spec:  # fmt: skip
    """Draw a line per network.

    Args:
        points: one dataset's rows of depth.csv on unseen classes, of one score, the main pooling and the mean over
            folds.
        levels: `raw pixels` and `chance`, those that were measured.
        networks: in the order of the legend.
        models: every model of the grid, in order, which fixes its look.
        words: what the figure says.
        title: what its vertical axis is.
    """
    looks = {name: look for name, look in model_looks(models).items() if name in {net.model for net in networks}}
    looks |= {net.model: Look(GREY, looks[net.model].shape, looks[net.model].dash) for net in networks if net.aside}
    lengths = points.groupby("model")["depth"].nunique()
    same = lengths.nunique() == 1
    names, span = _names(points) if same else [], float(lengths.iloc[0] - 1 if same else 1) or 1.0
    shown = [net for net in networks if not net.aside]
    banded, rows, leads = with_bands(points), [], []
    for i, network in enumerate(networks):
        own = banded[banded["model"] == network.model].sort_values("depth")
        shift = APART * span * (i - (len(networks) - 1) / 2)
        rows += [
            _point(row, network, (row["depth"] if same else row["relative_depth"]) + shift)
            for row in records(own, [*DRAWN, "depth", "relative_depth"])
        ]
        if network in shown and network.best != network.last:
            values, place = own.set_index("depth")["value"], span * (1.04 + 0.02 * shown.index(network))
            text = network.lead if len(shown) == 1 else ""
            leads.append(_lead(network.model, values[network.last], values[network.best], place, text))
    legend: list[Entry] = [(net.words, looks[net.model].sample()) for net in networks]
    legend += [(f"{kind}: {value:.3f}", [level_mark(kind)]) for kind, value in levels.items()]
    sets = {"points": rows, "leads": leads, "levels": [{"kind": kind, "value": v} for kind, v in levels.items()]}
    room = 70 if len(shown) == 1 and shown[0].lead else 0
    chart = panel(overview_layers(looks, str(names)), sets, (inner_width(1) - room, 190), heading(0, 1, title))
    return figure([chart], words, legend=legend, per_line=1)


def _point(row: Mapping[str, Any], network: NetworkLine, x: float) -> dict[str, Any]:
    """One layer of a network."""
    place = {"network": network.model, "x": x, "best": row["depth"] == network.best, "aside": network.aside}
    return {name: row[name] for name in DRAWN} | place | {"last": row["depth"] == network.last}


def _names(points: pd.DataFrame) -> list[str]:
    """Number the layers, and name them where there is one network."""
    own = points[points["model"] == points["model"].iloc[0]].sort_values("depth")
    alone = points["model"].nunique() == 1
    return [f"{i} {name}" if alone else str(i) for i, name in enumerate(short_names(own["layer"]), 1)]


def _lead(model: str, last: float, best: float, x: float, text: str) -> dict[str, Any]:
    """A bar from the height of a network's last layer to that of its best one."""
    return {"network": model, "x": x, "from": last, "to": best, "value": (last + best) / 2, "text": text}
