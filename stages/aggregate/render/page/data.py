"""The data of the page's charts and tables, column by column; `Names` says what their places refer to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.charts.intervals import NO_BAND, with_bands
from stages.aggregate.charts.layer_pairs import matrix
from stages.aggregate.charts.page import page_charts
from stages.aggregate.charts.theme import COLORS, SHAPES
from stages.aggregate.curves import MEAN, Scores, best_index
from stages.aggregate.facts import Facts
from stages.aggregate.render.page.images import Pictures, all_thumbnails, galleries
from stages.aggregate.render.page.networks import (
    SPLITS,
    Columns,
    Names,
    Network,
    best_places,
    codes,
    columns,
    main_curves,
    numbers,
    rounded,
)
from stages.aggregate.render.page.provenance import Run
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.scopes import SCOPES

BEST = (
    "network", "fold", "metric", "step", "best", "value", "sd", "low", "high", "scope", "last", "lead", "at_least",
    "at_most", "seen", "accuracy", "pixels", "chance", "tied",
)  # fmt: skip
Key = tuple[int, int, int, int, str]
"""Network, fold, score and split (places), and a class."""
ENDS = ("low", "high")
KEYS = ["dataset", "model", "fold", "metric", "split", "step"]
SERIES = (
    "network", "fold", "metric", "split", "step", "value", "low", "high", "band", "tied", "best", "chance", "pixels",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What the page is about.

    Attributes:
        scores: the means over seeds and folds, with `UNCERTAINTY`.
        summary: rows of summary.csv.
        facts: recommendations and findings.
        tables: the tables of the results by file name.
        run: what was run; the order of its models fixes their colours.
        pictures: of the images.
    """

    scores: Scores
    summary: Sequence[SummaryRow]
    facts: Facts
    tables: Mapping[str, pd.DataFrame]
    run: Run
    pictures: Pictures


def page_data(study: Study, names: Names) -> dict[str, Any]:
    """Everything that the page's scripts draw from."""
    best = best_layers(study.summary, names)
    classes = class_scores(study.tables["classes.csv"], best, names)
    labels = classes.pop("labels")
    main_metric = next(row.metric for row in study.summary if row.main)
    return {
        "networks": [network.about() for network in names.networks],
        "metrics": names.about_metrics(study.scores),
        "folds": names.folds,
        "steps": names.steps,
        "mean": _mean_words(study.scores),
        "series": all_series(study.scores, names),
        "best": best,
        "training": training_steps(study.tables["steps.csv"], names),
        "similarity": layer_similarity(study.tables["layer_pairs.csv"], names),
        "classes": classes,
        "labels": labels,
        "images": all_thumbnails(study.pictures),
        "gallery": galleries(study.pictures, best, names.metrics.index(main_metric), names),
        "charts": page_charts(study.run.models),
        "colors": COLORS,
        "shapes": SHAPES,
    }


def _mean_words(scores: Scores) -> str:
    folds, seeds = len(scores.folds), scores.n_seeds
    if folds > 1:
        return f"mean of {folds} folds"
    return f"mean of {seeds} seeds" if seeds > 1 else "the only fold"


def best_layers(summary: Sequence[SummaryRow], names: Names) -> Columns:
    """Give the rows of the summary of the main pooling, column by column (`BEST`)."""
    place = {key: i for i, key in enumerate(names.keys)}
    rows = [row for row in summary if row.pooling == names.networks[place[row.dataset, row.model]].pooling]
    return columns([_best_row(row, names, place[row.dataset, row.model]) for row in rows], BEST)


def _best_row(row: SummaryRow, names: Names, number: int) -> dict[str, Any]:
    network = names.networks[number]
    intervals = {scope: ends for scope in SCOPES if (ends := row.interval(scope))}
    leads = [lead for scope in SCOPES if (lead := row.lead_bounds(scope))]
    scope, (low, high) = next(iter(intervals.items()), (None, (None, None)))
    return {
        "network": number,
        "fold": names.folds.index(row.fold),
        "metric": names.metrics.index(row.metric),
        "step": names.steps.index(row.step),
        "best": network.place[row.best_depth],
        "value": rounded(row.unseen),
        "sd": rounded(row.unseen_sd),
        "low": rounded(low),
        "high": rounded(high),
        "scope": scope,
        "last": rounded(row.last_value),
        "lead": rounded(row.lead),
        "at_least": rounded(leads[0].low) if leads else None,
        "at_most": rounded(leads[0].high) if leads else None,
        "seen": rounded(row.seen),
        "accuracy": rounded(row.accuracy),
        "pixels": rounded(row.baseline),
        "chance": rounded(row.chance),
        "tied": [network.place[depth] for depth in row.tied_depths],
    }


def training_steps(steps: pd.DataFrame, names: Names) -> Columns:
    """Give accuracy and g at every step, of the main pooling (stages.aggregate.tables.steps)."""
    main = {(network.dataset, network.model, network.pooling) for network in names.networks}
    curves = zip(steps["dataset"], steps["model"], steps["pooling"], strict=True)
    rows = steps[[curve in main for curve in curves]]
    spread = rows["fold"] == MEAN
    return {
        "network": codes(zip(rows["dataset"], rows["model"], strict=True), names.keys),
        "fold": codes(rows["fold"], names.folds),
        "metric": codes(rows["metric"], names.metrics),
        "step": codes(rows["step"], names.steps),
        "accuracy": numbers(rows["accuracy"]),
        "accuracy_sd": numbers(rows["accuracy_sd"].where(spread)),
        "unseen": numbers(rows["unseen"]),
        "unseen_sd": numbers(rows["unseen_sd"].where(spread)),
        "seen": numbers(rows["seen"]),
        "seen_sd": numbers(rows["seen_sd"].where(spread)),
    }


def layer_similarity(pairs: pd.DataFrame, names: Names) -> Columns:
    """Give the linear CKA of all pairs of layers, of the mean over folds and of each fold, seeds averaged.

    Args:
        pairs: layer_pairs.csv; may be empty.
        names: what places refer to.

    Returns:
        Columns network, fold, split; pixels: whether raw pixels come before the first layer; value: the lower triangle
        of the matrix row by row, the diagonal included.
    """
    rows = []
    for (dataset, model, split), own in pairs.groupby(["dataset", "model", "split"], sort=False):
        number = names.keys.index((str(dataset), str(model)))
        own = own[_on_curve(own, "a", names.networks[number]) & _on_curve(own, "b", names.networks[number])]
        for place, fold in enumerate(names.folds):
            of_fold = own if fold == MEAN else own[own["fold"] == fold]
            if split in SPLITS and len(of_fold):
                values = matrix(of_fold)[1]
                rows.append(
                    {
                        "network": number,
                        "fold": place,
                        "split": SPLITS.index(str(split)),
                        "pixels": bool((of_fold["depth_a"] == -1).any()),
                        "value": numbers(values[np.tril_indices(len(values))]),
                    }
                )
    return columns(rows, ["network", "fold", "split", "pixels", "value"])


def _on_curve(pairs: pd.DataFrame, end: str, network: Network) -> "pd.Series[bool]":
    """Whether one end of each pair is a layer of the network's main curve, or the raw pixels."""
    ends = zip(*(pairs[f"{name}_{end}"] for name in ("layer", "pooling", "depth")), strict=True)
    kept = [(layer, pooling) in network.embeddings or depth == -1 for layer, pooling, depth in ends]
    return pd.Series(kept, index=pairs.index, dtype=bool)


def class_scores(classes: pd.DataFrame, best: Columns, names: Names) -> Columns:
    """Give the scores of single classes at the best and at the last layer.

    Args:
        classes: classes.csv; may be empty.
        best: the page's best layers: that of a score is the one of its mean over folds.
        names: what places refer to.

    Returns:
        Columns network, fold, metric, split, label (a place in labels), best and last; labels, the classes by name.
    """
    chosen = best_places(best)
    found: dict[Key, dict[str, Any]] = {}
    for row in _of_layers(classes, names).itertuples(index=False):
        number, metric = names.keys.index((str(row.dataset), str(row.model))), names.metrics.index(str(row.metric))
        network = names.networks[number]
        if (number, metric) not in chosen or (row.layer, row.pooling) not in network.embeddings:
            continue
        key = (number, names.folds.index(str(row.fold)), metric, SPLITS.index(str(row.split)), str(row.label))
        entry = found.setdefault(key, {"best": None, "last": None})
        own, value = network.place[int(row.depth)], rounded(row.value)  # type: ignore[arg-type]
        entry |= {"best": value} if own == chosen[number, metric] else {}
        entry |= {"last": value} if own == len(network.layers) - 1 else {}
    return _by_column(found)


def _of_layers(classes: pd.DataFrame, names: Names) -> pd.DataFrame:
    """The rows of layers, without the raw pixels and the head, of shown splits and scores."""
    shown = classes["split"].isin(SPLITS) & classes["metric"].isin(names.metrics)
    return classes[shown & (classes["depth"] >= 0).fillna(value=False)]


def _by_column(found: dict[Key, dict[str, Any]]) -> Columns:
    labels = sorted({label for *_, label in found})
    place = {label: i for i, label in enumerate(labels)}
    names = ("network", "fold", "metric", "split")
    rows = [dict(zip(names, key, strict=False)) | {"label": place[key[-1]]} | entry for key, entry in found.items()]
    return columns(rows, [*names, "label", "best", "last"]) | {"labels": labels}


def all_series(scores: Scores, names: Names) -> Columns:
    """Give every curve of the main pooling, column by column.

    Returns:
        Columns network, fold, metric, split, step (places in `names`; splits in `SPLITS`); value, low and high (lists
        over layers; the last two None where there is no band); band (`classes`, `images`, `sd` or nothing); tied
        (places of the layers that tie with the best, None where not known); best (the place of the best layer, None
        where none is); chance and pixels, one number each.
    """
    return columns(list(_series(scores, names)), SERIES)


def _series(scores: Scores, names: Names) -> Iterator[dict[str, Any]]:
    networks = {key: (i, network) for i, (key, network) in enumerate(zip(names.keys, names.networks, strict=True))}
    place: dict[str, dict[Any, int]] = {
        "fold": {fold: i for i, fold in enumerate(names.folds)},
        "metric": {metric: i for i, metric in enumerate(names.metrics)},
        "split": {split: i for i, split in enumerate(SPLITS)},
        "step": {step: i for i, step in enumerate(names.steps)},
    }
    pixels = _pixels(scores.baseline)
    groups: Any = main_curves(scores).groupby(KEYS, sort=False)
    for key, rows in groups:
        named: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        number, network = networks[named["dataset"], named["model"]]
        own = {name: place[name][named[name]] for name in place}
        chance = rows["chance"].to_numpy(dtype=float)
        yield {
            "network": number,
            **own,
            **_values(rows, network, spread=named["fold"] == MEAN),
            "chance": rounded(chance[~np.isnan(chance)].mean()) if (~np.isnan(chance)).any() else None,
            "pixels": rounded(pixels.get(key, pixels.get(key[:-1]))),
        }


def _values(rows: pd.DataFrame, network: Network, *, spread: bool) -> dict[str, Any]:
    """A curve's values by layer, their band, and the layers that tie with the best; `spread`: deviations serve too."""
    places, n = [network.place[int(depth)] for depth in rows["depth"]], len(network.layers)
    values = rows["value"].to_numpy(dtype=float)
    banded, best = with_bands(rows, spread=spread), best_index(values, rows["better"].iloc[0])
    band, tied = str(banded["band"].iloc[0]), banded["tied"].fillna(value=False)
    ends = {end: _placed(banded[end].to_numpy(dtype=float), places, n) if band != NO_BAND else None for end in ENDS}
    return {
        "value": _placed(values, places, n),
        **ends,
        "band": band,
        "best": None if best is None else places[best],
        "tied": sorted(compress(places, tied)) if banded["tied"].notna().any() else None,
    }


def _placed(values: Any, places: list[int], length: int) -> list[float | int | None]:
    """Put values at their layers' places; None at a layer without one."""
    placed = np.full(length, np.nan)
    placed[places] = values
    return numbers(placed)


def _pixels(baseline: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """The raw-pixel baseline by `KEYS`, and without the step: images do not change with training."""
    keys = [tuple(row) for row in baseline[KEYS].itertuples(index=False)]
    values = baseline["value"].astype(float)
    return {key[:-1]: value for key, value in zip(keys, values, strict=True)} | dict(zip(keys, values, strict=True))
