"""The figures of a dataset, with all its networks: scores by layer, over training, and of corrupted images.

overview: the main score on unseen classes by layer, the best layer ringed, the gain at the right
steps: generalization and accuracy against training step, a panel per network: the paper's second figure
robustness: a score of clean and of corrupted images by layer, beside raw pixels, a row of panels per network
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.bands import ends_alone, with_bands
from stages.aggregate.charts.frame import Words, figure, heading, inner_width, legend_of, main_rows, panel, records
from stages.aggregate.charts.theme import Look, Spec, Y, encode_looks, layer
from stages.aggregate.compute import Results
from stages.aggregate.findings.outcomes import DatasetFindings
from stages.aggregate.inference.gain import Gain
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.averages import averages
from stages.aggregate.words.formatting import decimals, numbered, shorten
from stages.aggregate.words.intervals import SCOPES
from stages.aggregate.words.scores import LOWER, metric_name
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.metric_table import HEAD

APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""

LINES = {
    "unseen": Look(theme.UNSEEN),
    "seen": Look(theme.SEEN, "square"),
    "accuracy": Look(theme.TEXT, "diamond", (5.0, 3.0)),
    "unseen_fixed": Look("#6FB1DD", "triangle-up", (2.0, 2.0)),
}
"""A column of steps.csv, and how its line looks; `<column>_sd` makes its bars."""
LINE_LOOKS = {words.STEP_LINES[column]: look for column, look in LINES.items()}
FIXED = "unseen_fixed"
STEP_AXIS: Spec = {"field": "step", "type": "quantitative", "title": "optimizer step"}
STEP_AXIS |= {"scale": {"nice": False, "padding": 10}}

SHADES = ("#7DB8E0", theme.UNSEEN, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""
CORRUPTED_SCORE = "probe_accuracy"
CLEAN = "clean images"


def overview_layers(looks: Mapping[str, Look], names: str, legend: Spec | None = None) -> list[Spec]:
    """Draw the score of every network against its layers; ties filled, the best ringed, the lead as a bar.

    Data sets: points, as of `line_layers`, by network, and whether it is aside; leads (network, x, from, to, value,
    text, tip); levels (kind, value).

    Args:
        looks: of every network.
        names: an expression: the names of the layers, or nothing where networks have not as many (`theme.layer_axis`).
        legend: of the networks.
    """
    x, place = theme.layer_axis(names), {"y": Y | {"field": "from"}, "y2": {"field": "to"}, "tooltip": {"field": "tip"}}
    color = {"color": encode_looks("network", looks, legend)["color"]}
    return [
        *theme.level_layers(),
        *theme.line_layers("network", looks, x, legend, size=36, on="!datum.aside", ring=True),
        layer("leads", {"type": "rule", "strokeWidth": 3}, {"x": x} | place | color),
        layer("leads", {"type": "text", "align": "left", "dx": 6}, {"x": x, "y": Y, "text": {"field": "text"}}),
    ]


def overview(results: Results, models: Sequence[str], findings: DatasetFindings) -> Spec:
    """Draw a line per network of one dataset.

    Args:
        results: of the study.
        models: every model of the grid, in order, which fixes its look.
        findings: on the dataset; networks that they leave out of scope come last, in grey.
    """
    points = main_rows(findings, results.tables["depth.csv"])
    points, shown = with_bands(points[points["split"] == UNSEEN]), findings.without(findings.out_of_scope)
    scope = next((scope for scope in SCOPES if scope in set(points["band"])), None)
    gains = {row.model: results.facts.gain_over_last(row.dataset, row.model, row.metric) for row in findings.rows}
    known = next((gains[row.model] for row in shown.rows if gains[row.model].low is not None), Gain())
    caption = words.overview_caption(shown.rows, scope, averages(results.scores), known)
    return overview_figure(points, findings, models, Words(words.networks_title(shown), caption), gains)


def overview_figure(
    points: pd.DataFrame,
    findings: DatasetFindings,
    models: Sequence[str],
    text: Words,
    gains: Mapping[str, Gain],
) -> Spec:
    """Draw a line per network.

    Args:
        points: the dataset's rows of depth.csv on unseen classes, of its main curves, with their bands.
        findings: on the dataset.
        models: every model of the grid, in order, which fixes its look.
        text: what the figure says.
        gains: what choosing gains over the last layer of each.
    """
    aside, first = findings.out_of_scope, findings.rows[0]
    networks = {row.model: row for row in sorted(findings.rows, key=lambda row: row.model in aside)}
    looks = {model: theme.model_looks(models)[model] for model in networks}
    looks |= {model: Look(theme.GREY, looks[model].shape, looks[model].dash) for model in aside}
    shown = [model for model in networks if model not in aside]
    lengths = points.groupby("model")["depth"].nunique()
    same = lengths.nunique() == 1
    layers = points[points["model"] == points["model"].iloc[0]].sort_values("depth")["layer"]
    labels = [label if len(networks) == 1 else label.split()[0] for label in numbered(layers)] if same else []
    span = float(lengths.iloc[0] - 1 if same else 1) or 1.0
    rows, leads = [], []
    for i, (model, row) in enumerate(networks.items()):
        own = points[points["model"] == model].sort_values("depth")
        x = (own["depth"] if same else own["relative_depth"]) + APART * span * (i - (len(networks) - 1) / 2)
        own = ends_alone(own, row.best_depth, row.last_depth).assign(network=model, x=x, aside=model in aside)
        rows += records(own, ["network", "x", "value", "low", "high", "tied", "best", "aside"])
        if model in shown and row.best_depth != row.last_depth:
            values, place = own.set_index("depth")["value"], span * (1.04 + 0.02 * shown.index(model))
            last, best = values[row.last_depth], values[row.best_depth]
            lead = {"network": model, "x": place, "from": last, "to": best, "value": (last + best) / 2}
            gain = gains[model].estimate
            leads.append(lead | {"text": "" if gain is None or len(shown) > 1 else decimals(gain, sign=True)})
    known = {"raw pixels": first.baseline, "chance": first.chance}
    known = {kind: level for kind, level in known.items() if level is not None}
    levels: list[Spec] = [{"kind": kind, "value": level} for kind, level in known.items()]
    names = {model: words.legend_words(model, row, gains[model], aside.get(model)) for model, row in networks.items()}
    text = replace(text, caption=f"{text.caption} {words.explain_marks(rows, known)}")
    room = 45 if any(lead["text"] for lead in leads) else 0
    title = heading(0, 1, f"{metric_name(first.metric)} on unseen classes{LOWER * (first.better == 'lower')}")
    drawn = overview_layers(looks, str(labels), legend_of(1, names))
    chart = panel(drawn, {"points": rows, "leads": leads, "levels": levels}, (inner_width(1) - room, 190), title)
    return figure([chart], text)


def steps(results: Results, findings: DatasetFindings) -> Spec:
    """Draw a panel per network of one dataset; networks that its findings leave out of scope come last."""
    rows, row = main_rows(findings, results.tables["steps.csv"]), findings.rows[0]
    means = averages(results.scores)
    same = [stays(own) for _, own in rows.groupby("model", sort=False) if len(own) > 1]
    aside = [model for model in rows["model"].unique() if model in findings.out_of_scope]
    caption = words.steps_caption(row, means, same, aside)
    text = Words(words.training_title(findings.without(aside)), caption)
    return steps_figure(rows, aside, text, title=f"g ({metric_name(row.metric)}), accuracy")


def steps_figure(rows: pd.DataFrame, aside: Sequence[str], text: Words, *, title: str) -> Spec:
    """Draw accuracy, g on seen and on unseen classes, and g unseen of the layer that was best at the first step.

    Args:
        rows: one dataset's rows of steps.csv, of one score, the main pooling and the mean over folds, models in the
            order of the grid.
        aside: networks that say little; they come last.
        text: what the figure says.
        title: what the vertical axes are.
    """
    networks = [(str(model), own.sort_values("step")) for model, own in rows.groupby("model", sort=False)]
    points = {model: _courses(own) for model, own in sorted(networks, key=lambda item: item[0] in aside)}
    every = [point for own in points.values() for point in own]
    ends = [end for point in every for end in (point["value"], point["low"], point["high"]) if end is not None]
    columns = min(len(networks), 2)
    taken = sorted({point["step"] for point in every})
    x = STEP_AXIS | {"axis": {"values": taken, "labelOverlap": True}}
    x |= {"scale": {"domain": [taken[0], taken[-1]], "nice": False, "padding": 10}}
    looks = {name: look for name, look in LINE_LOOKS.items() if name in {point["line"] for point in every}}
    scale = {"domain": [min(*ends, 0), max(ends)], "nice": True}
    size = (inner_width(columns), 110 if columns > 1 else 150)
    panels = []
    for i, (model, own) in enumerate(points.items()):
        layers = theme.line_layers(
            "line", looks, x, legend_of(3 - columns) if i == len(points) - 1 else None, scale=scale
        )
        head = heading(i, len(networks), shorten(model, 30), title)
        panels.append(panel(layers, {"points": own}, size, head))
    return figure(panels, text, columns=columns)


def stays(own: pd.DataFrame) -> bool:
    """Whether the layer that was best at the first step is the best at every step of one network."""
    return bool((own[FIXED].isna() | (own[FIXED] == own["unseen"])).all())


def _courses(own: pd.DataFrame) -> list[Spec]:
    """One network's points; the layer of the first step has a line of its own only where that differs, and no bars."""
    tables = []
    for name, line in words.STEP_LINES.items():
        if name != FIXED or (len(own) > 1 and not stays(own)):
            value, sd = own[name].astype(float), own[f"{name}_sd"].astype(float) * (np.nan if name == FIXED else 1)
            tables.append(own.assign(line=line, value=value, low=value - sd, high=value + sd)[value.notna()])
    return records(pd.concat(tables), ["line", "step", "value", "low", "high"])


def robustness(results: Results, models: Sequence[str], findings: DatasetFindings) -> Spec | None:
    """Draw clean and corrupted images by layer; None where nothing was corrupted.

    Args:
        results: of the study.
        models: every model of the grid, in order.
        findings: on the dataset; networks that they leave out of scope are left out.
    """
    order = {model: i for i, model in enumerate(models)}
    rows = results.tables["robustness.csv"].sort_values("model", key=lambda names: names.map(order), kind="stable")
    rows = rows[rows["dataset"] == findings.dataset]
    layers = rows[rows["depth"].notna() & (rows["metric"] == CORRUPTED_SCORE)]
    layers = layers[results.scores.on_main_curve(layers)]
    if not (layers["depth"] >= 0).any():
        return None
    aside = [model for model in layers["model"].unique() if model in findings.out_of_scope]
    head = rows[(rows["layer"] == HEAD) & rows["depth"].isna() & ~rows["model"].isin(aside)]
    layers = layers[~layers["model"].isin(aside)]
    score, means = metric_name(CORRUPTED_SCORE), averages(results.scores).words
    caption = f"{score} on seen classes of {findings.dataset}, {means}; by layer, from input (1) to output"
    caption += f"; px: raw pixels{'; head: of the network' * bool(len(head))}."
    text = Words(words.robustness_title(*kept_and_lost(layers)), caption + words.set_aside_words(aside, "Left out"))
    return robustness_figure(layers, head, text, title=score)


def kept_and_lost(rows: pd.DataFrame) -> tuple[tuple[float, float] | None, dict[str, list[int]]]:
    """Return what share of their score the layers keep that are best on clean images, and where raw pixels win.

    Args:
        rows: of robustness.csv, of one score, with those of raw pixels (depth -1).
    """
    layers, keys = rows[rows["depth"] >= 0], ["corruption", "severity"]
    best_of = layers.groupby(keys, sort=False)["value"].max()
    pixels = rows[rows["depth"] == -1].groupby(keys, sort=False)["value"].min()
    beaten = pixels[pixels > best_of.reindex(pixels.index).fillna(np.inf)].index.to_frame(index=False)
    lost = {str(kind): list(own) for kind, own in beaten.groupby("corruption", sort=False)["severity"]}
    best_clean = layers.loc[layers.groupby(["model", *keys])["clean"].idxmax()]
    kept = best_clean["relative"].dropna()
    return (None if kept.empty else (kept.min(), kept.max())), lost


def robustness_figure(rows: pd.DataFrame, head: pd.DataFrame, text: Words, *, title: str) -> Spec:
    """Draw the score of clean and of corrupted images against depth.

    Args:
        rows: one dataset's rows of robustness.csv, of one score, of one embedding per depth and of raw pixels (depth
            -1), models in the order of the grid.
        head: the same of the networks' own accuracy; may be empty.
        text: what the figure says.
        title: what the vertical axes are.
    """
    severities, kinds = sorted(rows["severity"].unique()), list(rows["corruption"].unique())
    shades = {f"severity {s}": Look(SHADES[min(i, len(SHADES) - 1)]) for i, s in enumerate(severities)}
    looks = {CLEAN: Look(theme.ORANGE)} | shades
    top = max(float(table[["value", "clean"]].max().max()) for table in (rows, head) if len(table))
    panels = []
    for i, (model, own) in enumerate(rows.groupby("model", sort=False)):
        further = head[head["model"] == model]
        has_pixels, last = bool((own["depth"] == -1).any()), int(own["depth"].max())
        names = ["px"] * has_pixels + [str(n) for n in range(1, last + 2)] + ["head"] * bool(len(further))
        scale = {"domain": [0, max(top, 0.1)], "nice": True}
        layers = [
            *theme.level_layers(),
            *theme.line_layers("line", looks, theme.layer_axis(str(names)), None, size=16, scale=scale),
        ]
        for kind in kinds:
            points = _corrupted(pd.concat([own, further.assign(depth=last + 1)]), kind, last)
            points = [point | {"x": point["x"] + has_pixels} for point in points]
            levels = [{"kind": "chance", "value": float(own["chance"].mean())}]
            first = kind == kinds[0]
            head_of = heading(i, 1 + first, f"{shorten(str(model), 60)}: {title}" if first else "", kind)
            panels.append(panel(layers, {"points": points, "levels": levels}, (inner_width(len(kinds)), 84), head_of))
    return figure(panels, text, columns=len(kinds))


def _corrupted(rows: pd.DataFrame, kind: str, last: int) -> list[Spec]:
    """One panel's points: clean once, then every severity; lines join the layers alone."""
    rows = rows[rows["corruption"] == kind]
    clean = rows.drop_duplicates(["layer", "depth"]).assign(line=CLEAN, value=lambda table: table["clean"])
    both = pd.concat([clean, rows.assign(line="severity " + rows["severity"].astype(str))])
    both = both.assign(x=both["depth"], part=both["depth"].where((both["depth"] < 0) | (both["depth"] > last), 0))
    return records(both, ["line", "part", "x", "value"])
