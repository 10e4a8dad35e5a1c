"""The networks and scores of which the page tells, and its tables as JSON, safe inside an HTML script element."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from stages.aggregate.charts.depth import spans_much
from stages.aggregate.curves import Name, Scores
from stages.aggregate.words.formatting import short_names
from stages.aggregate.words.scores import DEFINITIONS, explain_scopes, metric_name
from stages.shared.embeddings.split_names import SEEN, UNSEEN

DECIMALS = 3
"""Of every number on the page, as in all texts; the tables beside it have full precision."""

UNSAFE = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
"""What could end a script element, start a comment in it, or break a line of JavaScript, and its escape in JSON."""

Columns = dict[str, list[Any]]
"""Column -> its values, all of the same length."""

SPLITS = {UNSEEN: "unseen", SEEN: "seen"}
"""The splits that the page shows, and what it calls them."""

MAX_NAME = 22
"""Characters of a layer's name on an axis."""


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
    return scores.curves[scores.curves["main"] & scores.curves["split"].isin(SPLITS)]


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
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(UNSAFE)


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
