"""summary.csv: the best layer of every curve at its last step, its scores, and how sure they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from stages.aggregate.columns import frame, point_columns
from stages.aggregate.curves import CURVE, INTERVALS, MEAN, UNCERTAINTY, Scores
from stages.aggregate.points import Row, accuracy_at, baseline_at, best, curves, last_measured, ranks, spearman
from stages.aggregate.result_files import check_result
from stages.shared.embeddings.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT, read_table

TYPES = {str: TEXT, int: INTEGER, float: FLOAT, bool: "bool"}


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One row of summary.csv, None where a field is empty.

    Of fold `mean` the best layer is that of the mean over folds and seeds, of equally good ones (within 1e-6) the
    shallowest. The raw-pixel baseline is never chosen.

    Attributes:
        step, n_folds, n_seeds: the step, and how many folds and seeds every mean is over.
        seen, seen_layer, seen_depth: maximum of the seen curve (minimum where lower is better), and where it is.
        unseen, best_layer, best_depth: g, the maximum of the unseen curve, and where it is; chosen and scored on the
            same images.
        last_layer, last_depth, last_value: the deepest layer and its unseen score.
        accuracy, accuracy_chance: of the network's own head on test images of the seen classes, and what guessing would
            reach; empty for a network that was not fine-tuned.
        seen_sd, unseen_sd, last_value_sd, accuracy_sd: standard deviations (ddof = 1) at the chosen layer: over seeds,
            of `mean` over folds if there are several.
        baseline: unseen score of the raw pixels.
        chance, ceiling: of the best layer's score.
        best_parameters, total_parameters: parameters up to the best layer, and up to the last; without the classifier.
        best_operations, total_operations: multiply-adds of one image up to the best layer, and up to the last.
        main: true in the row of which the verdict speaks: main score, main pooling, fold `mean`.
        tied_classes, tied_images: depths of the layers that are not distinguishable from the best, in each scope,
            joined by `;`.
        shallowest_layer, shallowest_depth, shallowest_parameters, shallowest_operations: the shallowest of these, in
            the wider scope that is known, and what it takes.
        rank_correlation: Spearman's, over the layers, of this score's unseen curve and the main score's; turned so that
            1 means the same order from worst to best.
        accuracy_ci_classes_low, accuracy_ci_classes_high: interval of `accuracy`, over folds.
        accuracy_ci_images_low, accuracy_ci_images_high: interval of `accuracy`, over test images.
        seen_matched, unseen_matched: maxima of the curves with as many classes and images in both splits; these may be
            compared (docs/analyses.md#matched-classes).
    """

    dataset: str
    model: str
    fold: str
    pooling: str
    step: int
    n_folds: int
    n_seeds: int
    metric: str
    seen: float | None = None
    unseen: float
    best_layer: str
    best_depth: int
    last_depth: int
    last_value: float | None = None
    accuracy: float | None = None
    seen_sd: float | None = None
    unseen_sd: float | None = None
    last_value_sd: float | None = None
    accuracy_sd: float | None = None
    baseline: float | None = None
    chance: float | None = None
    ceiling: float | None = None
    last_layer: str
    best_parameters: int
    total_parameters: int
    best_operations: int
    total_operations: int
    seen_layer: str | None = None
    seen_depth: int | None = None
    main: bool
    better: str
    ci_classes_low: float | None = None
    ci_classes_high: float | None = None
    ci_images_low: float | None = None
    ci_images_high: float | None = None
    lead: float | None = None
    lead_classes_at_least: float | None = None
    lead_classes_at_most: float | None = None
    lead_images_at_least: float | None = None
    lead_images_at_most: float | None = None
    tied_classes: str | None = None
    tied_images: str | None = None
    shallowest_layer: str | None = None
    shallowest_depth: int | None = None
    shallowest_parameters: int | None = None
    shallowest_operations: int | None = None
    rank_correlation: float | None = None
    accuracy_ci_classes_low: float | None = None
    accuracy_ci_classes_high: float | None = None
    accuracy_ci_images_low: float | None = None
    accuracy_ci_images_high: float | None = None
    seen_matched: float | None = None
    unseen_matched: float | None = None
    accuracy_chance: float | None = None

    @property
    def lower_is_better(self) -> bool:
        """Whether this score is the better the lower it is."""
        return self.better == "lower"

    @property
    def best_is_last(self) -> bool:
        """Whether no earlier layer scores better than the last."""
        return self.best_depth == self.last_depth

    @property
    def tied_depths(self) -> list[int]:
        """Depths of the layers that tie with the best, on other classes if known, else on these; may be empty."""
        tied = self.tied_classes or self.tied_images
        return [] if tied is None else [int(depth) for depth in tied.split(";")]


SUMMARY_COLUMNS = {field.name: TYPES[(get_args(field.type) or (field.type,))[0]] for field in fields(SummaryRow)}

TIED = ("tied_classes", "tied_images")
"""Whether a layer ties with the best, the wider scope first."""

OF_ACCURACY = {
    "accuracy_chance": "chance",
    **{f"accuracy_{name}": name for name in INTERVALS},
}
"""Further columns of the network's own accuracy, and what its point calls them."""


def summarize(scores: Scores, main_metric: str) -> list[SummaryRow]:
    """Sum up every curve that has a best layer, at the last step at which its score was measured.

    Args:
        scores: curves averaged over seeds, with `UNCERTAINTY`.
        main_metric: `main` marks, for each dataset and model, the row of this score, of the main pooling and of `MEAN`.

    Returns:
        One row per dataset, model, fold, pooling and metric. A score of which neither higher nor lower is better has
        none, nor has one without any finite value on unseen classes.
    """
    ranked = {tuple(curve.iloc[0][CURVE]): ranks(curve) for curve in curves(scores.curves)}
    rows = []
    for curve in curves(scores.curves):
        chosen = best(curve, UNSEEN, last_measured(curve))
        if chosen is not None:
            main = ranked.get((*chosen[CURVE[:-1]], main_metric))
            correlation = np.nan if main is None else spearman(ranked[tuple(chosen[CURVE])], main)
            is_main = bool(chosen["main"]) and chosen["metric"] == main_metric and chosen["fold"] == MEAN
            rows.append(_columns(curve, chosen, scores) | {"main": is_main, "rank_correlation": correlation})
    return list(_rows(frame(rows, SUMMARY_COLUMNS)))


def summary_table(rows: Sequence[SummaryRow]) -> pd.DataFrame:
    """The rows as the table `SUMMARY_COLUMNS`."""
    return frame(map(vars, rows), SUMMARY_COLUMNS)


def read_summary(path: Path) -> list[SummaryRow]:
    """Read summary.csv.

    Raises:
        UserError: there is none, it is damaged, or it is of another version.
    """
    return list(_rows(read_table(check_result(path), SUMMARY_COLUMNS, what="a summary", stage="aggregate")))


def without_best(scores: Scores) -> list[str]:
    """Name the curves that should have a best layer but have no finite value on unseen classes."""
    return [
        "/".join(str(curve.iloc[0][key]) for key in CURVE)
        for curve in curves(scores.curves)
        if curve.iloc[0]["better"] != "neither" and best(curve, UNSEEN, last_measured(curve)) is None
    ]


def _rows(table: pd.DataFrame) -> Iterator[SummaryRow]:
    for record in table.to_dict("records"):
        known: dict[str, Any] = {str(name): record[name] for name in SUMMARY_COLUMNS}
        yield SummaryRow(**{name: value for name, value in known.items() if pd.notna(value) and value != ""})


def _columns(curve: pd.DataFrame, chosen: Row, scores: Scores) -> dict[str, Any]:
    """What one row says of a curve and of the best of its unseen points at its last step."""
    step = int(chosen["step"])
    points = curve[(curve["split"] == UNSEEN) & (curve["step"] == step)].sort_values("depth")
    last, accuracy = points.iloc[-1], accuracy_at(scores, chosen, step)
    matched = {name: best(curve, name, step) for name in (SEEN_MATCHED, UNSEEN_MATCHED)}
    cost = {"best_parameters": "parameters", "best_operations": "operations"}
    whole = {"total_parameters": "parameters", "total_operations": "operations"}
    of_best = (*CURVE, "step", "chance", "ceiling", "better", *UNCERTAINTY)
    return {
        **{name: chosen[name] for name in of_best if name in SUMMARY_COLUMNS and name not in TIED},
        **point_columns("unseen", chosen, best_layer="layer", best_depth="depth", **cost),
        **point_columns("seen", best(curve, SEEN, step), seen_layer="layer", seen_depth="depth"),
        **point_columns("last_value", last, last_layer="layer", last_depth="depth", **whole),
        **point_columns("accuracy", accuracy, **OF_ACCURACY),
        **_tied(points),
        **{name: row["value"] for name, row in matched.items() if row is not None},
        "baseline": baseline_at(scores, curve, UNSEEN, step),
        "n_folds": scores.n_folds(chosen["fold"]),
        "n_seeds": scores.n_seeds,
    }


def _tied(points: pd.DataFrame) -> dict[str, Any]:
    """The layers that tie with the best: all depths in each scope, and the shallowest in the wider one."""
    kept = {name: points[points[name].fillna(value=False)] for name in TIED}
    columns: dict[str, Any] = {name: ";".join(map(str, own["depth"])) for name, own in kept.items() if len(own)}
    first = next((own.iloc[0] for own in kept.values() if len(own)), None)
    if first is None:
        return columns
    return columns | {f"shallowest_{name}": first[name] for name in ("layer", "depth", "parameters", "operations")}
