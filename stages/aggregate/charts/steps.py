"""Generalization and accuracy against training step, a panel per network of a dataset: the paper's second figure."""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Words, figure, heading, inner_width, main_rows, panel, records
from stages.aggregate.charts.theme import LOW_HIGH, Look, Spec, Y, encode_looks, layer
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import shorten
from stages.aggregate.words.scores import metric_name

LINES = {
    "unseen": ("g, unseen classes", Look(theme.UNSEEN)),
    "seen": ("g, seen classes", Look(theme.SEEN, "square")),
    "accuracy": ("accuracy, seen classes", Look(theme.TEXT, "diamond", (5.0, 3.0))),
    "unseen_fixed": ("g, unseen: layer of the first step", Look("#6FB1DD", "triangle-up", (2.0, 2.0))),
}
"""Column of steps.csv -> the words of its line, and its look; `<column>_sd` makes its bars."""
LOOKS = dict(LINES.values())
FIXED = "unseen_fixed"


def steps_layers(looks: Mapping[str, Look], legend: Spec | None = None) -> list[Spec]:
    """Draw accuracy and the best layer's score against training step.

    Data set: points (line, step, value, low, high, tip).

    Args:
        looks: of the lines.
        legend: of the lines.
    """
    x = {"field": "step", "type": "quantitative", "title": "optimizer step", "scale": {"nice": False, "padding": 10}}
    encoded = encode_looks("line", looks, legend)
    line = {"x": x, "y": Y, "color": encoded["color"]}
    dots = {"type": "point", "filled": True, "size": 32, "opacity": 1}
    return [
        layer("points", {"type": "rule"}, line | LOW_HIGH, "isValid(datum.low)"),
        layer("points", {"type": "line", "strokeWidth": 1.8}, line | {"strokeDash": encoded["strokeDash"]}),
        layer("points", dots, line | {"shape": encoded["shape"], "tooltip": {"field": "tip"}}),
    ]


def steps(results: Results, findings: DatasetFindings) -> Spec:
    """Draw a panel per network of one dataset; networks that its findings leave out of scope come last."""
    rows, row, averages = (
        main_rows(findings, results.tables["steps.csv"]),
        findings.rows[0],
        words.averages(results.scores),
    )
    same = [stays(own) for _, own in rows.groupby("model", sort=False) if len(own) > 1]
    note = " The layer that is best at the first step stays the best" if any(same) else ""
    note += (" where it has no line of its own." if not all(same) else ".") if note else ""
    spread = f", bars {averages.spread}" if averages.vary else ""
    extreme = "lowest" if row.lower_is_better else "highest"
    aside = [model for model in rows["model"].unique() if model in findings.out_of_scope]
    caption = (
        f"{row.dataset}; {averages.words}{spread}. g: {extreme} {metric_name(row.metric)} of any layer.{note}"
        + words.set_aside_words(aside, "Not counted above")
    )
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
    networks = {str(model): own.sort_values("step") for model, own in rows.groupby("model", sort=False)}
    networks = {model: networks[model] for model in sorted(networks, key=lambda model: model in aside)}
    points = {model: _points(own) for model, own in networks.items()}
    every = [point for own in points.values() for point in own]
    top, bottom = max(p["high"] or p["value"] for p in every), min(p["low"] or p["value"] for p in every)
    columns = min(len(networks), 3 if len(networks) != 4 else 2)
    panels = []
    for i, (model, own) in enumerate(points.items()):
        layers = steps_layers(LOOKS)
        taken = sorted({point["step"] for point in every})
        for part in layers:
            part["encoding"]["x"] = part["encoding"]["x"] | {"axis": {"values": taken, "labelOverlap": True}}
            part["encoding"]["x"]["scale"] = {"domain": [taken[0], taken[-1]], "nice": False, "padding": 10}
            part["encoding"]["y"] = part["encoding"]["y"] | {"scale": {"domain": [min(bottom, 0), top], "nice": True}}
        size = (inner_width(columns), 110 if columns > 1 else 150)
        panels.append(panel(layers, {"points": own}, size, heading(i, len(networks), shorten(model, 30), title)))
    used = {point["line"] for point in every}
    legend = [(name, look.sample()) for name, look in LOOKS.items() if name in used]
    return figure(panels, text, columns=columns, legend=legend, per_line=2)


def stays(own: pd.DataFrame) -> bool:
    """Whether the layer that was best at the first step is the best at every step of one network."""
    return bool((own[FIXED].isna() | (own[FIXED] == own["unseen"])).all())


def _points(own: pd.DataFrame) -> list[Spec]:
    """One network's points; the layer of the first step has a line of its own only where that differs."""
    columns = [name for name in LINES if name != FIXED or (len(own) > 1 and not stays(own))]
    return [
        {"line": LINES[name][0], "step": row["step"], "value": row[name]} | _ends(row[name], row[f"{name}_sd"], name)
        for name in columns
        for row in records(own, ["step", name, f"{name}_sd"])
        if row[name] is not None
    ]


def _ends(value: float, sd: float | None, name: str) -> Spec:
    bar = sd is not None and name != FIXED
    return {"low": value - sd if bar else None, "high": value + sd if bar else None}  # type: ignore[operator]
