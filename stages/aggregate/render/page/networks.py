"""What the page's data are about: networks, their layers, and the names that its tables refer to by place.

The data are one block of JSON: tables column by column, rounded, safe inside an HTML script element.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.words.formatting import short_names
from stages.aggregate.words.scores import score_words
from stages.shared.embeddings.split_names import SEEN, UNSEEN

DECIMALS = 3
"""Of every number on the page, as in all texts; the tables beside it have full precision."""

UNSAFE = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
"""What could end a script element, start a comment in it, or break a line of JavaScript, and its escape in JSON."""

Columns = dict[str, list[Any]]
"""Column -> its values, all of the same length."""

SPLITS = [UNSEEN, SEEN]

MAX_NAME = 22
"""Characters of a layer's name on an axis."""

LOG_FACTOR = 30
"""A score that is no share (above 2) gets a logarithmic axis if it spans a larger factor, as in the figures."""


@dataclass(frozen=True)
class Network:
    """One network on one dataset.

    Attributes:
        pooling: the name of its main curve.
        layers: of that curve, from input to output: columns layer, depth, embedding, parameters, operations.
    """

    dataset: str
    model: str
    pooling: str
    layers: pd.DataFrame

    @cached_property
    def place(self) -> dict[int, int]:
        """Depth -> the layer's place in `layers`."""
        return {int(depth): i for i, depth in enumerate(self.layers["depth"])}

    @cached_property
    def embeddings(self) -> set[tuple[str, str]]:
        """Name and pooling of each of its layers."""
        return set(zip(self.layers["layer"], self.layers["embedding"], strict=True))

    def about(self) -> dict[str, Any]:
        """Describe it for the page."""
        names = list(self.layers["layer"])
        return {
            "dataset": self.dataset,
            "model": self.model,
            "layers": names,
            "short": short_names(names, MAX_NAME),
            "parameters": [rounded(value) for value in self.layers["parameters"]],
            "operations": [rounded(value) for value in self.layers["operations"]],
        }


@dataclass(frozen=True)
class Names:
    """Everything that the page's tables refer to by its place in a list.

    Attributes:
        networks: in the order of the grid.
        folds: `mean`, then each fold.
        metrics: scores, in the order of tables.
        steps: every step of any network, ascending.
    """

    networks: list[Network]
    folds: list[str]
    metrics: list[str]
    steps: list[int]

    @cached_property
    def keys(self) -> list[tuple[str, str]]:
        """Dataset and model of each network."""
        return [(network.dataset, network.model) for network in self.networks]

    def about_metrics(self, scores: Scores) -> list[dict[str, Any]]:
        """Describe the scores for the page; `log`: whether they need a logarithmic axis."""
        groups = dict(iter(main_curves(scores).groupby("metric", sort=False)))
        pixels = scores.baseline.groupby("metric")["value"]
        return [
            {
                "id": metric,
                "name": score_words(metric).name,
                "definition": score_words(metric).definition,
                "better": str(groups[metric]["better"].iloc[0]),
                "classes": scores.catalogue[metric].per_image,
                "log": _spans_much(_on_axis(groups[metric], pixels, metric)),
            }
            for metric in self.metrics
        ]


def collect_names(scores: Scores) -> Names:
    """List what the main curves of a grid are about."""
    main = main_curves(scores)
    of_layers = main.drop_duplicates(["dataset", "model", "depth"]).sort_values("depth", kind="stable")
    columns = ["layer", "depth", "embedding", "parameters", "operations"]
    networks = [
        Network(str(dataset), str(model), str(rows["pooling"].iloc[0]), rows[columns].reset_index(drop=True))
        for (dataset, model), rows in of_layers.groupby(["dataset", "model"], sort=False)
    ]
    return Names(
        networks=networks,
        folds=[MEAN, *scores.folds],
        metrics=[name for name in scores.catalogue if name in set(main["metric"])],
        steps=sorted(int(step) for step in main["step"].unique()),
    )


def main_curves(scores: Scores) -> pd.DataFrame:
    """The points that the page shows: of the main pooling, on seen and unseen classes."""
    return scores.curves[scores.curves["main"] & scores.curves["split"].isin(SPLITS)]


def _on_axis(points: pd.DataFrame, pixels: Any, metric: str) -> Any:
    """All that the axis of a score has to hold: its values, chance and raw pixels."""
    baseline = pixels.get_group(metric) if metric in pixels.groups else []
    return np.concatenate([points["value"], points["chance"], baseline]).astype(float)


def _spans_much(values: Any) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > 2 and known.max() / known.min() > LOG_FACTOR)


def script_json(data: Any) -> str:
    """Write data as compact JSON that may stand in a script element, whatever text it holds.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(UNSAFE)


def rounded(value: Any) -> float | int | None:
    """Round a number to `DECIMALS`, a whole one to an int, which is shorter; None where it is missing or infinite."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return None
    number = round(float(value), DECIMALS)
    return int(number) if number.is_integer() else number


def numbers(values: Iterable[Any]) -> list[float | int | None]:
    """Round many."""
    return [rounded(value) for value in values]


def codes(values: Iterable[Any], names: Sequence[Any]) -> list[int]:
    """Replace names by their place in a list.

    Raises:
        KeyError: a value is not in the list.
    """
    place = {name: i for i, name in enumerate(names)}
    return [place[value] for value in values]


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    """Turn rows into columns."""
    return {name: [row[name] for row in rows] for name in names}


def best_places(best: Columns) -> dict[tuple[int, int], int]:
    """Network and score -> the place of the layer that is best on average over folds, the first of `folds`."""
    rows = zip(*(best[name] for name in ("network", "fold", "metric", "best")), strict=True)
    return {(network, metric): layer for network, fold, metric, layer in rows if fold == 0}
