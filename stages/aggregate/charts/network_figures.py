"""The figures of one network on one dataset.

depth: the score that leads each use against depth; appendix: a few further scores
layer_pairs: how alike the layers represent the same images: linear CKA of every pair of layers
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...core.scores.description import ON_PAGE
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ..compute import Results
from ..curves import CURVE, MEAN, each_curve
from ..words import figure_titles as words
from ..words.formatting import numbered, short_names
from ..words.scores import directed_name, metric_name
from ..words.study import averages
from . import theme
from .bands import DEVIATION, NO_BAND, with_bands
from .frame import Words, figure, heading, inner_width, legend_of, panel, records
from .theme import Look, Spec, encode_looks, layer

OTHER = "other"
LOOKS = {"unseen": Look(theme.UNSEEN), "seen": Look(theme.SEEN, "square")}
LOOKS |= {OTHER: Look(theme.GREY, "diamond", (5.0, 3.0))}
"""How the curves of the two kinds of classes look, and that of unseen classes at another checkpoint."""
SPLITS = {UNSEEN: "unseen", SEEN: "seen"}
LOG_FACTOR = 30
"""A score that is no share (above 2) gets a logarithmic axis if it spans a larger factor."""

APPENDIX = (
    *("nn1_accuracy", "few_shot_accuracy_5", "silhouette", "ood_auroc_mahalanobis"),
    *("intrinsic_dimension", "rankme"),
)
"""Scores beside those that lead the uses: of several that rank layers alike only one. layers.csv has all."""

MAX_NUMBERS = 12
"""Layers up to which every cell shows its number."""
NAMES = 64
"""Points of the names beside a matrix."""

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def depth_layers(
    names: str, angle: float = 0, dots: float = 26, scale: Spec | None = None, legend: Spec | None = None
) -> list[Spec]:
    """Draw one score of one network against depth, on both splits.

    Data sets: points, as of `line_layers`; levels (split, kind, value, tip). Parameter: the `split` that stands out.

    Args:
        names: an expression: the names of the layers.
        angle: of these.
        dots: their size.
        scale: of the vertical axis.
        legend: of the splits.
    """
    levels = theme.level_layers({"color": encode_looks("split", LOOKS, legend)["color"]})
    x, on = theme.layer_axis(names, angle), "datum.split == split"
    lines = theme.line_layers("split", LOOKS, x, legend, size=dots, on=on, band=True, ring=True, scale=scale)
    return [*levels, *lines]


def depth(results: Results) -> dict[str, Spec]:
    """Draw for each network the score that leads each use, then a few further ones as an appendix; by figure's name."""
    leads = {each.metric for each in results.facts.recommendations}
    points = results.shown.scores.at_last(SEEN, UNSEEN)
    points = points[points["metric"].isin([*leads, *APPENDIX])]
    figures: dict[str, dict[tuple[str, ...], pd.DataFrame]] = {}
    for key, own in each_curve(points[points["fold"] == MEAN]):
        dataset, model, _, pooling, metric = key
        kind, suffix = "depth" if metric in leads else "appendix", "" if own["main"].all() else f"-{pooling}"
        figures.setdefault(f"{kind}-{dataset}-{model}{suffix}", {})[key] = own
    return {name: _depth(results, chosen) for name, chosen in figures.items()}


def _depth(results: Results, chosen: Mapping[tuple[str, ...], pd.DataFrame]) -> Spec:
    means, catalogue, uses = averages(results.scores), results.scores.catalogue, ON_PAGE
    shown = sorted(chosen, key=lambda key: [*uses, catalogue[key[-1]].use].index(catalogue[key[-1]].use))
    others = dict(each_curve(results.shown.others.points))
    curves = [curve_points(chosen[key], others.get(key)) for key in shown]
    step, name = max(int(own["step"].iloc[0]) for own in curves), curves[0].iloc[0]
    rows = [row for row in results.shown.rows if tuple(getattr(row, key) for key in CURVE) in chosen]
    bands = {key[-1]: own["band"].iloc[0] for key, own in zip(shown, curves, strict=True)}
    scopes = [(metric_name(metric), metric, band) for metric, band in bands.items() if band not in (DEVIATION, NO_BAND)]
    of = words.network_at(name["model"], name["dataset"], words.checkpoint(step, own=not others), name["pooling"])
    caption = words.depth_caption(of, step, means, scopes, sd=DEVIATION in bands.values())
    taken = [results.shown.taken.get((name["dataset"], name["model"], key[-1])) for key in shown]
    return depth_figure(curves, step, (words.layers_title(rows), caption), taken)


def curve_points(curve: pd.DataFrame, other: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add the bands to the points of one score, those of unseen classes first, whose best layer is marked on both.

    Args:
        curve: at one checkpoint.
        other: the same at another one, of which unseen classes follow, without bands.
    """
    best = curve.loc[curve["best"] & (curve["split"] == UNSEEN), "depth"]
    points = pd.concat([with_bands(own) for split in SPLITS if len(own := curve[curve["split"] == split])])
    points = points.assign(split=points["split"].map(SPLITS), best=points["depth"].isin(best))
    if other is not None:
        beside = with_bands(other[other["split"] == UNSEEN], spread=False)
        points = pd.concat([points, beside.assign(split=OTHER, best=False)])
    return points.assign(x=points["depth"])


def depth_figure(
    curves: Sequence[pd.DataFrame], step: int, text: Words, taken: Sequence[int | None] | None = None
) -> Spec:
    """Draw a panel per score: seen and unseen classes, raw pixels, chance, the best layers, another checkpoint thin.

    Args:
        curves: points of each score, of `curve_points`.
        step: of the figure; a panel of another one names that.
        text: what the figure says.
        taken: depth of the layer that is recommended by each score.
    """
    columns, specs = min(len(curves), 2), []
    drawn_steps = {at for own in curves for at in own.loc[own["split"] == OTHER, "step"]}
    splits = {name for own in curves for name in own["split"]}
    names = {name: f"{name} classes" for name in LOOKS} | {OTHER: f"unseen classes, {words.checkpoints(drawn_steps)}"}
    key = legend_of(2, {name: named for name, named in names.items() if name in splits})
    for i, own in enumerate(curves):
        rows, levels = records(own, ["split", "x", "value", "low", "high", "band", "tied", "best"]), _levels(own)
        layers = list(own.loc[own["split"] == own["split"].iloc[0], "layer"])
        lowest, n = i + columns >= len(curves), len(layers)
        labels = [name if lowest else name.split()[0] for name in numbered(layers, 16)]
        ends = [row.get(end) for row in [*rows, *levels] for end in ("value", "low", "high")]
        scale = {"type": "log", "nice": False} if spans_much([end for end in ends if end is not None]) else None
        shown = key if i == len(curves) - 1 else None
        drawn = depth_layers(str(labels), -45 if lowest else 0, 26 if n <= 16 else 10, scale, shown)
        title = directed_name(own["metric"].iloc[0], own["better"].iloc[0])
        best = [*own.loc[own["best"], ["depth", "value"]].itertuples(index=False, name=None)]
        at, better = int(own["step"].iloc[0]), own["better"].iloc[0]
        subtitle = words.panel_words(short_names(layers, 16), best, better, taken[i] if taken else None)
        subtitle += f", {words.checkpoint(at)}" if at != step else ""
        head = heading(i, len(curves), title, subtitle, theme.UNSEEN)
        specs.append(panel(drawn, {"points": rows, "levels": levels}, (inner_width(columns), 100), head))
    return figure(specs, text, columns=columns) | {"params": [{"name": "split", "value": "unseen"}]}


def _levels(points: pd.DataFrame) -> list[Spec]:
    """What the points of each split compare with."""
    levels = [
        {"split": split, "kind": kind, "value": float(level)}
        for split, own in points[points["split"] != OTHER].groupby("split", sort=False)
        for kind, level in {"raw pixels": own["pixels"].iloc[0], "chance": own["chance"].mean()}.items()
    ]
    return [level for level in levels if pd.notna(level["value"])]


def spans_much(values: Sequence[float]) -> bool:
    """Whether values are no shares, all above 0, and span so large a factor that their axis should be logarithmic."""
    known = [value for value in values if np.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > max(2, LOG_FACTOR * min(known))


def layer_pairs(results: Results) -> dict[str, Spec]:
    """Draw the matrices of every network, by the name of the figure."""
    specs, means = {}, averages(results.scores)
    for (dataset, model), own in results.tables["layer_pairs.csv"].groupby(["dataset", "model"], sort=False):
        own = own[results.scores.on_main_curve(own, "_a") & results.scores.on_main_curve(own, "_b")]
        matrices = {str(split): matrix(rows) for split, rows in own.groupby("split") if split in SPLITS}
        if matrices:
            split = UNSEEN if UNSEEN in matrices else SEEN
            layers, values = matrices[split]
            neighbours = list(np.diag(values, 1))[layers[0] == "pixels" :]
            caption = words.pairs_caption(
                words.network_at(str(model), str(dataset), f"step {own.iloc[0]['step']}"), means
            )
            text = words.pairs_title(neighbours, f"{SPLITS[split]} classes"), caption
            specs[f"layer_pairs-{dataset}-{model}"] = layer_pairs_figure(matrices, text)
    return specs


def layer_pairs_figure(matrices: Mapping[str, tuple[list[str], Matrix]], text: Words) -> Spec:
    """Draw the matrix of each split under what the figure says, the input at the top and at the left."""
    axis: Spec = {"labelLimit": NAMES, "labelOverlap": True, "ticks": False, "domain": False, "grid": False}
    color: Spec = {"field": "value", "type": "quantitative", "scale": {"scheme": "cividis", "domain": [0, 1]}}
    color["scale"]["clamp"] = True
    dark = {"condition": {"test": "datum.value < 0.5", "value": "white"}, "value": "#222222"}
    number = {"field": "value", "type": "quantitative", "format": ".2f"}
    panels, size = [], inner_width(2) - NAMES - 1  # room for the legend of colours
    for i, (split, (layers, values)) in enumerate(matrices.items()):
        own = [name for name in layers if name != "pixels"]
        names = ["raw pixels"] * (len(own) < len(layers)) + numbered(own)
        cells = [{"a": a, "b": b, "value": v} for (b, a), v in np.ndenumerate(values) if not np.isnan(v)]
        sets = {"cells": cells, "numbers": cells if len(layers) <= MAX_NUMBERS else []}
        place, named = {"type": "ordinal", "title": None}, axis | {"labelExpr": f"{names}[datum.value]"}
        x, y = place | {"field": "a", "axis": named | {"labelAngle": -90}}, place | {"field": "b", "axis": named}
        key = {"title": "linear CKA", "gradientLength": 140} if i == len(matrices) - 1 else None
        drawn = [
            layer("cells", {"type": "rect"}, {"x": x, "y": y, "color": color | {"legend": key}}),
            layer("numbers", {"type": "text", "fontSize": 6}, {"x": x, "y": y, "text": number, "color": dark}),
        ]
        panels.append(panel(drawn, sets, (size, size), heading(i, len(matrices), f"images of {SPLITS[split]} classes")))
    return figure(panels, text, columns=2, axis=NAMES)


def matrix(rows: pd.DataFrame) -> tuple[list[str], Matrix]:
    """Fill the symmetric matrix of one split's pairs, mean over folds and seeds; NaN for a pair that is missing.

    Returns:
        The layers by depth; (L, L) float64.
    """
    ends = [rows[[f"depth_{end}", f"layer_{end}"]].set_axis(["depth", "layer"], axis=1) for end in "ab"]
    layers = list(pd.concat(ends).drop_duplicates().sort_values("depth")["layer"])
    means = rows.pivot_table(index="layer_a", columns="layer_b", values="cka").reindex(index=layers, columns=layers)
    return layers, means.fillna(means.T).to_numpy(dtype=np.float64)
