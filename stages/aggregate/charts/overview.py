"""All networks of a dataset: the main score on unseen classes by layer, the best one ringed, its lead at the right."""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Entry, Words, figure, heading, inner_width, main_rows, panel, records
from stages.aggregate.charts.intervals import interval_scope, with_bands
from stages.aggregate.charts.theme import LOW_HIGH, Look, Spec, Y, encode_looks, layer
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import short_names
from stages.aggregate.words.scores import metric_name
from stages.shared.embeddings.split_names import UNSEEN

DRAWN = ("value", "low", "high", "tied")
APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""


def overview_layers(looks: Mapping[str, Look], names: str, legend: Spec | None = None) -> list[Spec]:
    """Draw the score of every network against its layers; ties filled, the best ringed, the lead as a bar.

    Data sets: points (network, x, value, low, high, tip, and whether it is tied, the best, the last or aside); leads
    (network, x, from, to, value, text, tip); levels (kind, value).

    Args:
        looks: of every network.
        names: an expression: the names of the layers, or nothing where networks have not as many (`theme.layer_axis`).
        legend: of the networks.
    """
    encoded, x = encode_looks("network", looks, legend), theme.layer_axis(names)
    color, shape, dash = (encoded[channel] for channel in ("color", "shape", "strokeDash"))
    line = {"x": x, "y": Y, "color": color}
    hollow = {"condition": {"test": "datum.tied === false", "value": theme.GROUND}} | color
    width = {"condition": {"test": "datum.aside", "value": 0.8}, "value": 1.8}
    size = {"condition": {"test": "datum.aside", "value": 14}, "value": 36}
    ends = {"y": Y | {"field": "from"}, "y2": {"field": "to"}}
    ring, bars = "datum.best && !datum.aside", "(datum.best || datum.last) && isValid(datum.low) && !datum.aside"
    dot = {"shape": shape, "size": size, "fill": hollow, "tooltip": {"field": "tip"}}
    return [
        *theme.level_layers(),
        layer("points", {"type": "line"}, line | {"strokeDash": dash, "strokeWidth": width}),
        layer("points", {"type": "rule", "strokeWidth": 1.2}, line | LOW_HIGH, bars),
        layer("points", {"type": "point", "size": 150, "strokeWidth": 1.4, "opacity": 1}, line, ring),
        layer("points", {"type": "point", "opacity": 1}, line | dot),
        layer("leads", {"type": "rule", "strokeWidth": 3}, line | ends | {"tooltip": {"field": "tip"}}),
        layer("leads", {"type": "text", "align": "left", "dx": 6}, {"x": x, "y": Y, "text": {"field": "text"}}),
    ]  # fmt: skip


def overview(results: Results, models: Sequence[str], findings: DatasetFindings) -> Spec:
    """Draw a line per network of one dataset.

    Args:
        results: of the study.
        models: every model of the grid, in order, which fixes its look.
        findings: on the dataset; networks that they leave out of scope come last, in grey.
    """
    points = main_rows(findings, results.tables["depth.csv"])
    points, shown = points[points["split"] == UNSEEN], findings.without(findings.out_of_scope)
    caption = words.overview_caption(shown.rows, interval_scope(points), words.averages(results.scores))
    return overview_figure(points, findings, models, Words(words.networks_title(shown), caption))


def overview_figure(points: pd.DataFrame, findings: DatasetFindings, models: Sequence[str], text: Words) -> Spec:
    """Draw a line per network.

    Args:
        points: the dataset's rows of depth.csv on unseen classes, of its main curves.
        findings: on the dataset.
        models: every model of the grid, in order, which fixes its look.
        text: what the figure says.
    """
    aside, first = findings.out_of_scope, findings.rows[0]
    networks = sorted(findings.rows, key=lambda row: row.model in aside)
    looks = {name: look for name, look in theme.model_looks(models).items() if name in {net.model for net in networks}}
    looks |= {model: Look(theme.GREY, looks[model].shape, looks[model].dash) for model in aside}
    lengths = points.groupby("model")["depth"].nunique()
    same = lengths.nunique() == 1
    names, span = _names(points) if same else [], float(lengths.iloc[0] - 1 if same else 1) or 1.0
    shown = [network for network in networks if network.model not in aside]
    banded, rows, leads = with_bands(points), [], []
    for i, network in enumerate(networks):
        own = banded[banded["model"] == network.model].sort_values("depth")
        shift = APART * span * (i - (len(networks) - 1) / 2)
        rows += [
            {name: row[name] for name in DRAWN}
            | {"network": network.model, "x": (row["depth"] if same else row["relative_depth"]) + shift}
            | {"best": row["depth"] == network.best_depth, "aside": network.model in aside}
            | {"last": row["depth"] == network.last_depth}
            for row in records(own, [*DRAWN, "depth", "relative_depth"])
        ]
        if network in shown and not network.best_is_last:
            values, place = own.set_index("depth")["value"], span * (1.04 + 0.02 * shown.index(network))
            last, best = values[network.last_depth], values[network.best_depth]
            lead = {"network": network.model, "x": place, "from": last, "to": best, "value": (last + best) / 2}
            leads.append(lead | {"text": words.lead_words(network) if len(shown) == 1 else ""})
    legend: list[Entry] = [
        (words.network_words(net, aside.get(net.model, "")), looks[net.model].sample()) for net in networks
    ]
    known = {"raw pixels": first.baseline, "chance": first.chance}
    levels = {kind: level for kind, level in known.items() if level is not None}
    legend += [(f"{kind}: {value:.3f}", [theme.level_mark(kind)]) for kind, value in levels.items()]
    sets = {"points": rows, "leads": leads, "levels": [{"kind": kind, "value": v} for kind, v in levels.items()]}
    room = 70 if len(shown) == 1 and shown[0].leads else 0
    lower = " (lower is better)" if first.lower_is_better else ""
    title = f"{metric_name(first.metric)} on unseen classes{lower}"
    chart = panel(overview_layers(looks, str(names)), sets, (inner_width(1) - room, 190), heading(0, 1, title))
    return figure([chart], text, legend=legend, per_line=1)


def _names(points: pd.DataFrame) -> list[str]:
    """Number the layers, and name them where there is one network."""
    own = points[points["model"] == points["model"].iloc[0]].sort_values("depth")
    alone = points["model"].nunique() == 1
    return [f"{i} {name}" if alone else str(i) for i, name in enumerate(short_names(own["layer"]), 1)]
