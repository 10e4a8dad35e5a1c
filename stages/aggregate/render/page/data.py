"""The data of the page's charts and tables, column by column; a network is its place in the list of all."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from ....shared.embeddings.split_names import UNSEEN
from ....shared.tables.gallery import MEDIA_TYPE
from ...charts.bands import NO_BAND, with_bands
from ...charts.draw import page_charts
from ...charts.network_figures import SPLITS, spans_much
from ...charts.theme import COLORS, SHAPES
from ...curves import MEAN, Name, Scores
from ...facts import Facts, told_of
from ...tables.summary_row import INTERVAL_ENDS
from ...words.formatting import of_parts, short_names
from ...words.scopes import explain_scopes
from ...words.scores import DEFINITIONS, metric_name
from ...words.study import averages
from .provenance import Study

CURVE = ("fold", "metric", "split", "step")
POINTS = ("value", "low", "high", "band", "tied", "best", "chance", "pixels")
TRAINING = ("fold", "metric", "step", "accuracy", "unseen", "seen")
"""Columns of steps.csv."""

DECIMALS = 3
"""Of every number on the page, as in all texts; the tables beside it have full precision."""

UNSAFE = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
"""What could end a script element, start a comment in it, or break a line of JavaScript, and its escape in JSON."""

Columns = dict[str, list[Any]]
"""Column -> its values, all of the same length."""

MAX_NAME = 22
"""Characters of a layer's name on an axis."""


def page_data(study: Study) -> dict[str, Any]:
    """Everything that the page's scripts draw from."""
    scores, tables = study.results.scores, study.results.tables
    networks = all_networks(scores)
    summary = of_main_curves(tables["summary.csv"], scores)
    return {
        "networks": about_networks(scores),
        "metrics": about_metrics(scores),
        "folds": [MEAN, *scores.folds],
        "steps": sorted(map(int, main_curves(scores)["step"].unique())),
        "mean": averages(scores).words if averages(scores).vary else of_parts("the only fold", scores.parts),
        "part": of_parts("fold", scores.parts),
        "series": table(all_series(scores), (*CURVE, *POINTS), networks),
        "answers": answers(study.results.facts, networks),
        "best": best_layers(summary, networks),
        "training": table(of_main_curves(tables["steps.csv"], scores), TRAINING, networks),
        "classes": class_scores(study.results.classes, scores, networks),
        "images": all_thumbnails(study.thumbnails),
        "gallery": galleries(study, networks),
        "charts": page_charts(study.run.models),
        "colors": COLORS,
        "shapes": SHAPES,
    }


def of_main_curves(table: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """The rows of a table of curves that are of the main pooling."""
    return table.merge(main_curves(scores)[["dataset", "model", "pooling"]].drop_duplicates())


def answers(facts: Facts, networks: Sequence[Name]) -> Columns:
    """Give the checkpoint of which each network's sentence tells, by use, and if it is the dataset's best network."""
    found = facts.of_use()
    by_use = groupby(sorted(found, key=lambda each: (each.dataset, each.use)), lambda each: (each.dataset, each.use))
    best = {(each.dataset, each.model, each.use) for each in (told_of(list(own)) for _, own in by_use)}
    rows = [
        each.model_dump(include={"dataset", "model", "use", "metric"})
        | {"step": each.best.step, "layer": each.best.depth, "best": (each.dataset, each.model, each.use) in best}
        for each in found
    ]
    return table(rows, ("use", "metric", "step", "layer", "best"), networks)


def best_layers(summary: pd.DataFrame, networks: Sequence[Name]) -> Columns:
    """Give the best layer of every curve at its last step, with its interval in the wider scope.

    Args:
        summary: rows of summary.csv, of the main curves.
        networks: all, in the order of the grid.
    """
    wider, narrower = (summary[[*ends]].set_axis(["low", "high"], axis=1) for ends in INTERVAL_ENDS.values())
    known = wider.where(wider.notna().any(axis=1), narrower, axis=0)
    wanted = ("fold", "metric", "best_depth", "unseen", "last_value", *known, "seen", "accuracy")
    return table(summary.assign(**known), wanted, networks)


def class_scores(classes: pd.DataFrame, scores: Scores, networks: Sequence[Name]) -> Columns:
    """Give the scores of single classes at the best layer of the mean over folds, and at the last layer.

    Args:
        classes: the means over each class's images, of `Results`; may be empty.
        scores: the curves.
        networks: all, in the order of the grid.

    Returns:
        Columns network, fold, metric, step, split, label, value_best and value_last.
    """
    at, main = ["dataset", "model", "metric", "step"], main_curves(scores)
    own, means = classes[scores.on_main_curve(classes)], main[(main["fold"] == MEAN) & (main["split"] == UNSEEN)]
    best, last = means[means["best"]], means[means["depth"] == means.groupby(at)["depth"].transform("max")]
    keys = [*at, "fold", "split", "label"]
    at_best, at_last = (own.merge(rows[[*at, "depth"]])[[*keys, "value"]] for rows in (best, last))
    both = at_best.merge(at_last, on=keys, suffixes=("_best", "_last"))
    return table(both, ("fold", "metric", "step", "split", "label", "value_best", "value_last"), networks)


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
        banded = with_bands(rows, spread=first["fold"] == MEAN)
        tied = rows.loc[banded["tied"].fillna(value=False), "depth"].tolist()
        layers = banded.set_index("depth").reindex(range(n_layers[first["dataset"], first["model"]]))
        shown = ["value"] if banded["band"].iloc[0] == NO_BAND else ["value", "low", "high"]
        series.append(
            {name: first[name] for name in ("dataset", "model", *CURVE)}
            | {"low": None, "high": None}
            | {name: numbers(layers[name]) for name in shown}
            | {
                "band": banded["band"].iloc[0],
                "tied": tied if banded["tied"].notna().any() else None,
                "best": next(iter(rows.loc[rows["best"], "depth"]), None),
                "chance": rounded(rows["chance"].mean()),
                "pixels": rounded(first["pixels"]),
            }
        )
    return series


def all_thumbnails(thumbnails: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Give every dataset's thumbnails: labels and pictures (base64) in the order of their table, and their type."""
    return {
        dataset: {
            "type": MEDIA_TYPE,
            "labels": list(table["label"]),
            "images": [base64.b64encode(picture).decode() for picture in table["image"]],
        }
        for dataset, table in thumbnails.items()
        if len(table)
    }


def galleries(study: Study, networks: Sequence[Name]) -> Columns:
    """Give where each layer puts the thumbnails' images, of the first seed of each network and fold.

    Returns:
        Columns network, fold; layer (its depth); explained, the share of variance in the plane; and lists over images:
        image (places in the thumbnails), x, y (turned so that images stay near their places of the layer before), and
        neighbours (lists of such places).
    """
    scores, rows, done = study.results.scores, [], set()
    for (dataset, model, fold, _), points in study.galleries.items():
        if fold not in scores.folds or (dataset, model, fold) in done:
            continue
        done.add((dataset, model, fold))
        points, before = points.assign(dataset=dataset, model=model), None
        image = {sample: i for i, sample in enumerate(study.thumbnails[dataset]["sample_id"])}
        for depth, own in points[scores.on_main_curve(points) & (points["depth"] >= 0)].groupby("depth"):
            plane = own[["x", "y"]].to_numpy(dtype=float)
            if before is not None:
                left, _, right = np.linalg.svd(plane.T @ before)
                plane = plane @ left @ right
            before = plane = plane / (abs(plane).max() or 1.0)
            rows.append(
                {"dataset": dataset, "model": model, "fold": fold, "layer": depth}
                | {"explained": round(float(own["explained"].iloc[0]), 2)}
                | {"image": [image[sample] for sample in own["sample_id"]]}
                | dict(zip("xy", (plane.round(DECIMALS) + 0.0).T.tolist(), strict=True))
                | {"neighbours": [[image[sample] for sample in nearest] for nearest in own["neighbours"]]}
            )
    return table(rows, ("fold", "layer", "explained", "image", "x", "y", "neighbours"), networks)


def table(rows: pd.DataFrame | Iterable[Mapping[str, Any]], wanted: Sequence[str], networks: Sequence[Name]) -> Columns:
    """Turn rows into columns, with the network's place for dataset and model.

    Args:
        rows: with dataset and model; a table or mappings, whose lists stay as they are.
        wanted: the columns beside `network`.
        networks: all, in the order of the grid.

    Raises:
        ValueError: a network is not among these.
    """
    records: list[Any] = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else list(rows)
    filled: Columns = {"network": [networks.index((row["dataset"], row["model"])) for row in records]}
    for name in wanted:
        filled[name] = [SPLITS[row[name]] if name == "split" else rounded(row[name]) for row in records]
    return filled


def all_networks(scores: Scores) -> list[Name]:
    """List the networks, in the order of the grid."""
    return list(dict.fromkeys(zip(scores.curves["dataset"], scores.curves["model"], strict=True)))


def main_curves(scores: Scores) -> pd.DataFrame:
    """The points that the page shows: of the main pooling, on seen and unseen classes."""
    return scores.points[scores.points["main"] & scores.points["split"].isin(SPLITS)]


def about_networks(scores: Scores) -> list[dict[str, Any]]:
    """Describe the layers of every network, from input to output."""
    layers = main_curves(scores).drop_duplicates(["dataset", "model", "depth"]).sort_values("depth", kind="stable")
    return [
        {
            "dataset": dataset,
            "model": model,
            "layers": list(own["layer"]),
            "short": short_names(own["layer"], MAX_NAME),
            "parameters": numbers(own["parameters"]),
            "operations": numbers(own["operations"]),
        }
        for (dataset, model), own in layers.groupby(["dataset", "model"], sort=False)
    ]


def about_metrics(scores: Scores) -> dict[str, dict[str, Any]]:
    """Describe every score; `log`: whether it needs a logarithmic axis."""
    main = main_curves(scores)
    return {
        metric: {
            "name": metric_name(metric),
            "use": scores.catalogue[metric].use,
            "definition": DEFINITIONS.get(metric, ""),
            "better": own["better"].iloc[0],
            "brackets": explain_scopes(metric, int(main["step"].max())),
            "classes": scores.catalogue[metric].per_image,
            "log": spans_much([*own["value"], *own["chance"], *own["pixels"]]),
        }
        for metric in scores.catalogue
        if len(own := main[main["metric"] == metric])
    }


def script_json(data: Any) -> str:
    """Write data as compact JSON that may stand in a script element, whatever text it holds.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(UNSAFE)


def rounded(value: Any) -> Any:
    """Round a number to `DECIMALS`, a whole one to an int, which is shorter; None where it is missing or infinite."""
    if isinstance(value, str | bool | list):
        return value
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    number = round(float(value), DECIMALS)
    return int(number) if number.is_integer() else number


def numbers(values: Iterable[Any]) -> list[Any]:
    """Round many."""
    return [rounded(value) for value in values]
