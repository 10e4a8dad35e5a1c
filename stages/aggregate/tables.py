"""The tables of data/results, made from curves averaged over seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from stages.aggregate.scores import CURVE, SEEN, UNSEEN, Scores
from stages.shared.console import UserError, nearest

SUMMARY_COLUMNS = (
    *("dataset", "model", "pooling", "step", "n_seeds", "metric", "seen", "unseen"),
    *("best_layer", "best_depth", "last_depth", "last_value", "accuracy"),
    *("seen_sd", "unseen_sd", "last_value_sd", "accuracy_sd", "baseline", "chance", "ceiling"),
    *("last_layer", "best_parameters", "total_parameters", "seen_layer", "seen_depth", "main"),
)
"""The contract's columns, standard deviations (ddof = 1, at the chosen layer), and what helps to read them."""

STEPS_COLUMNS = (
    *("dataset", "model", "pooling", "metric", "step", "n_seeds", "accuracy", "accuracy_sd"),
    *("unseen", "unseen_sd", "best_layer", "best_depth"),
    *("unseen_fixed", "unseen_fixed_sd", "fixed_layer", "fixed_depth"),
    *("seen", "seen_sd", "seen_layer", "seen_depth"),
    *("seen_fixed", "seen_fixed_sd", "seen_fixed_layer", "seen_fixed_depth"),
)

Row = pd.Series  # one point of a curve


def summarize(scores: Scores, main_metric: str) -> pd.DataFrame:
    """Sum up every curve at the last step at which its score was measured.

    Args:
        scores: curves averaged over seeds.
        main_metric: `main` marks, for each dataset and model, the row of this score and of the main pooling.

    Returns:
        `SUMMARY_COLUMNS`, one row per dataset, model, pooling and metric; empty where there is no such value.

    Raises:
        UserError: the main metric was not measured, or a curve has no finite value on unseen classes.
    """
    known = sorted(scores.curves["metric"].unique())
    if main_metric not in known:
        raise UserError(
            f"aggregate.main_metric: {main_metric!r} was not measured on any layer: {nearest(main_metric, known)}; "
            "choose one of these, or add it to measure.metrics"
        )
    rows = [_summary_row(curve, scores, main_metric) for curve in curves(scores.curves)]
    return _typed(pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)))


def follow_steps(scores: Scores) -> pd.DataFrame:
    """Give every curve's best score at every step, with the best layer chosen in both published ways.

    Returns:
        `STEPS_COLUMNS`. `unseen` and `seen` are the maxima over layers at that step; `unseen_fixed` and `seen_fixed`
        the scores, at that step, of the layers that were best at the first step. Each split chooses its own layers.
    """
    rows = [row for curve in curves(scores.curves) for row in _step_rows(curve, scores)]
    return _typed(pd.DataFrame(rows, columns=list(STEPS_COLUMNS)))


def last_step(scores: Scores) -> pd.DataFrame:
    """Give every curve's points at its last step.

    Returns:
        dataset, model, pooling, metric, split, step, depth, relative_depth, layer, value, sd. relative_depth is
        0 at the first layer and 1 at the last.
    """
    tables = []
    for curve in curves(scores.curves):
        points = curve[(curve["step"] == curve["step"].max()) & curve["split"].isin([SEEN, UNSEEN])]
        deepest = max(int(points["depth"].max()), 1)
        tables.append(points.assign(relative_depth=(points["depth"] / deepest).astype(float).round(6)))
    columns = [*CURVE, "split", "step", "depth", "relative_depth", "layer", "value", "sd"]
    return cast(pd.DataFrame, pd.concat(tables, ignore_index=True)[columns])


def headline(summary: pd.DataFrame) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """The content of metrics.json: dataset -> model -> accuracy, g_unseen, g_seen, best_depth, last_value."""
    tree: dict[str, dict[str, dict[str, float | int | None]]] = {}
    for _, row in summary[summary["main"]].iterrows():
        tree.setdefault(row["dataset"], {})[row["model"]] = {
            "accuracy": _rounded(row["accuracy"]),
            "g_unseen": _rounded(row["unseen"]),
            "g_seen": _rounded(row["seen"]),
            "best_depth": int(row["best_depth"]),
            "last_value": _rounded(row["last_value"]),
        }
    return tree


def curves(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the points of one curve after the other: all splits and steps of a dataset, model, pooling and metric."""
    for _, curve in points.groupby([*CURVE, "main"], sort=False):
        yield curve


def best(curve: pd.DataFrame, split: str, step: int) -> Row | None:
    """The highest point on one split at one step; the shallower of equal ones; None where nothing was measured.

    Raises:
        UserError: there are values, but none is finite.
    """
    points = curve[(curve["split"] == split) & (curve["step"] == step)].sort_values("depth")
    if points.empty:
        return None
    if points["value"].isna().all():
        name = points.iloc[0]
        raise UserError(
            f"{name['dataset']}, {name['model']}: {name['metric']} at step {step} has no finite value at any layer "
            f"on the split {split!r}, so that no layer can be chosen; take {name['metric']} out of measure.metrics, "
            "or look at the embeddings"
        )
    return points.iloc[int(np.nanargmax(points["value"].to_numpy(dtype=float)))]


def at_layer(curve: pd.DataFrame, split: str, step: int, layer: str) -> Row | None:
    """One layer's point on one split at one step, or None."""
    points = curve[(curve["split"] == split) & (curve["step"] == step) & (curve["layer"] == layer)]
    return None if points.empty else points.iloc[0]


def baseline_at(scores: Scores, curve: pd.DataFrame, split: str, step: int) -> float | None:
    """The raw-pixel baseline of a curve's score; images do not change with training, so any step's value serves."""
    name, rows = curve.iloc[0], scores.baseline
    rows = rows[(rows["dataset"] == name["dataset"]) & (rows["model"] == name["model"])]
    rows = rows[(rows["metric"] == name["metric"]) & (rows["split"] == split)]
    exact = rows[rows["step"] == step]
    chosen = exact if len(exact) else rows
    return None if chosen.empty else float(chosen.iloc[0]["value"])


def accuracy_at(scores: Scores, dataset: str, model: str, step: int) -> Row | None:
    """The network's own accuracy at one step, or None where it was not measured."""
    rows = scores.accuracy
    rows = rows[(rows["dataset"] == dataset) & (rows["model"] == model) & (rows["step"] == step)]
    return None if rows.empty else rows.iloc[0]


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, floats in full precision, missing values empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")


def _summary_row(curve: pd.DataFrame, scores: Scores, main_metric: str) -> dict[str, Any]:
    step = int(curve.loc[curve["split"] == UNSEEN, "step"].max())
    chosen, seen = best(curve, UNSEEN, step), best(curve, SEEN, step)
    assert chosen is not None  # average() guarantees the unseen split
    points = curve[(curve["split"] == UNSEEN) & (curve["step"] == step)]
    last = points.sort_values("depth").iloc[-1]
    return {
        **{key: chosen[key] for key in CURVE},
        "step": step,
        "n_seeds": scores.n_seeds,
        "main": bool(chosen["main"]) and chosen["metric"] == main_metric,
        **_point("unseen", chosen, layer="best_layer", depth="best_depth"),
        **_point("seen", seen, layer="seen_layer", depth="seen_depth"),
        **_point("last_value", last, layer="last_layer", depth="last_depth"),
        **_point("accuracy", accuracy_at(scores, chosen["dataset"], chosen["model"], step)),
        "baseline": baseline_at(scores, curve, UNSEEN, step),
        **{name: chosen[name] for name in ("chance", "ceiling")},
        "best_parameters": chosen["parameters"],
        "total_parameters": last["parameters"],
    }


def _step_rows(curve: pd.DataFrame, scores: Scores) -> Iterator[dict[str, Any]]:
    steps = sorted(curve["step"].unique())
    first = {split: best(curve, split, steps[0]) for split in (SEEN, UNSEEN)}
    for step in steps:
        name = curve.iloc[0]
        fixed = {
            split: row if row is None else at_layer(curve, split, step, row["layer"]) for split, row in first.items()
        }
        yield {
            **{key: name[key] for key in CURVE},
            "step": step,
            "n_seeds": scores.n_seeds,
            **_point("accuracy", accuracy_at(scores, name["dataset"], name["model"], step)),
            **_point("unseen", best(curve, UNSEEN, step), layer="best_layer", depth="best_depth"),
            **_point("unseen_fixed", fixed[UNSEEN], layer="fixed_layer", depth="fixed_depth"),
            **_point("seen", best(curve, SEEN, step), layer="seen_layer", depth="seen_depth"),
            **_point("seen_fixed", fixed[SEEN], layer="seen_fixed_layer", depth="seen_fixed_depth"),
        }


def _point(name: str, row: Row | None, **columns: str) -> dict[str, Any]:
    """Columns `name`, `name_sd` and further ones (column of the row -> its name here); empty for None."""
    if row is None:
        return {}
    return {name: row["value"], f"{name}_sd": row["sd"], **{target: row[source] for source, target in columns.items()}}


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    integers = [c for c in table.columns if c.endswith(("depth", "parameters")) or c in ("step", "n_seeds")]
    floats = [c for c in table.columns if c not in integers and c not in _texts(list(table.columns))]
    return table.astype({**dict.fromkeys(integers, "Int64"), **dict.fromkeys(floats, "float64")})


def _texts(columns: Sequence[str]) -> list[str]:
    return [c for c in columns if c.endswith("layer") or c in (*CURVE, "main")]


def _rounded(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), 6)
