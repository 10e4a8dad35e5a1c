"""The tables of data/results, made from curves averaged over seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from stages.aggregate.curves import CURVE, INTERVALS, LEADS, Scores
from stages.aggregate.points import (
    Row,
    accuracy_at,
    at_layer,
    baseline_at,
    best,
    best_of,
    curves,
    last_measured,
    ranks,
    spearman,
)
from stages.shared.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED

SUMMARY_COLUMNS = (
    *("dataset", "model", "pooling", "step", "n_seeds", "metric", "seen", "unseen"),
    *("best_layer", "best_depth", "last_depth", "last_value", "accuracy"),
    *("seen_sd", "unseen_sd", "last_value_sd", "accuracy_sd", "baseline", "chance", "ceiling"),
    *("last_layer", "best_parameters", "total_parameters", "seen_layer", "seen_depth", "main"),
    *("better", *INTERVALS, "start_sd", "lead", "lead_low", "lead_high", "selection_frequency"),
    *("best_set", "shallowest_layer", "shallowest_depth", "subset_agreement", "rank_correlation"),
    *("accuracy_ci_low", "accuracy_ci_high", "seen_matched", "unseen_matched", "accuracy_chance"),
)
"""The contract's columns, standard deviations (ddof = 1, at the chosen layer), what helps to read them, and how sure
they are."""

ACCURACY_COLUMNS = {
    "ci_images_low": "accuracy_ci_low",
    "ci_images_high": "accuracy_ci_high",
    "chance": "accuracy_chance",
}
"""Further columns of the network's own accuracy -> what they are called here."""

DEPTH_COLUMNS = (
    *(*CURVE, "split", "step", "depth", "relative_depth", "layer", "value", "sd"),
    *(*INTERVALS, "selection_frequency", "in_best_set", "start_sd", "better"),
)

STEPS_COLUMNS = (
    *("dataset", "model", "pooling", "metric", "step", "n_seeds", "accuracy", "accuracy_sd"),
    *("unseen", "unseen_sd", "best_layer", "best_depth"),
    *("unseen_fixed", "unseen_fixed_sd", "fixed_layer", "fixed_depth"),
    *("seen", "seen_sd", "seen_layer", "seen_depth"),
    *("seen_fixed", "seen_fixed_sd", "seen_fixed_layer", "seen_fixed_depth"),
)


def summarize(scores: Scores, main_metric: str) -> pd.DataFrame:
    """Sum up every curve that has a best layer, at the last step at which its score was measured.

    Args:
        scores: curves averaged over seeds.
        main_metric: `main` marks, for each dataset and model, the row of this score and of the main pooling.

    Returns:
        `SUMMARY_COLUMNS`, one row per dataset, model, pooling and metric; empty where there is no such value. A score
        of which neither higher nor lower is better has no row, nor has one without any finite value on unseen classes.
    """
    rows = []
    for curve in curves(scores.curves):
        points = curve[(curve["split"] == UNSEEN) & (curve["step"] == last_measured(curve))].sort_values("depth")
        chosen = best(curve, UNSEEN, last_measured(curve))
        if chosen is not None:
            is_main = bool(chosen["main"]) and chosen["metric"] == main_metric
            rows.append(_summary_row(curve, points, chosen, scores) | {"main": is_main})
    summary = _typed(pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)))
    return summary.assign(rank_correlation=_rank_correlations(summary, scores, main_metric))


def without_best(scores: Scores) -> list[str]:
    """Name the curves that should have a best layer but have no finite value on unseen classes."""
    return [
        "/".join(str(curve.iloc[0][key]) for key in CURVE)
        for curve in curves(scores.curves)
        if curve.iloc[0]["better"] != "neither" and best(curve, UNSEEN, last_measured(curve)) is None
    ]


def follow_steps(scores: Scores) -> pd.DataFrame:
    """Give the best score of every curve that has one at every step, the layer chosen in both published ways.

    Returns:
        `STEPS_COLUMNS`. `unseen` and `seen` are the maxima over layers at that step; `unseen_fixed` and `seen_fixed`
        the scores, at that step, of the layers that were best at the first step. Each split chooses its own layers.
    """
    chosen_from = scores.curves[scores.curves["better"] != "neither"]
    rows = [row for curve in curves(chosen_from) for row in _step_rows(curve, scores)]
    return _typed(pd.DataFrame(rows, columns=list(STEPS_COLUMNS)))


def last_step(scores: Scores) -> pd.DataFrame:
    """Give every curve's points at its last step.

    Returns:
        `DEPTH_COLUMNS`. relative_depth is 0 at the first layer and 1 at the last.
    """
    tables = []
    for curve in curves(scores.curves):
        points = curve[(curve["step"] == last_measured(curve)) & curve["split"].isin([SEEN, UNSEEN])]
        deepest = max(int(points["depth"].max()), 1)
        tables.append(points.assign(relative_depth=(points["depth"] / deepest).astype(float).round(6)))
    return pd.concat(tables, ignore_index=True)[list(DEPTH_COLUMNS)]


def headline(summary: pd.DataFrame) -> dict[str, dict[str, dict[str, float | int | str | None]]]:
    """The content of metrics.json: dataset -> model -> the numbers of its main row (docs/results.md)."""
    tree: dict[str, dict[str, dict[str, float | int | str | None]]] = {}
    for _, row in summary[summary["main"]].iterrows():
        tree.setdefault(row["dataset"], {})[row["model"]] = {
            "accuracy": _rounded(row["accuracy"]),
            "g_unseen": _rounded(row["unseen"]),
            "g_seen": _rounded(row["seen"]),
            "best_layer": str(row["best_layer"]),
            "best_depth": int(row["best_depth"]),
            "last_value": _rounded(row["last_value"]),
            "ci_low": _rounded(row["ci_images_low"]),
            "ci_high": _rounded(row["ci_images_high"]),
            "lead": _rounded(row["lead"]),
        }
    return tree


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, floats in full precision, missing values empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")


def _summary_row(curve: pd.DataFrame, points: pd.DataFrame, chosen: Row, scores: Scores) -> dict[str, Any]:
    """One row from a curve, its unseen points at its last step in order of depth, and the best of them."""
    step, last = int(chosen["step"]), points.iloc[-1]
    accuracy = accuracy_at(scores, chosen["dataset"], chosen["model"], step)
    matched = {name: best(curve, name, step) for name in (SEEN_MATCHED, UNSEEN_MATCHED)}
    return {
        **{key: chosen[key] for key in CURVE},
        "step": step,
        "n_seeds": scores.n_seeds,
        **_point("unseen", chosen, layer="best_layer", depth="best_depth"),
        **_point("seen", best(curve, SEEN, step), layer="seen_layer", depth="seen_depth"),
        **_point("last_value", last, layer="last_layer", depth="last_depth"),
        **_point("accuracy", accuracy, **ACCURACY_COLUMNS),
        "baseline": baseline_at(scores, curve, UNSEEN, step),
        **{name: chosen[name] for name in ("chance", "ceiling", "better", "start_sd", *INTERVALS, *LEADS)},
        "best_parameters": chosen["parameters"],
        "total_parameters": last["parameters"],
        "selection_frequency": chosen["selection_frequency"],
        **_best_set(points),
        **{name: row["value"] for name, row in matched.items() if row is not None},
    }


def _best_set(points: pd.DataFrame) -> dict[str, Any]:
    """The layers that cannot be told from the best: all depths, and the shallowest."""
    kept = points[points["in_best_set"].fillna(False).astype(bool)]
    if kept.empty:
        return {}
    first = kept.iloc[0]
    depths = ";".join(str(depth) for depth in kept["depth"])
    return {"best_set": depths, "shallowest_layer": first["layer"], "shallowest_depth": first["depth"]}


def _rank_correlations(summary: pd.DataFrame, scores: Scores, main_metric: str) -> list[float]:
    """Spearman's correlation over layers of every row's unseen curve with the main score's, their better ends up."""
    names = ["dataset", "model", "pooling"]
    ranked = {tuple(curve.iloc[0][[*names, "metric"]]): ranks(curve) for curve in curves(scores.curves)}
    found = []
    for *curve, metric in summary[[*names, "metric"]].to_numpy():
        main = ranked.get((*curve, main_metric))
        found.append(np.nan if main is None else spearman(ranked[(*curve, metric)], main))
    return found


def _step_rows(curve: pd.DataFrame, scores: Scores) -> Iterator[dict[str, Any]]:
    groups = curve[curve["split"].isin([SEEN, UNSEEN])].groupby(["split", "step"])
    points = {cast(tuple[str, int], where): rows for where, rows in groups}
    steps, nothing, name = sorted({step for _, step in points}), curve.head(0), curve.iloc[0]
    first = {split: best_of(points.get((split, steps[0]), nothing)) for split in (SEEN, UNSEEN)}
    for step in steps:
        now = {split: points.get((split, step), nothing) for split in first}
        chosen = {split: best_of(rows) for split, rows in now.items()}
        fixed = {split: None if row is None else at_layer(now[split], row["layer"]) for split, row in first.items()}
        yield {
            **{key: name[key] for key in CURVE},
            "step": step,
            "n_seeds": scores.n_seeds,
            **_point("accuracy", accuracy_at(scores, name["dataset"], name["model"], step)),
            **_point("unseen", chosen[UNSEEN], layer="best_layer", depth="best_depth"),
            **_point("unseen_fixed", fixed[UNSEEN], layer="fixed_layer", depth="fixed_depth"),
            **_point("seen", chosen[SEEN], layer="seen_layer", depth="seen_depth"),
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
    return [c for c in columns if c.endswith("layer") or c in (*CURVE, "main", "better", "best_set")]


def _rounded(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), 6)
