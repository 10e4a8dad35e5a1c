"""The figures of a dataset, with all its networks: scores by layer, and over training.

overview: the main score on unseen classes by layer, the best layer ringed, the gain at the right
steps: generalization and accuracy against training step, a panel per network: the paper's second figure
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
