"""images.parquet, the table of a cell's images.

One row per step, split, layer, pooling and image: its contribution to every score, its cluster, and at the last step
its distances to the seen training images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.measure.metrics import SCORES, ScoreValue
from stages.measure.run import Measured, Result
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN
from stages.shared.tables.metric_table import CLUSTER, row_keys


def write_images(out: Path, store: Embeddings, measured: Measured) -> None:
    """Write images.parquet; the same bytes for the same table and library version."""
    pq.write_table(image_table(store, measured), out / "images.parquet", compression="zstd")


def image_table(store: Embeddings, measured: Measured) -> pa.Table:
    """Tabulate every image's contribution to every score (null where a score has none), its cluster and distances."""
    blocks = []
    contributing = contributing_metrics([*(r.scores for r in measured.results), *measured.heads.values()])
    analysed, further = found_of_images(measured.results)
    for result in measured.results:
        job = result.job
        columns = (
            dict.fromkeys(further)
            | analysed.get((job.step, job.split, job.layer.name), {})
            | {CLUSTER: result.clusters}
        )
        place_columns = image_columns(store, job.step, job.split, job.layer)
        blocks.append(place_columns | contributions(result.scores, contributing) | columns)
    for step, scores in measured.heads.items():
        place_columns = image_columns(store, step, SEEN, None)
        blocks.append(place_columns | contributions(scores, contributing) | dict.fromkeys([*further, CLUSTER]))
    floats = dict.fromkeys(contributing, pa.float32())
    return stack(blocks, floats | {CLUSTER: pa.int16()} | dict.fromkeys(further, pa.float32()))


def found_of_images(results: Sequence[Result]) -> tuple[dict[tuple[int, str, str], dict[str, Any]], list[str]]:
    """Columns that the analyses found of images, by step, split and layer, and the names of all of them."""
    found: dict[tuple[int, str, str], dict[str, Any]] = {}
    for result in results:
        for split, columns in result.analysed.images.items():
            found[result.job.step, split, result.job.layer.name] = columns
    return found, sorted({name for columns in found.values() for name in columns})


def contributing_metrics(scores: Sequence[dict[str, ScoreValue]]) -> list[str]:
    """Names of the scores that images contribute to, in the catalogue's order."""
    found = {name for each in scores for name, score in each.items() if score.per_image is not None}
    return [name for name in SCORES if name in found]


def contributions(scores: dict[str, ScoreValue], names: Sequence[str]) -> dict[str, Any]:
    """Contributions of every image by score, None for a score that was not computed here."""
    return {name: scores[name].per_image if name in scores else None for name in names}


def image_columns(store: Embeddings, step: int, split: str, layer: Layer | None) -> dict[str, Any]:
    """Columns that name the rows of one block: of the embedding, and every image's id, class and group."""
    samples = store.samples[store.samples["split"] == split]
    ids = {name: samples[name].to_numpy() for name in ("sample_id", "label", "group")}
    return row_keys(step, split, *(layer.keys if layer else ())) | ids


def stack(blocks: Sequence[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    """Stack blocks of columns; a single value is repeated for the block's images, texts are dictionary-encoded.

    Args:
        blocks: columns of each block; `sample_id` gives its length.
        types: types of the columns after those of `image_columns`.
    """
    text = pa.dictionary(pa.int32(), pa.string())
    fixed = {"step": pa.int32(), "split": text, "layer": text, "depth": pa.int16(), "pooling": text}
    schema = fixed | {"sample_id": text, "label": text, "group": text} | types
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
