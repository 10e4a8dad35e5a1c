"""The figures of data/results, each as SVG and PNG."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.aggregate.curves import Scores
from stages.aggregate.figures.depth import depth_figure
from stages.aggregate.figures.layer_pairs import layer_pairs_figure
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.robustness import robustness_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import draw
from stages.aggregate.points import baseline_at, curves
from stages.aggregate.tables.summary import follow_steps, last_step
from stages.shared.console import progress
from stages.shared.metric_table import HEAD
from stages.shared.split_names import UNSEEN

FIRST_SCORES = ("nmi", "knn_purity", "nn1_accuracy", "probe_accuracy")
"""The paper's scores, which with the main metric have a figure of their own; the others share a second one."""

SHOWN_ROBUSTNESS = "probe_accuracy"

Jobs = Iterator[tuple[str, Callable[[], Figure]]]


def draw_figures(
    folder: Path, scores: Scores, main_metric: str, models: list[str], robustness: pd.DataFrame, pairs: pd.DataFrame
) -> int:
    """Draw every figure (docs/results.md names them); returns how many, each as two files.

    Args:
        folder: where; made if missing.
        scores: curves averaged over seeds; their intervals and best sets are shown where they have them.
        main_metric: the score of `overview-<dataset>` and `steps-<dataset>`.
        models: every model of the grid, in order.
        robustness: robustness.csv; no figure for a dataset that has no rows in it.
        pairs: layer_pairs.csv; no figure for a dataset and model that have no rows in it.
    """
    jobs = dict(
        [
            *_of_datasets(scores, main_metric, models),
            *_of_networks(scores, main_metric),
            *_of_robustness(robustness, scores, models),
            *_of_pairs(pairs, scores),
        ]
    )
    for name, make in progress(jobs.items(), total=len(jobs), what="figures", unit="figure"):
        draw(folder, name, make)
    return len(jobs)


def _of_datasets(scores: Scores, main_metric: str, models: list[str]) -> Jobs:
    for dataset, points in scores.curves.groupby("dataset", sort=False):
        main = points[points["main"] & (points["metric"] == main_metric)]
        of_main = Scores(main, scores.baseline, scores.accuracy, scores.n_seeds)
        points_of = partial(overview_figure, last_step(of_main), _levels(of_main), models, scores.n_seeds)
        yield f"overview-{dataset}", points_of
        best = "lowest" if main.iloc[0]["better"] == "lower" else "highest"
        yield f"steps-{dataset}", partial(steps_figure, follow_steps(of_main), scores.n_seeds, best)


def _of_networks(scores: Scores, main_metric: str) -> Jobs:
    groups = scores.curves.groupby(["dataset", "model", "pooling", "main"], sort=False)
    for (dataset, model, pooling, is_main), rows in groups:
        first = rows["metric"].isin([*FIRST_SCORES, main_metric])
        suffix = "" if is_main else f"-{pooling}"
        for name, chosen in (("depth", rows[first]), ("depth_more", rows[~first])):
            if len(chosen):
                yield f"{name}-{dataset}-{model}{suffix}", partial(depth_figure, scores, list(curves(chosen)))


def _of_robustness(rows: pd.DataFrame, scores: Scores, models: list[str]) -> Jobs:
    order = {model: i for i, model in enumerate(models)}
    rows = rows.sort_values("model", key=lambda names: names.map(order), kind="stable")
    for dataset, own in rows.groupby("dataset", sort=False):
        layers = own[(own["depth"] >= 0).fillna(False) & (own["metric"] == SHOWN_ROBUSTNESS)]
        layers = layers[_is_main(layers, "", scores)]
        if len(layers):
            head = own[(own["layer"] == HEAD) & own["depth"].isna()]
            yield f"robustness-{dataset}", partial(robustness_figure, layers, head, scores.n_seeds)


def _of_pairs(rows: pd.DataFrame, scores: Scores) -> Jobs:
    for (dataset, model), own in rows.groupby(["dataset", "model"], sort=False):
        own = own[_is_main(own, "_a", scores) & _is_main(own, "_b", scores)]
        if len(own):
            yield f"layer_pairs-{dataset}-{model}", partial(layer_pairs_figure, own)


def _is_main(rows: pd.DataFrame, end: str, scores: Scores) -> "pd.Series[bool]":
    """Which rows' layer (column `layer<end>`) stands on its network's main curve, or is the raw-pixel baseline."""
    main = scores.curves[scores.curves["main"]]
    places = set(zip(main["dataset"], main["model"], main["layer"], main["embedding"], strict=True))
    columns = (rows[name] for name in ("dataset", "model", f"layer{end}", f"pooling{end}", f"depth{end}"))
    kept = [tuple(place) in places or depth == -1 for *place, depth in zip(*columns, strict=True)]
    return pd.Series(kept, index=rows.index, dtype=bool)


def _levels(scores: Scores) -> dict[str, float]:
    """The raw-pixel baseline, and chance of the first network: the mean over its layers, where it differs by layer."""
    curve = next(curves(scores.curves))
    unseen = curve[curve["split"] == UNSEEN]
    at_last = unseen[unseen["step"] == unseen["step"].max()]
    baseline = baseline_at(scores, curve, UNSEEN, int(unseen["step"].max()))
    levels = {"raw pixels": baseline, "chance": float(at_last["chance"].mean())}
    return {name: level for name, level in levels.items() if level is not None and pd.notna(level)}
