"""The files that a cell's measurement leaves, as tables.

layers.csv         one row per step, split, layer, pooling and metric
starts.csv         one row per step, split, layer, pooling and k-means start
subsets.csv        one row per layer, score and set of unseen classes left out, at the last step
k_sensitivity.csv  one row per split, layer and number of clusters, at the last step
layer_pairs.csv    one row per split and pair of layers, at the last step
`image_tables` has those of images. The last three are written if `measure.last_step` asks for them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.measure.analyses.layer_pairs import Pair
from stages.measure.analyses.result import ScoreRow
from stages.measure.jobs import SEEN
from stages.measure.metrics import HEAD_METRICS, METRICS
from stages.measure.outputs.image_tables import place, write_image_tables
from stages.measure.run import Measured, Result
from stages.shared.embedding_store import Embeddings
from stages.shared.metric_table import write_records

PLACE = ("step", "split", "layer", "depth", "pooling")
FOUND_TABLES = {
    "class_subsets": ("subsets", (*PLACE, "metric", "left_out", "n_classes", "value")),
    "k_sensitivity": ("k_sensitivity", (*PLACE, "clusters", "nmi", "ami")),
}
"""The table that each analysis fills, and its columns."""

BETTER = {n: metric.better for n, metric in METRICS.items()} | {n: metric.better for n, metric in HEAD_METRICS.items()}


def write_tables(out: Path, store: Embeddings, measured: Measured, last_step: Sequence[str]) -> int:
    """Write a cell's files.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        measured: what was computed.
        last_step: names of the analyses that were asked for.

    Returns:
        Number of rows of layers.csv.
    """
    records = layer_records(store, measured)
    write_records(out / "layers.csv", records)
    write_image_tables(out, store, measured)
    if any(result.clusterings for result in measured.results):
        start_records(measured.results).to_csv(out / "starts.csv", index=False)
    for name, columns in (FOUND_TABLES[analysis] for analysis in last_step if analysis in FOUND_TABLES):
        found_records(measured.results, name, columns).to_csv(out / f"{name}.csv", index=False)
    if measured.pairs is not None:
        pair_records(measured.pairs, store.steps[-1]).to_csv(out / "layer_pairs.csv", index=False)
    return len(records)


def layer_records(store: Embeddings, measured: Measured) -> pd.DataFrame:
    """Tabulate every score of every layer and of the head, in the columns of `stages.shared.metric_table` and two more.

    better    which values are: `higher`, `lower` or `neither`
    relative  of corrupted images: the value over that of clean copies of the same images; NaN elsewhere
    """
    sizes = {split: (len(labels), len(np.unique(labels))) for split in store.splits for labels in [store.labels(split)]}
    head = {"parameters": None, "width": len(store.classes)}
    rows = []
    for result in measured.results:
        job, about = result.job, {"parameters": result.job.layer.parameters, "width": result.job.layer.width}
        scored = [ScoreRow(job.split, n, s, BETTER[n], *sizes[job.split]) for n, s in result.scores.items()]
        rows += [
            place(job.step, row.split, job.layer) | columns_of(row) | about for row in scored + result.found.scores
        ]
    for step, scores in measured.heads.items():
        scored = [ScoreRow(SEEN, n, s, BETTER[n], *sizes[SEEN]) for n, s in scores.items()]
        rows += [place(step, SEEN, None) | columns_of(row) | head for row in scored]
    rows += [place(store.steps[-1], row.split, None) | columns_of(row) | head for row in measured.corrupted_heads]
    cell = {"dataset": store.dataset, "model": store.model, "seed": store.seed}
    return pd.DataFrame([cell | row for row in rows]).sort_values("step", kind="stable")


def columns_of(row: ScoreRow) -> dict[str, Any]:
    """Columns of one score."""
    score = row.score
    columns = {"value": score.value, "chance": score.chance, "ceiling": score.ceiling, "start_sd": score.start_sd}
    sizes = {"n_images": row.n_images, "n_classes": row.n_classes}
    return {"metric": row.metric} | columns | sizes | {"better": row.better, "relative": row.relative}


def found_records(results: Sequence[Result], table: str, columns: Sequence[str]) -> pd.DataFrame:
    """Tabulate what an analysis found of every layer."""
    rows = [
        place(result.job.step, result.job.split, result.job.layer) | row
        for result in results
        for row in result.found.tables.get(table, [])
    ]
    return pd.DataFrame(rows, columns=list(columns))


def pair_records(pairs: Sequence[Pair], step: int) -> pd.DataFrame:
    """Tabulate comparisons of layers; `layer_a` is the shallower one."""
    rows = []
    for pair in pairs:
        sides = {side: place(step, pair.split, layer) for side, layer in (("a", pair.a), ("b", pair.b))}
        names = {f"{name}_{side}": at[name] for side, at in sides.items() for name in ("layer", "depth", "pooling")}
        rows.append({"step": step, "split": pair.split} | names | {"cka": pair.cka})
    return pd.DataFrame(rows)


def start_records(results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate every k-means start: its seed, inertia, NMI and number of non-empty clusters."""
    rows = []
    for result in results:
        where = place(result.job.step, result.job.split, result.job.layer)
        for start, (clustering, value) in enumerate(zip(result.clusterings, result.start_nmi, strict=True)):
            row = {"start": start, "seed": clustering.seed, "inertia": clustering.inertia, "nmi": value}
            rows.append(where | row | {"clusters": clustering.found})
    return pd.DataFrame(rows)
