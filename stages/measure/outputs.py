"""The files that a cell's measurement leaves, and in words what it left out or met: nothing is skipped in silence.

scores.json        the facts of every score
layers.csv         one row per step, split, layer, pooling and metric
clusterings.csv    one row per step, split, layer, pooling and polished k-means clustering, least inertia first
<analysis>.csv     the table of each analysis that has one and that `measure.analyses` asks for
images.parquet     one row per step, split, layer, pooling and image: its contribution to every score, its cluster, and
                   at the last step its distances to the seen training images
refits.parquet     one row per step, layer, pooling, score and part of the unseen split that it was fitted to again
gallery.parquet    of the last step, where each layer puts the images that have a thumbnail
versions.json      the versions of the libraries with which each stage made the cell

Where a cell's classes are scored in sets, each set has these files in a folder of its own, as a fold has.
`stages.shared.tables.metric_table` has the columns that others read.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.scores import layer
from ..core.scores.catalogue import HEAD_SCORES, SCORES, ScoreValue
from ..core.scores.refits import class_groups, left_out_part
from ..shared.embeddings.embeddings import Embeddings
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.tables.gallery import write_gallery
from ..shared.tables.metric_table import (
    ALL_BUT_ONE_CLASS,
    ANALYSIS_TABLES,
    CLUSTER,
    COLUMNS,
    HALF,
    REFIT_COLUMNS,
    finish_cell,
    row_keys,
    set_folder,
    write_analysis,
    write_layer_scores,
    write_refits,
    write_versions,
)
from ..shared.tables.scores import write_scores
from .analyses.result import AnalysisResult, ScoreRow
from .cell import draw_parts
from .gallery import gallery
from .params import MeasureParams
from .run import Measured, Result
from .score_params import notes_on_refits

LIBRARIES = ("numpy", "scipy", "scikit-learn")
"""What scores depend on."""

TYPES = {"step": "int32", "split": "", "layer": "", "depth": "int16", "pooling": ""}
TYPES |= {"sample_id": "", "label": "", "group": "", **dict.fromkeys(SCORES, "float32"), CLUSTER: "int16"}
"""Columns of images.parquet and Arrow's types, of texts none; those that analyses find follow, as float32."""


def image_tables(store: Embeddings, measured: Measured) -> list[pd.DataFrame]:
    """Tabulate every image's contribution to every score, its cluster and distances, a table for each embedding."""
    found: dict[tuple[int, str, str], dict[str, Any]] = {}
    for result in measured.results:
        for analysed in result.analysed.values():
            for split, columns in analysed.images.items():
                found.setdefault((result.job.step, split, result.job.layer.name), {}).update(columns)
    blocks = []
    for result in measured.results:
        job = result.job
        further = found.get((job.step, job.split, job.layer.name), {})
        blocks.append(tabulate(store, job.keys, result.scores, result.clusters, further))
    return blocks + [tabulate(store, row_keys(step, SEEN), heads, None, {}) for step, heads in measured.heads.items()]


def tabulate(
    store: Embeddings,
    keys: Mapping[str, Any],
    scores: Mapping[str, ScoreValue],
    clusters: NDArray[np.int32] | None,
    further: Mapping[str, Any],
) -> pd.DataFrame:
    """Tabulate the images of one embedding, or of the network's head: what names them, then what is known of them."""
    samples = store.samples.loc[store.samples["split"] == keys["split"], ["sample_id", "label", "group"]]
    images: pd.DataFrame = samples.reset_index(drop=True).assign(**keys)
    values = {name: score.per_image for name, score in scores.items() if score.per_image is not None}
    singles = {name: np.asarray(found, dtype=np.float32) for name, found in (values | {**further}).items()}
    columns: dict[str, Any] = singles | {CLUSTER: clusters}
    return images.assign(**columns)


def write_images(path: Path, tables: Sequence[pd.DataFrame]) -> None:
    """Write what `image_tables` gives, null where an embedding lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.type_for_alias(alias) if alias else texts for name, alias in TYPES.items()}
    typed = [
        pa.table({name: pa.array(table[name].to_numpy(), types.get(name, pa.float32())) for name in map(str, table)})
        for table in tables
    ]
    whole = pa.concat_tables(typed, promote_options="default").unify_dictionaries().combine_chunks()
    further = sorted({*whole.column_names} - {*TYPES})
    names = [name for name in (*TYPES, *further) if name in whole.column_names]
    pq.write_table(whole.select(names), path, compression="zstd")


def write_measured(
    out: Path,
    store: Embeddings,
    sets: Sequence[Embeddings],
    measured: Sequence[Measured],
    params: MeasureParams,
    pictured: Collection[str],
) -> int:
    """Write a cell's files and their digests, those of each set of its classes in a folder of its own.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        sets: the same, once for each set of its classes.
        measured: what was computed of each.
        params, pictured: as `write_cell` takes them.

    Returns:
        Number of rows of layers.csv, of all sets together.
    """
    rows, in_sets = 0, "set" in store.samples
    for each, found in zip(sets, measured, strict=True):
        folder = set_folder(out, each.fold) if in_sets else out
        folder.mkdir(parents=True, exist_ok=True)
        rows += write_cell(folder, each, found, params, pictured)
    if in_sets:
        finish_cell(out, store.cell)
    return rows


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
    write_scores(out, SCORES, params.normalize)
    write_versions(out, {**store.made_with, "measure": {name: version(name) for name in LIBRARIES}})
    write_images(out / "images.parquet", image_tables(store, measured))
    clusterings = [result.job.keys | row for result in measured.results for row in result.clusterings]
    if clusterings:
        pd.DataFrame(clusterings).to_csv(out / "clusterings.csv", index=False)
    if any(result.refits for result in measured.results):
        write_refits(out, refit_records(store, measured.results))
    for analysis in (name for name in params.analyses if name in ANALYSIS_TABLES):
        write_analysis(out, analysis, analysis_rows(measured, analysis))
    if pictured is not None:
        write_gallery(out, store.cell, gallery(store, pictured, normalize=params.normalize))
    finish_cell(out, store.cell)
    return len(records)


def analysis_rows(measured: Measured, analysis: str) -> list[dict[str, Any]]:
    """List the rows of an analysis's table, those of single embeddings first."""
    analysed = [result for result in measured.results if analysis in result.analysed]
    rows = [result.job.keys | row for result in analysed for row in result.analysed[analysis].rows]
    return rows + measured.of_network.get(analysis, AnalysisResult()).rows


def layer_records(store: Embeddings, measured: Measured) -> pd.DataFrame:
    """Tabulate every score of every layer and of the head, in all columns of `stages.shared.tables.metric_table`."""
    rows = []
    for result in measured.results:
        own = result.job.layer
        about = {"parameters": own.parameters, "operations": own.operations, "width": own.width}
        scored = score_rows(store, result.job.split, result.scores)
        scored += [row for found in result.analysed.values() for row in found.scores]
        rows += [result.job.keys | columns_of(row) | about for row in scored]
    of_head = [(step, row) for step, scores in measured.heads.items() for row in score_rows(store, SEEN, scores)]
    of_head += [(store.steps[-1], row) for found in measured.of_network.values() for row in found.scores]
    cell = dict(zip(("dataset", "model", "fold", "seed"), store.cell, strict=True))
    head = {"parameters": None, "operations": None, "width": len(store.classes)}
    rows += [row_keys(step, row.split) | columns_of(row) | head for step, row in of_head]
    return pd.DataFrame([cell | row for row in rows], columns=list(COLUMNS)).sort_values("step", kind="stable")


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


def notes_of_sets(sets: Sequence[Embeddings], params: MeasureParams, measured: Sequence[Measured]) -> list[str]:
    """List what a user should know about the scores of a cell; what is so of some sets of its classes names these."""
    numbers: dict[str, list[str]] = {}
    for each, found in zip(sets, measured, strict=True):
        of_network = (note for analysed in found.of_network.values() for note in analysed.notes)
        for note in (*notes(each, params, found.results), *of_network):
            numbers.setdefault(note, []).append(each.fold)
    return [
        note if len(own) == len(sets) else f"set{'s' * (len(own) > 1)} {', '.join(own)}: {note}"
        for note, own in numbers.items()
    ]


def notes(store: Embeddings, params: MeasureParams, results: Sequence[Result]) -> list[str]:
    """List what a user should know about the scores."""
    return [
        *left_out(store, params),
        *single_images(store),
        *dict.fromkeys(note for result in results for found in result.analysed.values() for note in found.notes),
        *(notes_on_refits(params, draw_parts(store, params)[1]) if UNSEEN in store.splits else ()),
        *few_clusters(store, results),
        *layer.zero_rows([(result.job.split, result.job.layer.name, result.zero_rows) for result in results]),
        *layer.unusable_images([(result.job.split, result.scores) for result in results]),
    ]


def left_out(store: Embeddings, params: MeasureParams) -> Iterator[str]:
    """Name the scores of the head that were asked for and not computed."""
    for name in params.all_metrics:
        if name in HEAD_SCORES and not (SEEN in store.splits and store.classes):
            yield (
                f"{name} left out: it needs the head's logits of the split {SEEN!r}; embedded were "
                f"{', '.join(store.splits)}, with {len(store.classes)} outputs of the head"
            )


def single_images(store: Embeddings) -> Iterator[str]:
    """Count the classes of one image, which has no neighbour of its class and counts as wrong in neighbour scores."""
    for split in store.splits:
        alone = int((np.unique(store.labels(split), return_counts=True)[1] == 1).sum())
        if alone:
            yield f"split {split!r} has {alone} classes of one image, which no neighbour can match (column `ceiling`)"


def few_clusters(store: Embeddings, results: Sequence[Result]) -> Iterator[str]:
    """Name the embeddings in which k-means found fewer clusters than classes."""
    count = {split: len(np.unique(store.labels(split))) for split in store.splits}
    for result in results:
        job = result.job
        where = f"layer {job.layer.name!r}, step {job.step}, split {job.split!r}"
        yield from layer.few_clusters(where, result.clusterings, count[job.split])
