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
import pyarrow.parquet as pq

from stages.measure.analyses.result import AnalysisResult, ScoreRow
from stages.measure.gallery import gallery
from stages.measure.metrics import SCORES, ScoreValue
from stages.measure.outputs.image_table import image_table
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
    write_scores,
)


def write_cell(
    out: Path, store: Embeddings, measured: Measured, params: MeasureParams, pictured: Collection[str] | None = None
) -> int:
    """Write a cell's files and their digests.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        measured: what was computed.
        params: the stage's parameters.
        pictured: ids of the images that have a thumbnail, which the gallery shows; None: there is no gallery.

    Returns:
        Number of rows of layers.csv.
    """
    records = layer_records(store, measured)
    write_layer_scores(out / "layers.csv", records)
    write_scores(out, SCORES)
    pq.write_table(image_table(store, measured), out / "images.parquet", compression="zstd")
    clusterings = [result.job.keys | row for result in measured.results for row in result.clusterings]
    if clusterings:
        pd.DataFrame(clusterings).to_csv(out / "clusterings.csv", index=False)
    if any(result.refits for result in measured.results):
        write_refits(out, refit_records(store, measured.results))
    for analysis in (name for name in params.analyses if name in ANALYSIS_TABLES):
        analysed = [result for result in measured.results if analysis in result.analysed]
        rows = [result.job.keys | row for result in analysed for row in result.analysed[analysis].rows]
        of_network = measured.of_network.get(analysis, AnalysisResult())
        write_analysis(out, analysis, rows + of_network.rows)
    if pictured is not None:
        write_gallery(out, store.cell, gallery(store, pictured, normalize=params.normalize))
    finish_cell(out, store.cell)
    return len(records)


def layer_records(store: Embeddings, measured: Measured) -> pd.DataFrame:
    """Tabulate every score of every layer and of the head, in all columns of `stages.shared.tables.metric_table`."""
    rows = []
    for result in measured.results:
        layer = result.job.layer
        about = {"parameters": layer.parameters, "operations": layer.operations, "width": layer.width}
        scored = score_rows(store, result.job.split, result.scores)
        scored += [row for found in result.analysed.values() for row in found.scores]
        rows += [result.job.keys | columns_of(row) | about for row in scored]
    of_head = [(step, row) for step, scores in measured.heads.items() for row in score_rows(store, SEEN, scores)]
    of_head += [(store.steps[-1], row) for found in measured.of_network.values() for row in found.scores]
    cell = dict(zip(("dataset", "model", "fold", "seed"), store.cell, strict=True))
    head = {"parameters": None, "operations": None, "width": len(store.classes)}
    rows += [row_keys(step, row.split) | columns_of(row) | head for step, row in of_head]
    return pd.DataFrame([cell | row for row in rows]).sort_values("step", kind="stable")


def score_rows(store: Embeddings, split: str, scores: Mapping[str, ScoreValue]) -> list[ScoreRow]:
    """Rows of the scores of one split, by name."""
    labels = store.labels(split)
    sizes = len(labels), len(np.unique(labels))
    return [ScoreRow(split, name, score, *sizes) for name, score in scores.items()]


def columns_of(row: ScoreRow) -> dict[str, Any]:
    """Columns of one score, of which the split stands in the place of the embedding's."""
    columns = vars(row) | {"value": row.score.value, "chance": row.score.chance, "ceiling": row.score.ceiling}
    del columns["score"]
    return columns | {"better": SCORES[row.metric].better}


def refit_records(store: Embeddings, results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate scores fitted again: of every embedding and score without each class or group, then of each half."""
    names = np.unique(store.labels(UNSEEN))
    groups = [(ALL_BUT_ONE_CLASS, left_out_part(names[group].tolist())) for group in class_groups(names.tolist())]
    rows = []
    for result in results:
        for metric in result.job.refits:
            values = result.refits[metric]
            parts = [*groups, *((HALF, str(number)) for number in range(len(values) - len(groups)))]
            for (kind, part), value in zip(parts, values, strict=True):
                rows.append(result.job.keys | {"metric": metric, "kind": kind, "part": part, "value": value})
    return pd.DataFrame(rows, columns=list(REFIT_COLUMNS))
