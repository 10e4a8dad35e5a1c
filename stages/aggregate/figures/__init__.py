"""The figures of data/results, each as SVG and PNG."""

from functools import partial
from pathlib import Path

import pandas as pd

from stages.aggregate.figures.depth import depth_figure
from stages.aggregate.figures.overview import overview_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import draw
from stages.aggregate.scores import UNSEEN, Scores
from stages.aggregate.tables import baseline_at, curves, follow_steps, last_step
from stages.shared.console import progress


def draw_figures(folder: Path, scores: Scores, main_metric: str, models: list[str]) -> int:
    """Draw every figure; returns how many (each as two files).

    `overview_<dataset>` and `steps_<dataset>` show the main metric and the main poolings; `depth_<dataset>_<model>`
    every score of the main pooling, and `depth_<dataset>_<model>_<pooling>` of a further one.
    """
    jobs = {}
    for dataset, points in scores.curves.groupby("dataset", sort=False):
        main = points[points["main"] & (points["metric"] == main_metric)]
        of_main = Scores(main, scores.baseline, scores.accuracy, scores.n_seeds)
        jobs[f"overview_{dataset}"] = partial(
            overview_figure, last_step(of_main), _levels(of_main), models, scores.n_seeds
        )
        jobs[f"steps_{dataset}"] = partial(steps_figure, follow_steps(of_main), scores.n_seeds)
        for (model, pooling, is_main), rows in points.groupby(["model", "pooling", "main"], sort=False):
            suffix = "" if is_main else f"_{pooling}"
            jobs[f"depth_{dataset}_{model}{suffix}"] = partial(depth_figure, scores, list(curves(rows)))
    for name, make in progress(jobs.items(), total=len(jobs), what="figures", unit="figure"):
        draw(folder, name, make)
    return len(jobs)


def _levels(scores: Scores) -> dict[str, float]:
    """The first network's raw-pixel baseline and chance at its last step; both depend on the images alone."""
    curve = next(curves(scores.curves))
    unseen = curve[curve["split"] == UNSEEN]
    at_last = unseen[unseen["step"] == unseen["step"].max()]
    baseline = baseline_at(scores, curve, UNSEEN, int(unseen["step"].max()))
    levels = {"raw pixels": baseline, "chance": float(at_last["chance"].mean())}
    return {name: level for name, level in levels.items() if level is not None and pd.notna(level)}
