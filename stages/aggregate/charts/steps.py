"""Generalization and accuracy against training step, a panel per network of a dataset: the paper's second figure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Words, explain_marks, figure, heading, inner_width, main_rows, panel, records
from stages.aggregate.charts.theme import Look, Spec
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
X: Spec = {"field": "step", "type": "quantitative", "title": "optimizer step"}
X |= {"scale": {"nice": False, "padding": 10}}


def steps(results: Results, findings: DatasetFindings) -> Spec:
    """Draw a panel per network of one dataset; networks that its findings leave out of scope come last."""
    rows, row = main_rows(findings, results.tables["steps.csv"]), findings.rows[0]
    averages = words.averages(results.scores)
    same = [stays(own) for _, own in rows.groupby("model", sort=False) if len(own) > 1]
    note = " The layer that is best at the first step stays the best" if any(same) else ""
    note += (" where it has no line of its own." if not all(same) else ".") if note else ""
    spread = f", bars {averages.spread}" if averages.vary else ""
    extreme = "lowest" if row.better == "lower" else "highest"
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
    networks = [(str(model), own.sort_values("step")) for model, own in rows.groupby("model", sort=False)]
    points = {model: _points(own) for model, own in sorted(networks, key=lambda item: item[0] in aside)}
    every = [point for own in points.values() for point in own]
    ends = [end for point in every for end in (point["value"], point["low"], point["high"]) if end is not None]
    columns = min(len(networks), 3 if len(networks) != 4 else 2)
    taken = sorted({point["step"] for point in every})
    x = X | {"axis": {"values": taken, "labelOverlap": True}}
    x |= {"scale": {"domain": [taken[0], taken[-1]], "nice": False, "padding": 10}}
    layers = theme.line_layers("line", LOOKS, x, scale={"domain": [min(*ends, 0), max(ends)], "nice": True})
    size = (inner_width(columns), 110 if columns > 1 else 150)
    panels = [
        panel(layers, {"points": own}, size, heading(i, len(networks), shorten(model, 30), title))
        for i, (model, own) in enumerate(points.items())
    ]
    return figure(panels, text, columns=columns, legend=explain_marks("line", LOOKS, every, ()), per_line=2)


def stays(own: pd.DataFrame) -> bool:
    """Whether the layer that was best at the first step is the best at every step of one network."""
    return bool((own[FIXED].isna() | (own[FIXED] == own["unseen"])).all())


def _points(own: pd.DataFrame) -> list[Spec]:
    """One network's points; the layer of the first step has a line of its own only where that differs, and no bars."""
    tables = []
    for name, (line, _) in LINES.items():
        if name != FIXED or (len(own) > 1 and not stays(own)):
            value, sd = own[name].astype(float), own[f"{name}_sd"].astype(float) * (np.nan if name == FIXED else 1)
            tables.append(own.assign(line=line, value=value, low=value - sd, high=value + sd)[value.notna()])
    return records(pd.concat(tables), ["line", "step", "value", "low", "high"])
