"""A score of clean and of corrupted images by layer, beside raw pixels: a row of panels per network of one dataset."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Words, explain_marks, figure, heading, inner_width, panel, records
from stages.aggregate.charts.theme import Look, Spec
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.results import Results
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.formatting import shorten
from stages.aggregate.words.scores import metric_name
from stages.shared.tables.metric_table import HEAD

SHADES = ("#7DB8E0", theme.UNSEEN, "#00304D")
"""From mild to strong; severities beyond three repeat the strongest."""
SHOWN = "probe_accuracy"
CLEAN = "clean images"


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
    layers = rows[rows["depth"].notna() & (rows["metric"] == SHOWN)]
    layers = layers[results.scores.on_main_curve(layers)]
    if not (layers["depth"] >= 0).any():
        return None
    aside = [model for model in layers["model"].unique() if model in findings.out_of_scope]
    head = rows[(rows["layer"] == HEAD) & rows["depth"].isna() & ~rows["model"].isin(aside)]
    layers = layers[~layers["model"].isin(aside)]
    score, means = metric_name(SHOWN), words.averages(results.scores).words
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
    kept = (best_clean["value"] / best_clean["clean"]).dropna()
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
    panels, every = [], []
    for i, (model, own) in enumerate(rows.groupby("model", sort=False)):
        further = head[head["model"] == model]
        has_pixels, last = bool((own["depth"] == -1).any()), int(own["depth"].max())
        names = ["px"] * has_pixels + [str(n) for n in range(1, last + 2)] + ["head"] * bool(len(further))
        scale = {"domain": [0, max(top, 0.1)], "nice": True}
        layers = [
            *theme.level_layers(),
            *theme.line_layers("line", looks, theme.layer_axis(str(names)), size=16, scale=scale),
        ]
        for kind in kinds:
            points = _points(pd.concat([own, further.assign(depth=last + 1)]), kind, last)
            points = [point | {"x": point["x"] + has_pixels} for point in points]
            levels = [{"kind": "chance", "value": float(own["chance"].mean())}]
            first = kind == kinds[0]
            head_of = heading(i, 1 + first, f"{shorten(str(model), 60)}: {title}" if first else "", kind)
            panels.append(panel(layers, {"points": points, "levels": levels}, (inner_width(len(kinds)), 84), head_of))
            every += points
    legend = explain_marks("line", looks, every, ("chance",))
    return figure(panels, text, columns=len(kinds), legend=legend, per_line=4)


def _points(rows: pd.DataFrame, kind: str, last: int) -> list[Spec]:
    """One panel's points: clean once, then every severity; lines join the layers alone."""
    rows = rows[rows["corruption"] == kind]
    clean = rows.drop_duplicates(["layer", "depth"]).assign(line=CLEAN, value=lambda table: table["clean"])
    both = pd.concat([clean, rows.assign(line="severity " + rows["severity"].astype(str))])
    both = both.assign(x=both["depth"], part=both["depth"].where((both["depth"] < 0) | (both["depth"] > last), 0))
    return records(both, ["line", "part", "x", "value"])
