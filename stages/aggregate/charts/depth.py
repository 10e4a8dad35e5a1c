"""Scores against depth, for one network on one dataset: the paper's third figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, panel, records
from stages.aggregate.charts.intervals import has_ties, interval_scope, with_bands
from stages.aggregate.charts.theme import LOW_HIGH, Look, Spec, Y, encode_looks, layer
from stages.aggregate.curves import CURVE, MEAN, Curve, Scores, curves
from stages.aggregate.results import Results
from stages.aggregate.scope import Scope
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import place, short_names
from stages.aggregate.words.scores import metric_name
from stages.shared.embeddings.split_names import SEEN, UNSEEN

LOOKS = {"unseen": Look(theme.UNSEEN), "seen": Look(theme.SEEN, "square")}
"""How the curves of the two kinds of classes look."""
SPLITS = {UNSEEN: "unseen", SEEN: "seen"}
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
    encoded, x, on = encode_looks("split", LOOKS), theme.layer_axis(names, angle), "datum.split == split"
    line = {"x": x, "y": Y, "color": encoded["color"]}
    standing = {"strokeWidth": {"condition": {"test": on, "value": 1.8}, "value": 1.1}}
    hollow = {"condition": {"test": f"{on} && datum.tied === false", "value": theme.GROUND}} | encoded["color"]
    dot = {"shape": encoded["shape"], "fill": hollow, "tooltip": {"field": "tip"}}
    return [
        layer("points", {"type": "area", "opacity": theme.BAND}, line | LOW_HIGH, f"{on} && isValid(datum.low)"),
        layer("folds", {"type": "line", "strokeWidth": 0.7, "opacity": 0.45}, line | {"detail": {"field": "fold"}}),
        *theme.level_layers({"color": encoded["color"]}),
        layer("points", {"type": "line"}, line | standing),
        layer("points", {"type": "point", "size": dots, "strokeWidth": dots**0.5 / 3, "opacity": 1}, line | dot),
        layer("points", {"type": "point", "size": 110, "strokeWidth": 1.4, "opacity": 1}, line, f"{on} && datum.best"),
    ]


def depth(results: Results) -> dict[str, Spec]:
    """Draw for each network the main score and the paper's, then the further scores of each use; by figure's name."""
    main_metric = next(row.metric for row in results.summary if row.main)
    means = results.scores.curves[results.scores.curves["fold"] == MEAN]
    specs: dict[str, Spec] = {}
    for (dataset, model, pooling, is_main), points in means.groupby(
        ["dataset", "model", "pooling", "main"], sort=False
    ):
        figures: dict[str, list[Curve]] = {}
        for curve in curves(points):
            score = results.scores.catalogue[curve.name["metric"]]
            first = curve.name["metric"] == main_metric or score.in_paper
            figures.setdefault("depth" if first else f"depth_{score.use}", []).append(curve)
        for name, chosen in sorted(figures.items(), key=lambda item: item[0] != "depth"):
            suffix = "" if is_main else f"-{pooling}"
            specs[f"{name}-{dataset}-{model}{suffix}"] = _depth(results, chosen)
    return specs


def _depth(results: Results, chosen: Sequence[Curve]) -> Spec:
    averages = words.averages(results.scores)
    keys = {curve.key for curve in chosen}
    rows = [row for row in results.summary if tuple(getattr(row, key) for key in CURVE) in keys]
    step, name = max(curve.last for curve in chosen), chosen[0].name
    panels = [_panel(results.scores, curve, step) for curve in chosen]
    if not rows or name["better"] == "neither":
        points = panels[0].points[panels[0].points["split"] == "unseen"].sort_values("depth")["value"]
        title = words.course_title(name["metric"], points.iloc[0], points.iloc[-1])
    else:
        title = words.scores_title(rows)
    parts = [f"{name['model']} on {name['dataset']}, step {step}, pooling {name['pooling']}; {averages.words}"]
    unseen = {
        str(curve.name["metric"]): one.points[one.points["split"] == "unseen"]
        for curve, one in zip(chosen, panels, strict=True)
    }
    scopes: dict[str, Scope] = {metric: scope for metric, own in unseen.items() if (scope := interval_scope(own))}
    ties = any(map(has_ties, unseen.values()))
    parts += [words.explain_intervals(scopes, "Bands and ties" if ties else "Bands")] if scopes else []
    spread = averages.vary and len(scopes) < len(chosen)
    parts += [f"{'Other bands' if scopes else 'Bands'}: {averages.spread}"] if spread else []
    return depth_figure(panels, Words(title, ". ".join(parts) + "."))


def _panel(scores: Scores, curve: Curve, step: int) -> Panel:
    """One score at its last step; the figure's step is named in its subtitle if that is another."""
    last, name = curve.last, curve.name
    points = pd.DataFrame([*curve.at(SEEN, last), *curve.at(UNSEEN, last)])
    levels = {
        (classes, kind): float(level)
        for split, classes in SPLITS.items()
        if len(own := points[points["split"] == split])
        for kind, level in (("raw pixels", scores.baseline_at(name, split, last)), ("chance", own["chance"].mean()))
        if level is not None and pd.notna(level)
    }
    point = curve.best(UNSEEN, last)
    if name["better"] == "neither":
        words_of = "neither high nor low is better"
    elif point is None:
        words_of = "undefined on unseen classes"
    else:
        own = points[points["split"] == UNSEEN].sort_values("depth")
        names = dict(zip(own["layer"], short_names(own["layer"], 16), strict=True))
        where = place(int(point["depth"]), int(own["depth"].max()))
        words_of = f"best at layer {where} ({names[point['layer']]}): {point['value']:.2f}"
    at = f", step {last}" if last != step else ""
    lower = " (lower is better)" if name["better"] == "lower" else ""
    return Panel(
        points.assign(split=points["split"].map(SPLITS)), levels, None if point is None else int(point["depth"]),
        f"{metric_name(str(name['metric']))}{lower}", words_of + at,
    )  # fmt: skip


def depth_figure(panels: Sequence[Panel], text: Words) -> Spec:
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
        head = heading(i, len(panels), one.title, one.subtitle, theme.UNSEEN)
        specs.append(panel(drawn, {"points": rows, "levels": levels}, (inner_width(columns), 100), head))
        every += rows
    kinds = {key for one in panels for key in one.levels}
    spec = figure(specs, text, columns=columns, legend=_legend(every, kinds))
    return spec | {"params": [{"name": "split", "value": "unseen"}]}


def spans_much(values: Sequence[float]) -> bool:
    """Whether values are no shares, all above 0, and span so large a factor that their axis should be logarithmic."""
    known = [value for value in values if np.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > max(2, LOG_FACTOR * min(known))


def _legend(rows: Sequence[Mapping[str, object]], levels: set[tuple[str, str]]) -> list[Entry]:
    """Explain what the panels have in common."""
    dot = {"type": "point", "color": theme.UNSEEN, "size": 26, "opacity": 1}
    entries = [
        (f"{split} classes", look.sample()) for split, look in LOOKS.items() if any(r["split"] == split for r in rows)
    ]
    entries += [(BEST, [dot | {"size": 110, "strokeWidth": 1.4}])] if any(row["best"] for row in rows) else []
    if any(row["tied"] is not None for row in rows):
        entries += [(TIED, [dot | {"filled": True}]), (WORSE, [dot | {"fill": theme.GROUND}])]
    if any(row["low"] is not None and row["split"] == "unseen" for row in rows):
        entries.append(("band of unseen classes", [{"type": "rect", "color": theme.UNSEEN, "opacity": theme.BAND}]))
    for kind in theme.LEVEL_DASHES:
        splits = [split for split in LOOKS if (split, kind) in levels]
        entries += [(f"{kind}, {split}", [theme.level_mark(kind) | {"color": LOOKS[split].color}]) for split in splits]
    return entries
