"""The figures of data/results, each as SVG and PNG."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.aggregate.curves import CURVE, MEAN, Scores
from stages.aggregate.figures.depth import depth_figure, levels_of
from stages.aggregate.figures.layer_pairs import layer_pairs_figure
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.robustness import robustness_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import Averages, draw
from stages.aggregate.metric_info import metric_info
from stages.aggregate.points import curves
from stages.aggregate.tables.summary import SummaryRow
from stages.shared.console import progress
from stages.shared.metric_table import HEAD
from stages.shared.split_names import UNSEEN

SHOWN_ROBUSTNESS = "probe_accuracy"

Jobs = Iterator[tuple[str, Callable[[], Figure]]]


def draw_figures(
    folder: Path, scores: Scores, summary: Sequence[SummaryRow], tables: Mapping[str, pd.DataFrame], models: list[str]
) -> int:
    """Draw every figure (docs/results.md names them); returns how many, each as two files.

    Args:
        folder: where; made if missing.
        scores: curves averaged over seeds and folds, with `UNCERTAINTY`.
        summary: rows of summary.csv, of which the main ones name the curves of `overview` and `steps`.
        tables: depth.csv, steps.csv, robustness.csv and layer_pairs.csv by file name. The last two may have no rows.
        models: every model of the grid, in order.
    """
    main = [row for row in summary if row.main]
    averages = Averages(len(scores.folds), scores.n_seeds)
    jobs = dict(
        [
            *_of_datasets(scores, averages, main, tables["depth.csv"], tables["steps.csv"], models),
            *_of_networks(scores, main[0].metric),
            *_of_robustness(tables["robustness.csv"], scores, averages, models),
            *_of_pairs(tables["layer_pairs.csv"], scores, averages),
        ]
    )
    for name, make in progress(jobs.items(), total=len(jobs), what="figures", unit="figure"):
        draw(folder, name, make)
    return len(jobs)


def _of_datasets(
    scores: Scores,
    averages: Averages,
    main: Sequence[SummaryRow],
    depth: pd.DataFrame,
    steps: pd.DataFrame,
    models: list[str],
) -> Jobs:
    names = pd.DataFrame([vars(row) for row in main])[CURVE]
    for dataset, curve_names in names.groupby("dataset", sort=False):
        first = next(curves(scores.curves.merge(curve_names.head(1), on=CURVE)))
        levels, best = levels_of(scores, first, UNSEEN), "lowest" if first.iloc[0]["better"] == "lower" else "highest"
        own_depth, own_steps = (table.merge(curve_names, on=CURVE) for table in (depth, steps))
        yield f"overview-{dataset}", partial(overview_figure, own_depth, levels, models, averages)
        yield f"steps-{dataset}", partial(steps_figure, own_steps, averages, best)


def _of_networks(scores: Scores, main_metric: str) -> Jobs:
    means = scores.curves[scores.curves["fold"] == MEAN]
    groups = means.groupby(["dataset", "model", "pooling", "main"], sort=False)
    for (dataset, model, pooling, is_main), rows in groups:
        first = [metric == main_metric or metric_info(metric).in_paper for metric in rows["metric"]]
        suffix = "" if is_main else f"-{pooling}"
        for name, chosen in (("depth", rows[first]), ("depth_more", rows[[not shown for shown in first]])):
            if len(chosen):
                yield f"{name}-{dataset}-{model}{suffix}", partial(depth_figure, scores, list(curves(chosen)))


def _of_robustness(rows: pd.DataFrame, scores: Scores, averages: Averages, models: list[str]) -> Jobs:
    order = {model: i for i, model in enumerate(models)}
    rows = rows.sort_values("model", key=lambda names: names.map(order), kind="stable")
    for dataset, own in rows.groupby("dataset", sort=False):
        layers = own[(own["depth"] >= 0).fillna(value=False) & (own["metric"] == SHOWN_ROBUSTNESS)]
        layers = layers[_is_main(layers, "", scores)]
        if len(layers):
            head = own[(own["layer"] == HEAD) & own["depth"].isna()]
            yield f"robustness-{dataset}", partial(robustness_figure, layers, head, averages)


def _of_pairs(rows: pd.DataFrame, scores: Scores, averages: Averages) -> Jobs:
    for (dataset, model), own in rows.groupby(["dataset", "model"], sort=False):
        own = own[_is_main(own, "_a", scores) & _is_main(own, "_b", scores)]
        if len(own):
            yield f"layer_pairs-{dataset}-{model}", partial(layer_pairs_figure, own, averages)


def _is_main(rows: pd.DataFrame, end: str, scores: Scores) -> "pd.Series[bool]":
    """Which rows' layer (column `layer<end>`) stands on its network's main curve, or is the raw-pixel baseline."""
    main = scores.curves[scores.curves["main"]]
    places = set(zip(main["dataset"], main["model"], main["layer"], main["embedding"], strict=True))
    columns = (rows[name] for name in ("dataset", "model", f"layer{end}", f"pooling{end}", f"depth{end}"))
    kept = [tuple(place) in places or depth == -1 for *place, depth in zip(*columns, strict=True)]
    return pd.Series(kept, index=rows.index, dtype=bool)
