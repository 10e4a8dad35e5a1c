"""The files that a cell's measurement leaves, as tables.

scores.json        the facts of every score
layers.csv         one row per step, split, layer, pooling and metric
clusterings.csv    one row per step, split, layer, pooling and polished k-means clustering, least inertia first
<analysis>.csv     the table of each analysis that has one and that `measure.analyses` asks for
images.parquet     one row per step, split, layer, pooling and image
refits.parquet     one row per step, layer, pooling, score and part of the unseen split that it was fitted to again
`image_table` has images.parquet, `stages.shared.tables.metric_table` the columns that others read.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.measure.analyses.result import ScoreRow
from stages.measure.gallery import gallery
from stages.measure.metrics import SCORES, ScoreValue
from stages.measure.outputs.image_table import write_images
from stages.measure.params import MeasureParams
from stages.measure.refits import class_groups
from stages.measure.run import Measured, Result
from stages.shared.embeddings.embedding_store import Embeddings
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.tables.gallery import write_gallery
from stages.shared.tables.metric_table import (
    ALL_BUT_ONE_CLASS,
    ANALYSIS_TABLES,
    HALF,
    REFIT_COLUMNS,
    finish_cell,
    left_out_part,
    row_keys,
    write_analysis,
    write_layer_scores,
    write_refits,
)
from stages.shared.tables.scores import write_scores


def write_tables(out: Path, store: Embeddings, measured: Measured, analyses: Sequence[str]) -> int:
    """Write a cell's files.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        measured: what was computed.
        analyses: names of the analyses that were asked for.

    Returns:
        Number of rows of layers.csv.
    """
    records = layer_records(store, measured)
    write_layer_scores(out / "layers.csv", records)
    write_scores(out, SCORES)
    write_images(out, store, measured)
    if any(result.clusterings for result in measured.results):
        clustering_records(measured.results).to_csv(out / "clusterings.csv", index=False)
    if any(result.refits for result in measured.results):
        write_refits(out, refit_records(store, measured.results))
    for analysis in (name for name in analyses if name in ANALYSIS_TABLES):
        write_analysis(out, analysis, analysis_rows(measured, analysis))
    return len(records)


def write_cell(
    out: Path, store: Embeddings, measured: Measured, params: MeasureParams, pictured: Collection[str]
) -> int:
    """Write a cell's files, its gallery and their digests.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        measured: what was computed.
        params: the stage's parameters.
        pictured: ids of the images that have a thumbnail.

    Returns:
        Number of rows of layers.csv.
    """
    rows = write_tables(out, store, measured, params.analyses)
    write_gallery(out, store.cell, gallery(store, pictured, normalize=params.normalize))
    finish_cell(out, store.cell)
    return rows


def layer_records(store: Embeddings, measured: Measured) -> pd.DataFrame:
    """Tabulate every score of every layer and of the head, in all columns of `stages.shared.tables.metric_table`."""
    head = {"parameters": None, "operations": None, "width": len(store.classes)}
    rows = []
    for result in measured.results:
        job, layer = result.job, result.job.layer
        about = {"parameters": layer.parameters, "operations": layer.operations, "width": layer.width}
        scored = score_rows(store, job.split, result.scores) + result.analysed.scores
        rows += [row_keys(job.step, row.split, *layer.keys) | columns_of(row) | about for row in scored]
    for step, scores in measured.heads.items():
        rows += [row_keys(step, SEEN) | columns_of(row) | head for row in score_rows(store, SEEN, scores)]
    last = store.steps[-1]
    rows += [row_keys(last, row.split) | columns_of(row) | head for row in measured.of_network.scores]
    cell = dict(zip(("dataset", "model", "fold", "seed"), store.cell, strict=True))
    return pd.DataFrame([cell | row for row in rows]).sort_values("step", kind="stable")


def score_rows(store: Embeddings, split: str, scores: Mapping[str, ScoreValue]) -> list[ScoreRow]:
    """Rows of the scores of one split, by name."""
    labels = store.labels(split)
    sizes = len(labels), len(np.unique(labels))
    return [ScoreRow(split, name, score, *sizes) for name, score in scores.items()]


def columns_of(row: ScoreRow) -> dict[str, Any]:
    """Columns of one score."""
    score = row.score
    columns = {"value": score.value, "chance": score.chance, "ceiling": score.ceiling}
    sizes = {"n_images": row.n_images, "n_classes": row.n_classes}
    return {"metric": row.metric} | columns | sizes | {"better": SCORES[row.metric].better, "relative": row.relative}


def analysis_rows(measured: Measured, analysis: str) -> list[dict[str, Any]]:
    """Rows of the table of an analysis, of every layer or of the network."""
    rows = [
        row_keys(result.job.step, result.job.split, *result.job.layer.keys) | row
        for result in measured.results
        for row in result.analysed.tables.get(analysis, [])
    ]
    return rows + measured.of_network.tables.get(analysis, [])


def clustering_records(results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate the clusterings of every embedding, the one that counts first."""
    return pd.DataFrame(
        [
            row_keys(result.job.step, result.job.split, *result.job.layer.keys) | row
            for result in results
            for row in result.clusterings
        ]
    )


def refit_records(store: Embeddings, results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate scores fitted again: of every embedding and score without each class or group, then of each half."""
    names = np.unique(store.labels(UNSEEN))
    groups = [left_out_part(names[group].tolist()) for group in class_groups(names.tolist())]
    rows = []
    for result in results:
        if result.refits is None:
            continue
        where = row_keys(result.job.step, result.job.split, *result.job.layer.keys)
        for metric in result.job.refits:
            without, halves = result.refits.of(metric)
            parts = [(ALL_BUT_ONE_CLASS, name, value) for name, value in zip(groups, without, strict=True)]
            parts += [(HALF, str(number), value) for number, value in enumerate(halves)]
            rows += [where | {"metric": metric, "kind": kind, "part": p, "value": v} for kind, p, v in parts]
    return pd.DataFrame(rows, columns=list(REFIT_COLUMNS))
