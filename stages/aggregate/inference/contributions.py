"""Per-image contributions of all seeds of one dataset, model and fold, at the steps that count, arranged by layer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import MEASURE_AGAIN

Key = tuple[str, str]
"""An embedding's `layer` and `pooling`; the head's pooling is empty."""

Place = tuple[int, str, str, str]
"""A block's step, split, layer and pooling."""

Block = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Contributions:
    """What the images of one dataset contribute to one model's scores: a block per seed, step, split and embedding.

    Attributes:
        labels: split -> (N,) class of every image.
        ids: split -> (N,) its sample id.
        blocks: seed -> (step, split, layer, pooling) -> column -> (N,) float32, images in the same order.
    """

    labels: dict[str, NDArray[np.str_]]
    ids: dict[str, NDArray[np.str_]]
    blocks: dict[int, dict[Place, Block]]

    @property
    def seeds(self) -> list[int]:
        """In the order of what `stack` returns."""
        return list(self.blocks)

    def stack(self, column: str, step: int, split: str, keys: Sequence[Key]) -> NDArray[np.float64] | None:
        """Stack one column of several embeddings, (S, L, N) float64; None where a seed or embedding lacks it."""
        found = [[seed.get((step, split, *key), {}).get(column) for key in keys] for seed in self.blocks.values()]
        if not keys or any(values is None for seed in found for values in seed):
            return None
        return np.asarray(found, dtype=np.float64)


def read_contributions(paths: Mapping[int, Path], steps: Sequence[int], columns: Iterable[str]) -> Contributions | None:
    """Read the contributions of all seeds at some steps, on seen test images and on unseen ones.

    Args:
        paths: seed -> its `images.parquet`. Without a column `step` it holds the last step alone.
        steps: the steps wanted, ascending.
        columns: contributions, clusters and distances wanted, where a file has them.

    Returns:
        None where a seed has no such file.

    Raises:
        UserError: the seeds or layers do not hold the same images.
    """
    if not all(path.is_file() for path in paths.values()):
        return None
    labels: dict[str, NDArray[np.str_]] = {}
    ids: dict[str, NDArray[np.str_]] = {}
    blocks: dict[int, dict[Place, Block]] = {seed: {} for seed in paths}
    for seed, path in paths.items():
        for place, rows in _read(path, steps, columns):
            split, block_ids = place[1], rows["sample_id"].to_numpy(dtype=str)
            labels.setdefault(split, rows["label"].to_numpy(dtype=str))
            if not np.array_equal(ids.setdefault(split, block_ids), block_ids):
                raise UserError(
                    f"{path}: layer {place[2]} must hold the same {len(ids[split])} {split} images as every layer and "
                    f"seed of this dataset and model, found {len(block_ids)}, others or in another order; "
                    f"{MEASURE_AGAIN}"
                )
            blocks[seed][place] = {name: rows[name].to_numpy(dtype=np.float32) for name in rows.columns[2:]}
    return Contributions(labels, ids, blocks)


def _read(path: Path, steps: Sequence[int], columns: Iterable[str]) -> Iterator[tuple[Place, pd.DataFrame]]:
    """Read one file's rows, grouped by step, split, layer and pooling."""
    try:
        present = set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: must be a Parquet table, found it damaged ({error}); {MEASURE_AGAIN}") from None
    wanted = [name for name in dict.fromkeys(columns) if name in present]
    places = [name for name in ("step", "split", "layer", "pooling") if name in present]
    filters: list[tuple[str, str, list[Any]]] = [("split", "in", [SEEN, UNSEEN])]
    filters += [("step", "in", list(steps))] if "step" in present else []
    table = pq.read_table(path, columns=[*places, "sample_id", "label", *wanted], filters=filters)
    frame = table.to_pandas()
    if "step" not in present:
        frame.insert(0, "step", steps[-1])
    for place, rows in frame.groupby(["step", "split", "layer", "pooling"], sort=False, observed=True):
        step, split, layer, pooling = cast(Place, place)
        yield (int(step), str(split), str(layer), str(pooling)), rows[["sample_id", "label", *wanted]]
