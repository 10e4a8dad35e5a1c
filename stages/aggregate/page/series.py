"""Every curve of the page: one score of one network on one split at one step, a value per layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.curves import MEAN, Scores, best_index
from stages.aggregate.figures.bands import LIMITS
from stages.aggregate.page.blob import Columns, columns, numbers, rounded
from stages.aggregate.page.networks import SPLITS, Names, Network, main_curves

KEYS = ["dataset", "model", "fold", "metric", "split", "step"]
NAMES = (
    "network",
    "fold",
    "metric",
    "split",
    "step",
    "value",
    "low",
    "high",
    "band",
    "tied",
    "best",
    "chance",
    "pixels",
)
NO_BAND, DEVIATION = "", "sd"
"""What a band is: nothing, one standard deviation, or the interval of a scope."""


def all_series(scores: Scores, names: Names) -> Columns:
    """Give every curve of the main pooling, column by column.

    Returns:
        Columns network, fold, metric, split, step (places in `names`; splits in `SPLITS`); value, low and high (lists
        over layers; the last two None where there is no band); band (`classes`, `images`, `sd` or nothing); tied
        (places of the layers that tie with the best, None where not known); best (the place of the best layer, None
        where none is); chance and pixels, one number each.
    """
    return columns(list(_series(scores, names)), NAMES)


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
    places = [network.place[int(depth)] for depth in rows["depth"]]
    values = rows["value"].to_numpy(dtype=float)
    low, high, band = _band(rows, values, spread=spread)
    tied, best = _tied(rows), best_index(values, rows["better"].iloc[0])
    return {
        "value": _placed(values, places, len(network.layers)),
        "low": None if low is None else _placed(low, places, len(network.layers)),
        "high": None if high is None else _placed(high, places, len(network.layers)),
        "band": band,
        "best": None if best is None else places[best],
        "tied": None if tied is None else sorted(place for place, is_tied in zip(places, tied, strict=True) if is_tied),
    }


def _band(rows: pd.DataFrame, values: Any, *, spread: bool) -> tuple[Any, Any, str]:
    """The interval of the wider scope that is known, else one standard deviation to each side, else nothing."""
    for scope, (low, high) in LIMITS.items():
        if rows[low].notna().any():
            return rows[low].to_numpy(dtype=float), rows[high].to_numpy(dtype=float), scope
    deviations = rows["sd"].to_numpy(dtype=float)
    if spread and not np.isnan(deviations).all():
        return values - deviations, values + deviations, DEVIATION
    return None, None, NO_BAND


def _tied(rows: pd.DataFrame) -> list[bool] | None:
    for scope in LIMITS:
        known = rows[f"tied_{scope}"]
        if known.notna().any():
            return [bool(value) for value in known.fillna(value=False)]
    return None


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
