"""All networks of a dataset: the main score on unseen classes by layer, the best one ringed, its lead at the right."""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Words, explain_marks, figure, heading, inner_width, main_rows, panel, records
from stages.aggregate.charts.intervals import ends_alone, with_bands
from stages.aggregate.charts.theme import Look, Spec, Y, encode_looks, layer
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import numbered, shorten
from stages.aggregate.words.scores import LOWER, SCOPES, metric_name
from stages.shared.embeddings.split_names import UNSEEN

APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""


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
    caption = words.overview_caption(shown.rows, scope, words.averages(results.scores))
    return overview_figure(points, findings, models, Words(words.networks_title(shown), caption))


def overview_figure(points: pd.DataFrame, findings: DatasetFindings, models: Sequence[str], text: Words) -> Spec:
    """Draw a line per network.

    Args:
        points: the dataset's rows of depth.csv on unseen classes, of its main curves, with their bands.
        findings: on the dataset.
        models: every model of the grid, in order, which fixes its look.
        text: what the figure says.
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
            leads.append(lead | {"text": words.lead_words(row) if len(shown) == 1 else ""})
    known = {"raw pixels": first.baseline, "chance": first.chance}
    levels: list[Spec] = [{"kind": kind, "value": level} for kind, level in known.items() if level is not None]
    said = {model: f", in grey: {aside[model]}" for model in aside}
    said |= {model: f": {words.network_words(networks[model])}" for model in shown}
    names = {model: f"{shorten(model, 32)}{text}" for model, text in said.items()}
    names |= {each["kind"]: f"{each['kind']}: {each['value']:.3f}" for each in levels}
    legend = explain_marks("network", looks, rows, [each["kind"] for each in levels], names)
    room = 70 if any(lead["text"] for lead in leads) else 0
    title = heading(0, 1, f"{metric_name(first.metric)} on unseen classes{LOWER * (first.better == 'lower')}")
    drawn = overview_layers(looks, str(labels))
    chart = panel(drawn, {"points": rows, "leads": leads, "levels": levels}, (inner_width(1) - room, 190), title)
    return figure([chart], text, legend=legend, per_line=1)
