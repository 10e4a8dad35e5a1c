"""Scores against depth, for one network on one dataset: the paper's third figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, panel, records
from stages.aggregate.charts.intervals import with_bands
from stages.aggregate.charts.theme import (
    BAND,
    GROUND,
    LEVEL_DASHES,
    LOW_HIGH,
    SEEN,
    UNSEEN,
    Look,
    Spec,
    Y,
    encode_looks,
    layer,
    layer_axis,
    level_layers,
    level_mark,
)  # fmt: skip
from stages.aggregate.words.formatting import short_names

LOOKS = {"unseen": Look(UNSEEN), "seen": Look(SEEN, "square")}
"""How the curves of the two kinds of classes look."""
LOG_FACTOR = 30
"""A score that is no share (above 2) gets a logarithmic axis if it spans a larger factor."""
MAX_LABELS, TILTED = 26, 16
"""Layers labelled on an axis; of more, every second, third, ... one. Of more than `TILTED`, labels stand upright, and
dots are small."""
DRAWN = ("split", "value", "low", "high", "tied")
TIED, WORSE, BEST = "ties with the best", "worse than the best", "best layer"


@dataclass(frozen=True)
class Panel:
    """One score of one network.

    Attributes:
        points: at its last step, by `split`; columns depth, layer, value, and what `with_bands` needs.
        levels: what they compare with: split and kind (`raw pixels`, `chance`) -> its value.
        best: depth of the best layer on unseen classes, if there is one.
        title, subtitle: the score, and its best layer.
    """

    points: pd.DataFrame
    levels: Mapping[tuple[str, str], float]
    best: int | None
    title: str
    subtitle: str


def depth_layers(names: str, angle: float = 0, dots: float = 26) -> list[Spec]:
    """Draw one score of one network against depth, on both splits.

    Data sets: points (split, x, value, low, high, tip, and whether it is tied, or the best); folds (fold, split, x,
    value); levels (split, kind, value, tip). Parameter `split`: the one that stands out, with its band and its ties.

    Args:
        names: an expression: the names of the layers.
        angle: of these.
        dots: their size.
    """
    encoded, x, on = encode_looks("split", LOOKS), layer_axis(names, angle), "datum.split == split"
    line = {"x": x, "y": Y, "color": encoded["color"]}
    standing = {"strokeWidth": {"condition": {"test": on, "value": 1.8}, "value": 1.1}}
    hollow = {"condition": {"test": f"{on} && datum.tied === false", "value": GROUND}} | encoded["color"]
    dot = {"shape": encoded["shape"], "fill": hollow, "tooltip": {"field": "tip"}}
    return [
        layer("points", {"type": "area", "opacity": BAND}, line | LOW_HIGH, f"{on} && isValid(datum.low)"),
        layer("folds", {"type": "line", "strokeWidth": 0.7, "opacity": 0.45}, line | {"detail": {"field": "fold"}}),
        *level_layers({"color": encoded["color"]}),
        layer("points", {"type": "line"}, line | standing),
        layer("points", {"type": "point", "size": dots, "strokeWidth": dots**0.5 / 3, "opacity": 1}, line | dot),
        layer("points", {"type": "point", "size": 110, "strokeWidth": 1.4, "opacity": 1}, line, f"{on} && datum.best"),
    ]


def depth_figure(panels: Sequence[Panel], words: Words) -> Spec:
    """Draw a panel per score: seen and unseen classes, raw pixels, chance, the best layers."""
    columns = 1 if len(panels) == 1 else 2
    specs, every = [], []
    for i, one in enumerate(panels):
        points = pd.concat([with_bands(own) for _, own in one.points.groupby("split", sort=False)])
        layers = one.points.drop_duplicates("depth").sort_values("depth")["layer"]
        lowest = i + columns >= len(panels)
        stride = math.ceil(len(layers) / MAX_LABELS)
        names = [f"{n} {name}" if lowest else str(n) for n, name in enumerate(short_names(layers, 16), 1)]
        names = [name if n % stride == 0 else "" for n, name in enumerate(names)]
        rows = [
            {name: row[name] for name in DRAWN} | {"x": row["depth"], "best": row["depth"] == one.best}
            for row in records(points.sort_values("depth"), [*DRAWN, "depth"])
        ]
        levels: list[Spec] = [{"split": split, "kind": kind, "value": v} for (split, kind), v in one.levels.items()]
        deep = len(layers) > TILTED
        drawn = depth_layers(str(names), (-90 if deep else -45) if lowest else 0, 10 if deep else 26)
        ends = [row[end] for row in [*rows, *levels] for end in ("value", "low", "high") if row.get(end) is not None]
        for part in drawn if spans_much(ends) else []:
            part["encoding"]["y"] = part["encoding"]["y"] | {"scale": {"type": "log", "nice": False}}
        head = heading(i, len(panels), one.title, one.subtitle, UNSEEN)
        specs.append(panel(drawn, {"points": rows, "levels": levels}, (inner_width(columns), 100), head))
        every += rows
    kinds = {key for one in panels for key in one.levels}
    spec = figure(specs, words, columns=columns, legend=_legend(every, kinds))
    return spec | {"params": [{"name": "split", "value": "unseen"}]}


def spans_much(values: Sequence[float]) -> bool:
    """Whether values are no shares, all above 0, and span so large a factor that their axis should be logarithmic."""
    known = [value for value in values if np.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > max(2, LOG_FACTOR * min(known))


def _legend(rows: Sequence[Mapping[str, object]], levels: set[tuple[str, str]]) -> list[Entry]:
    """Explain what the panels have in common."""
    dot = {"type": "point", "color": UNSEEN, "size": 26, "opacity": 1}
    entries = [
        (f"{split} classes", look.sample()) for split, look in LOOKS.items() if any(r["split"] == split for r in rows)
    ]
    entries += [(BEST, [dot | {"size": 110, "strokeWidth": 1.4}])] if any(row["best"] for row in rows) else []
    if any(row["tied"] is not None for row in rows):
        entries += [(TIED, [dot | {"filled": True}]), (WORSE, [dot | {"fill": GROUND}])]
    if any(row["low"] is not None and row["split"] == "unseen" for row in rows):
        entries.append(("band of unseen classes", [{"type": "rect", "color": UNSEEN, "opacity": BAND}]))
    for kind in LEVEL_DASHES:
        splits = [split for split in LOOKS if (split, kind) in levels]
        entries += [(f"{kind}, {split}", [level_mark(kind) | {"color": LOOKS[split].color}]) for split in splits]
    return entries
