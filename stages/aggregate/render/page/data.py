"""The data of the page's charts and tables, column by column; `Names` says what their places refer to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.charts.intervals import NO_BAND, with_bands
from stages.aggregate.charts.layer_pairs import matrix
from stages.aggregate.charts.page import page_charts
from stages.aggregate.charts.theme import COLORS, SHAPES
from stages.aggregate.curves import ENDS, LEAD_ENDS, MEAN, Scores, best_index
from stages.aggregate.render.page.images import Pictures, all_thumbnails, galleries
from stages.aggregate.render.page.names import (
    SPLITS,
    Columns,
    Names,
    about_metrics,
    about_networks,
    main_curves,
    numbers,
    rounded,
)
from stages.aggregate.render.page.provenance import Run
from stages.aggregate.results import Results
from stages.aggregate.scope import BOTH

BEST = (
    "fold", "metric", "best", "value", "low", "high", "last", "lead", "at_least", "at_most", "seen", "accuracy",
)  # fmt: skip
CURVE = ("fold", "metric", "split", "step")
POINTS = ("value", "low", "high", "band", "tied", "best", "chance", "pixels")
SPREAD = ["accuracy_sd", "unseen_sd", "seen_sd"]


@dataclass(frozen=True)
class Study:
    """What the page is about.

    Attributes:
        results: what was found.
        run: what was run; the order of its models fixes their colours.
        pictures: of the images.
    """

    results: Results
    run: Run
    pictures: Pictures


def page_data(study: Study, names: Names) -> dict[str, Any]:
    """Everything that the page's scripts draw from."""
    scores, tables = study.results.scores, study.results.tables
    summary = of_main_curves(tables["summary.csv"], scores)
    return {
        "networks": about_networks(scores),
        "metrics": about_metrics(scores, names),
        "folds": names.folds,
        "steps": names.steps,
        "mean": _mean_words(scores),
        "series": names.table(all_series(scores), (*CURVE, *POINTS)),
        "best": best_layers(summary, names),
        "training": training_steps(of_main_curves(tables["steps.csv"], scores), names),
        "similarity": layer_similarity(tables["layer_pairs.csv"], scores, names),
        "classes": class_scores(tables["classes.csv"], summary, scores, names),
        "labels": names.labels,
        "images": all_thumbnails(study.pictures),
        "gallery": galleries(study.pictures, [row for row in study.results.summary if row.main], scores, names),
        "charts": page_charts(study.run.models),
        "colors": COLORS,
        "shapes": SHAPES,
    }


def _mean_words(scores: Scores) -> str:
    folds, seeds = len(scores.folds), scores.n_seeds
    if folds > 1:
        return f"mean of {folds} folds"
    return f"mean of {seeds} seeds" if seeds > 1 else "the only fold"


def of_main_curves(table: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """The rows of a table of curves that are of the main pooling."""
    return table.merge(main_curves(scores)[["dataset", "model", "pooling"]].drop_duplicates())


def best_layers(summary: pd.DataFrame, names: Names) -> Columns:
    """Give the best layer of every curve at its last step, with what is known of it in the wider scope.

    Args:
        summary: rows of summary.csv, of the main curves.
        names: what places refer to.
    """
    bounds = ["low", "high", "at_least", "at_most"]
    wider, narrower = (summary[[*ENDS[scope], *LEAD_ENDS[scope]]].set_axis(bounds, axis=1) for scope in BOTH)
    places = {"best": summary["best_depth"], "value": summary["unseen"], "last": summary["last_value"]}
    rows = summary.assign(**places, **wider.fillna(narrower))
    return names.table(rows, BEST)


def training_steps(steps: pd.DataFrame, names: Names) -> Columns:
    """Give accuracy and g at every step; deviations of means over folds alone.

    Args:
        steps: rows of steps.csv, of the main curves.
        names: what places refer to.
    """
    steps = steps.assign(**{name: steps[name].where(steps["fold"] == MEAN) for name in SPREAD})
    return names.table(steps, ("fold", "metric", "step", "accuracy", "unseen", "seen", *SPREAD))


def layer_similarity(pairs: pd.DataFrame, scores: Scores, names: Names) -> Columns:
    """Give the linear CKA of all pairs of layers, of the mean over folds and of each fold, seeds averaged.

    Args:
        pairs: layer_pairs.csv; may be empty.
        scores: the curves.
        names: what places refer to.

    Returns:
        Columns network, fold, split; pixels: whether raw pixels come before the first layer; value: the lower triangle
        of the matrix row by row, the diagonal included.
    """
    pairs = pairs[scores.on_main_curve(pairs, "_a") & scores.on_main_curve(pairs, "_b") & pairs["split"].isin(SPLITS)]
    keys, rows = ["dataset", "model", "split", "fold"], []
    for key, own in pd.concat([pairs.assign(fold=MEAN), pairs]).groupby(keys, sort=False):
        values = matrix(own)[1]
        row = dict(zip(keys, key, strict=True)) | {"pixels": bool((own["depth_a"] == -1).any())}
        rows.append(row | {"value": numbers(values[np.tril_indices(len(values))])})
    return names.table(rows, ("fold", "split", "pixels", "value"))


def class_scores(classes: pd.DataFrame, summary: pd.DataFrame, scores: Scores, names: Names) -> Columns:
    """Give the scores of single classes at the best layer of the mean over folds, and at the last layer.

    Args:
        classes: classes.csv; may be empty.
        summary: rows of summary.csv, of the main curves.
        scores: the curves.
        names: what places refer to.

    Returns:
        Columns network, fold, metric, split, label, best and last.
    """
    means = summary.loc[summary["fold"] == MEAN, ["dataset", "model", "metric", "best_depth", "last_depth"]]
    own = classes[scores.on_main_curve(classes)].merge(means)
    at_best, at_last = (own[own["depth"] == own[depth]] for depth in ("best_depth", "last_depth"))
    keys = ["dataset", "model", "fold", "metric", "split", "label"]
    both = at_best[[*keys, "value"]].merge(at_last[[*keys, "value"]], on=keys, suffixes=("_best", "_last"))
    rows = both.rename(columns={"value_best": "best", "value_last": "last"})
    return names.table(rows, ("fold", "metric", "split", "label", "best", "last"))


def all_series(scores: Scores) -> list[dict[str, Any]]:
    """Give every main curve.

    Returns:
        Mappings: dataset, model, fold, metric, split and step; value, low and high (lists over layers; the last two
        None where there is no band); band (`classes`, `images`, `sd` or nothing); tied (depths of the layers that tie
        with the best, None where not known); best (the depth of the best layer, None where none is); chance and pixels,
        one number each.
    """
    main = main_curves(scores)
    n_layers = main.groupby(["dataset", "model"])["depth"].max() + 1
    series = []
    for _, rows in main.groupby(["dataset", "model", *CURVE], sort=False):
        first: dict[str, Any] = {str(name): value for name, value in rows.iloc[0].items()}
        depths = rows["depth"].to_numpy(dtype=int)
        banded = with_bands(rows, spread=first["fold"] == MEAN)
        lists = {}
        for name in ("value", "low", "high"):
            values = np.full(n_layers[first["dataset"], first["model"]], np.nan)
            values[depths] = banded[name]
            lists[name] = numbers(values)
        ends = dict.fromkeys(("low", "high")) if banded["band"].iloc[0] == NO_BAND else {}
        best, tied = best_index(rows["value"].to_numpy(dtype=float), first["better"]), banded["tied"]
        series.append(
            {name: first[name] for name in ("dataset", "model", *CURVE)}
            | lists
            | ends
            | {
                "band": banded["band"].iloc[0],
                "tied": depths[tied.fillna(value=False)].tolist() if tied.notna().any() else None,
                "best": None if best is None else int(depths[best]),
                "chance": rounded(rows["chance"].mean()),
                "pixels": rounded(scores.baseline_at(first, first["split"], first["step"])),
            }
        )
    return series
