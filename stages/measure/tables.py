"""The files that a cell's measurement leaves, as tables.

layers.csv        one row per step, split, layer, pooling and metric
images.parquet    one row per step, split, layer, pooling and image: its contribution to every score, its cluster
starts.csv        one row per step, split, layer, pooling and k-means start
clusters.parquet  the rows of images.parquet with the image's cluster in every start, a column each
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.measure.catalogue import NAMES
from stages.measure.layer import Score
from stages.measure.plan import HEAD_SPLIT
from stages.measure.scoring import Result
from stages.shared.embeddings import Embeddings, Layer
from stages.shared.records import HEAD, write_records

Heads = dict[int, dict[str, Score]]


def write_tables(out: Path, store: Embeddings, results: Sequence[Result], heads: Heads) -> int:
    """Write a cell's files.

    Args:
        out: folder to write into.
        store: the embeddings that were measured.
        results: of every layer, split and step, in the order of the rows.
        heads: scores of the network's own head, by step and name.

    Returns:
        Number of rows of layers.csv.
    """
    records = layer_records(store, results, heads)
    write_records(out / "layers.csv", records)
    write_parquet(out / "images.parquet", image_table(store, results, heads))
    if any(result.clusterings for result in results):
        start_records(results).to_csv(out / "starts.csv", index=False)
        write_parquet(out / "clusters.parquet", cluster_table(store, results))
    return len(records)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table; the same bytes for the same table and library version."""
    pq.write_table(table, path, compression="zstd")


def layer_records(store: Embeddings, results: Sequence[Result], heads: Heads) -> pd.DataFrame:
    """Tabulate every score of every layer and of the head, in the columns of `stages.shared.records`."""
    rows = []
    for result in results:
        layer = result.job.layer
        where = place(result.job.step, result.job.split, layer) | {"parameters": layer.parameters, "width": layer.width}
        rows += [where | score_columns(name, score) for name, score in result.scores.items()]
    for step, scores in heads.items():
        where = place(step, HEAD_SPLIT, None) | {"parameters": None, "width": len(store.classes)}
        rows += [where | score_columns(name, score) for name, score in scores.items()]
    sizes = {split: (len(labels), len(np.unique(labels))) for split in store.splits for labels in [store.labels(split)]}
    cell = {"dataset": store.dataset, "model": store.model, "seed": store.seed}
    records = pd.DataFrame([cell | row for row in rows])
    records["n_images"] = [sizes[split][0] for split in records["split"]]
    records["n_classes"] = [sizes[split][1] for split in records["split"]]
    return records.sort_values("step", kind="stable")


def place(step: int, split: str, layer: Layer | None) -> dict[str, Any]:
    """Say which rows of a table are meant: a layer's, or (None) the head's."""
    if layer is None:
        return {"step": step, "split": split, "layer": HEAD, "depth": None, "pooling": ""}
    name = layer.module or layer.name
    return {"step": step, "split": split, "layer": name, "depth": layer.depth, "pooling": layer.pooling}


def score_columns(name: str, score: Score) -> dict[str, Any]:
    """Columns of one score."""
    columns = {"value": score.value, "chance": score.chance, "ceiling": score.ceiling, "start_sd": score.start_sd}
    return {"metric": name} | columns


def start_records(results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate every k-means start: its seed, inertia, NMI and number of non-empty clusters."""
    rows = []
    for result in results:
        where = place(result.job.step, result.job.split, result.job.layer)
        for start, (clustering, value) in enumerate(zip(result.clusterings, result.start_nmi, strict=True)):
            row = {"start": start, "seed": clustering.seed, "inertia": clustering.inertia, "nmi": value}
            rows.append(where | row | {"clusters": clustering.found})
    return pd.DataFrame(rows)


def image_table(store: Embeddings, results: Sequence[Result], heads: Heads) -> pa.Table:
    """Tabulate every image's contribution to every score (null where a score has none), and its cluster."""
    blocks = []
    contributing = contributing_metrics([*(r.scores for r in results), *heads.values()])
    for result in results:
        place_columns = image_columns(store, result.job.step, result.job.split, result.job.layer)
        best = result.clusterings[result.best_start].labels if result.clusterings else None
        blocks.append(place_columns | contributions(result.scores, contributing) | {"cluster": best})
    for step, scores in heads.items():
        place_columns = image_columns(store, step, HEAD_SPLIT, None)
        blocks.append(place_columns | contributions(scores, contributing) | {"cluster": None})
    return stack(blocks, dict.fromkeys(contributing, pa.float32()) | {"cluster": pa.int16()})


def contributing_metrics(scores: Sequence[dict[str, Score]]) -> list[str]:
    """Names of the scores that images contribute to, in the catalogue's order."""
    found = {name for each in scores for name, score in each.items() if score.per_image is not None}
    return [name for name in NAMES if name in found]


def contributions(scores: dict[str, Score], names: Sequence[str]) -> dict[str, Any]:
    """Contributions of every image by score, None for a score that was not computed here."""
    return {name: scores[name].per_image if name in scores else None for name in names}


def cluster_table(store: Embeddings, results: Sequence[Result]) -> pa.Table:
    """Tabulate every image's cluster in every start."""
    blocks: list[dict[str, Any]] = []
    types: dict[str, pa.DataType] = {}
    for result in results:
        labels = {f"cluster_{start}": c.labels for start, c in enumerate(result.clusterings)}
        types |= dict.fromkeys(labels, pa.int16())
        blocks.append(image_columns(store, result.job.step, result.job.split, result.job.layer) | labels)
    return stack(blocks, types)


def image_columns(store: Embeddings, step: int, split: str, layer: Layer | None) -> dict[str, Any]:
    """Columns that name the rows of one block: step, split, layer, depth, pooling, and every image's id and class."""
    samples = store.samples[store.samples["split"] == split]
    ids = {"sample_id": samples["sample_id"].to_numpy(), "label": samples["label"].to_numpy()}
    return place(step, split, layer) | ids


def stack(blocks: Sequence[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    """Stack blocks of columns; a single value is repeated for the block's images, texts are dictionary-encoded.

    Args:
        blocks: columns of each block; `sample_id` gives its length.
        types: types of the columns after those of `image_columns`.
    """
    text = pa.dictionary(pa.int32(), pa.string())
    fixed = {"step": pa.int32(), "split": text, "layer": text, "depth": pa.int16(), "pooling": text}
    schema = fixed | {"sample_id": text, "label": text} | types
    tables = [
        pa.table({name: column(block[name], len(block["sample_id"]), type_) for name, type_ in schema.items()})
        for block in blocks
    ]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def column(values: Any, length: int, type_: pa.DataType) -> pa.Array:
    """Make one column of a block from an array, or by repeating a single value (None: null)."""
    plain = type_.value_type if pa.types.is_dictionary(type_) else type_
    array = (
        pa.array(values).cast(plain) if isinstance(values, np.ndarray) else pa.repeat(pa.scalar(values, plain), length)
    )
    return array.dictionary_encode() if plain is not type_ else array
