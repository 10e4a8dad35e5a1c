"""A file that `whichlayer features` wrote, as a file of embeddings: one layer, `labels` and `ids`."""

import json
import re
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stages.commands.features.image_files import read_list
from stages.commands.features.output import KEY
from stages.commands.score.arrays_file import (
    FREE_BYTES,
    MAX_RATIO,
    ArraysFile,
    Described,
    open_arrays,
    readable,
)
from stages.commands.score.embedding_file import IDS, LABELS
from stages.shared.runtime.errors import UserError

Features = tuple[list[str], NDArray[Any], str]
"""Paths of the images, their vectors (N, D), and the layer's name."""


def open_file(path: Path, labels: Path | None, resources: ExitStack) -> ArraysFile:
    """Open a file of embeddings with labels, or of features, which get some.

    Args:
        path: .npz or .zarr, or a .parquet of features.
        labels: a CSV with the columns path and label; None: the folder of each image is its class.
        resources: closes the file.

    Raises:
        UserError: it is missing, damaged or of another kind, or an image has no label.
    """
    written = f"{path}: must be a file that `whichlayer features` wrote"
    if path.suffix == ".parquet":
        with readable(written, "write it again"):
            features = _read_parquet(path)
    else:
        file = open_arrays(path, resources)
        if {"path", "features"} - set(file.described) or LABELS in file.described:
            if labels is not None:
                raise UserError(f"--labels: {path} must be a file that `whichlayer features` wrote; leave it out")
            return file
        with readable(written, "write it again"):
            about = json.loads((path / "zarr.json").read_bytes())["attributes"] if path.is_dir() else None
            layer = (about or json.loads(str(file.read("about"))))["layer"]
            features = file.read("path").tolist(), file.read("features"), layer
    return _labelled(path, features, labels)


def _read_parquet(path: Path) -> Features:
    file = pq.ParquetFile(path)
    kind = file.schema_arrow.field("features").type
    if not pa.types.is_fixed_size_list(kind):
        raise ValueError(f"features of type {kind}")
    size, stored = 4 * file.metadata.num_rows * kind.list_size, path.stat().st_size
    if size > max(FREE_BYTES, MAX_RATIO * stored):
        raise ValueError(f"{size:,} bytes of features in a file of {stored:,}")
    table = file.read(columns=["path", "features"])
    layer = json.loads(file.schema_arrow.metadata[KEY.encode()])["layer"]
    vectors = table["features"].combine_chunks().flatten().to_numpy().reshape(-1, kind.list_size)
    return table["path"].to_pylist(), vectors, layer


def _labelled(path: Path, features: Features, labels: Path | None) -> ArraysFile:
    """Put together features and labels, which must be there for every image."""
    paths, vectors, layer = features
    rows = read_list(labels, ("path", "label")) if labels else []
    found = {row["path"]: row["label"] for row in rows} or {name: PurePosixPath(name).parent.name for name in paths}
    lacking = [name for name in paths if not found.get(name)]
    if lacking:
        raise UserError(
            f"{path}: every image must have a label, in a CSV (--labels) or as the name of its folder, found none of "
            f"{len(lacking)}, first of {lacking[0]!r}"
        )
    named = {IDS: np.array(paths), LABELS: np.array([found[name] for name in paths])}
    arrays: dict[str, NDArray[Any]] = {re.sub(r"[^\w.\- ]", "_", layer): vectors, **named}
    described = {name: Described(array.shape, array.dtype) for name, array in arrays.items()}
    return ArraysFile(path, described, True, arrays.__getitem__)
