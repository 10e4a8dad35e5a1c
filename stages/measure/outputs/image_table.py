"""images.parquet, the table of a cell's images.

One row per step, split, layer, pooling and image: its contribution to every score, its cluster, and at the last step
its distances to the seen training images.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.measure.metrics import SCORES, ScoreValue
from stages.measure.run import Measured
from stages.shared.embeddings.embedding_store import Embeddings
from stages.shared.embeddings.split_names import SEEN
from stages.shared.tables.metric_table import CLUSTER, row_keys

TEXT = pa.dictionary(pa.int32(), pa.string())
TYPES = {"step": pa.int32(), "split": TEXT, "layer": TEXT, "depth": pa.int16(), "pooling": TEXT}
TYPES |= {"sample_id": TEXT, "label": TEXT, "group": TEXT}
TYPES |= {**dict.fromkeys(SCORES, pa.float32()), CLUSTER: pa.int16()}
"""Types of the columns, in their order; those that analyses find follow, as float32."""


def image_table(store: Embeddings, measured: Measured) -> pa.Table:
    """Tabulate every image's contribution to every score (null where a score has none), its cluster and distances."""
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
    blocks += [tabulate(store, row_keys(step, SEEN), scores, None, {}) for step, scores in measured.heads.items()]
    whole = pa.concat_tables(blocks, promote_options="default").unify_dictionaries().combine_chunks()
    names = [*TYPES, *sorted({name for columns in found.values() for name in columns})]
    return whole.select([name for name in names if name in whole.column_names])


def tabulate(
    store: Embeddings,
    keys: Mapping[str, Any],
    scores: Mapping[str, ScoreValue],
    clusters: NDArray[np.int32] | None,
    further: Mapping[str, Any],
) -> pa.Table:
    """Tabulate the images of one embedding, or of the network's head: what names them, then what is known of them."""
    samples = store.samples[store.samples["split"] == keys["split"]]
    repeated = {name: pa.repeat(pa.scalar(value, TYPES[name]), len(samples)) for name, value in keys.items()}
    columns = {name: samples[name].to_numpy() for name in ("sample_id", "label", "group")}
    columns |= {name: score.per_image for name, score in scores.items() if score.per_image is not None}
    columns |= {CLUSTER: [None] * len(samples) if clusters is None else clusters, **further}
    typed = {name: pa.array(values, TYPES.get(name, pa.float32())) for name, values in columns.items()}
    return pa.table(repeated | typed)
