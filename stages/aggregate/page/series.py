"""Every curve of the page: one score of one network on one split at one step, a value per layer."""

from collections.abc import Iterator
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.charts.intervals import NO_BAND, with_bands
from stages.aggregate.curves import MEAN, Scores, best_index
from stages.aggregate.page.blob import Columns, columns, numbers, rounded
from stages.aggregate.page.networks import SPLITS, Names, Network, main_curves

ENDS = ("low", "high")
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
