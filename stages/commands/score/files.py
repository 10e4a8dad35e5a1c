"""Files of embeddings: an .npz file of any tool, a table that `whichlayer features` wrote, a store of the embed stage.

An .npz file holds:

<layer>            (N, D) numbers: one layer's embedding of N images of classes that the network was not trained on
labels             (N,) their classes, texts or whole numbers
ids, groups        (N,) optional: names of the images, and of what they have in common
pixels             (N, P) optional: the images themselves, the baseline that layers are compared with
layers             (L,) optional: names of the layers from input to output
seen/<array>       all but `layers` of other images, of classes that the network was trained on; optional
"""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ...library.checks import as_texts
from ...prepare.csv_rows import csv_rows
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.runtime.errors import UserError, irregular, prefix_errors, short_repr
from ..project import FEATURES, size

LABELS, IDS, GROUPS, LAYERS = "labels", "ids", "groups", "layers"
PREFIXES = {SEEN: "seen/", UNSEEN: ""}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Part:
    """The images of one file that are of seen classes, or of unseen ones.

    Attributes:
        where: the file.
        split: `test` or `unseen`.
        arrays: layers from input to output (N, D), labels and, if given, ids and groups (N,).
    """

    where: Path
    split: str
    arrays: Arrays


def read_file(path: Path, labels: Path | None) -> list[Part]:
    """Read a file of embeddings: images of seen classes first, if there are any.

    Args:
        path: an .npz file, a .parquet file of features, or the folder of an embedding store, at its last step.
        labels: of features, a CSV with the columns path and label; None: the folder of each image is its class.

    Raises:
        UserError: it is damaged, too large, of another kind or no regular file, or an image has no label.
    """
    if labels is not None and path.suffix != ".parquet":
        raise UserError(f"--labels: {path} must be a .parquet that `whichlayer features` wrote; leave it out")
    known = None if labels is None else read_labels(labels)
    with readable(path):
        check_regular(path)
        if path.suffix == ".parquet":
            splits = {UNSEEN: read_parquet(path, known)}
        else:
            splits = read_store(path) if path.is_dir() else read_npz(path)
        for split, arrays in splits.items():
            check_rows(arrays, PREFIXES[split])
    return [Part(path, split, arrays) for split, arrays in splits.items()]


KINDS = "an .npz file, a .parquet that `whichlayer features` wrote, or an embedding store's folder"
"""Of files that are scored."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name what a library raises on a file that is damaged or no file of its own."""
    try:
        yield
    except ModuleNotFoundError:  # which pip installs
        raise
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{path}: must be {KINDS}, and readable, found {found}; rewrite it") from None


def check_regular(path: Path) -> None:
    """Check that a file, or all in a folder, are regular ones: a pipe would be waited for."""
    for file in [path, *path.rglob("*")]:
        if (kind := irregular(file.stat().st_mode)) and not file.is_dir():
            raise UserError(f"{file.name} must be a regular file, found {kind}; replace it by the file itself")


def check_memory(count: int) -> None:
    """Check that so many bytes fit into memory: Linux ends a process that takes more, without a word."""
    if count > (free := psutil.virtual_memory().available):
        raise UserError(f"embeddings must fit into memory, {size(free)} free, found {size(count)}; free some")


def check_rows(arrays: Arrays, prefix: str) -> None:
    """Check that the arrays of a split have a row for each of its labels, and make texts of labels, ids and groups."""
    if LABELS not in arrays:
        raise UserError(
            f"must have an array {prefix + LABELS!r} (N,) beside one (N, D) per layer; docs/use.md has the layout"
        )
    texts = {name: as_texts(prefix + name, arrays[name]) for name in (LABELS, IDS, GROUPS) if name in arrays}
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != len(texts[LABELS]):
            raise UserError(
                f"array {prefix + name!r} must have {len(texts[LABELS])} rows, as {prefix + LABELS!r} has, "
                f"found the shape {array.shape}; give all arrays the same images, in the same order"
            )
    arrays |= {name: np.array(own, dtype=str) for name, own in texts.items()}


def read_labels(path: Path) -> dict[str, str]:
    """Read which class each image has: a CSV with the columns path and label.

    Raises:
        UserError: it is no such CSV, or gives an image two classes.
    """
    with prefix_errors(str(path)):
        check_regular(path)
    lines = csv_rows(path.read_bytes(), path)
    _, header = next(lines, (1, []))
    if any(header.count(name) != 1 for name in ("path", "label")):
        raise UserError(
            f"{path}: must be a CSV with commas whose first line has path and label once each, found "
            f"{short_repr(','.join(header))}; rename the columns, or rewrite it with commas"
        )
    known: dict[str, str] = {}
    for line, cells in lines:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {line}: must have {len(header)} cells, as the header has, found {len(cells)}; quote a "
                "cell that has a comma"
            )
        image, label = cells[header.index("path")], cells[header.index("label")].strip()
        if known.setdefault(image, label) != label:
            raise UserError(
                f"{path}, line {line}: an image must have one label, found {known[image]!r} and {label!r} for "
                f"{image!r}; remove one line"
            )
    return known


def read_npz(path: Path) -> dict[str, Arrays]:
    """Read an .npz file by split; objects, which only unpickling would give, are refused.

    Raises:
        UserError: there is another file than an array, an array has objects, or `layers` does not name the layers.
    """
    if not zipfile.is_zipfile(path):  # NumPy would take it for a pickle
        raise UserError(f"must be {KINDS}, found no zip file; write the arrays with np.savez")
    arrays: Arrays = {}
    with np.load(path, allow_pickle=False) as file:
        check_memory(sum(member.file_size for member in file.zip.infolist()))
        for name in file.files:
            try:
                if not isinstance(array := file[name], np.ndarray) or name in arrays:
                    found = "twice" if name in arrays else "which is no array"
                    raise UserError(f"must hold arrays, each once, found {name!r}, {found}; write it with np.savez")
                arrays[name] = array
            except ValueError as error:
                raise UserError(
                    f"array {name!r} must hold numbers or texts, found {error}; objects are not read: save "
                    f"np.array(list({name}), dtype=str)"
                ) from None
    own = {name: array for name, array in arrays.items() if not name.startswith(PREFIXES[SEEN]) and name != LAYERS}
    layers = [name for name in own if name not in (LABELS, IDS, GROUPS)]
    ordered = [str(name) for name in np.ravel(arrays[LAYERS])] if LAYERS in arrays else layers
    if sorted(ordered) != sorted(layers):
        found = ", ".join(ordered)
        raise UserError(f"{LAYERS!r} must name {', '.join(layers)} once each, from input to output, found {found}")
    below = {name.removeprefix(PREFIXES[SEEN]): arrays[name] for name in arrays if name.startswith(PREFIXES[SEEN])}
    sorted_own, sorted_below = (
        {name: of[name] for name in [*(set(of) - set(ordered)), *ordered] if name in of} for of in (own, below)
    )
    return {SEEN: sorted_below, UNSEEN: sorted_own} if below else {UNSEEN: sorted_own}


def read_parquet(path: Path, labels: Mapping[str, str] | None) -> Arrays:
    """Read a table that `whichlayer features` wrote, and give its images labels, or the names of their folders."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
    width, about = getattr(kinds.get("features"), "list_size", 0), file.schema_arrow.metadata or {}
    if "path" not in kinds or width < 1 or FEATURES.encode() not in about:
        columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())[:300]
        raise UserError(
            "must be a table as `whichlayer features` writes it: path, features (lists of a fixed size), and in its "
            f"metadata their origin, found {columns}. pandas keeps neither: choose rows with pyarrow "
            "(pq.write_table(pq.read_table(FILE, filters=...), NEW)), write your own embeddings as .npz"
        )
    check_memory(4 * width * file.metadata.num_rows)
    table = file.read(["path", "features"])
    images, layer = table["path"].to_pylist(), json.loads(about[FEATURES.encode()])["layer"]
    known = {name: PurePosixPath(name).parent.name for name in images} if labels is None else labels
    if lacking := [name for name in images if not known.get(name)]:
        raise UserError(
            "every image must have a label, in a CSV (--labels) or as its folder's name, found none for "
            f"{len(lacking)}, first for {lacking[0]!r}"
        )
    vectors = table["features"].combine_chunks().flatten().to_numpy().reshape(-1, width)
    named = {IDS: np.array(images), LABELS: np.array([known[name] for name in images])}
    return {re.sub(r"[^\w.\- ]", "_", layer): vectors} | named


def read_store(path: Path) -> dict[str, Arrays]:
    """Read the embeddings of a cell by split: the last step, every layer's main pooling.

    Raises:
        UserError: it is no such store.
    """
    from ...shared.embeddings.embedding_store import open_embeddings

    if not (path / "zarr.json").exists():
        raise UserError("must be an .npz file or an embedding store's folder, found a folder without zarr.json")
    store = open_embeddings(path)
    layers = [layer for layer in store.layers if "@" not in layer.name]
    check_memory(4 * len(store.samples) * sum(layer.width for layer in layers))
    found = {}
    for split in (split for split in PREFIXES if split in store.splits):
        samples = store.samples[store.samples["split"] == split]
        columns = {LABELS: "label", IDS: "sample_id"} | ({GROUPS: "group"} if (samples["group"] != "").all() else {})
        found[split] = {name: samples[column].to_numpy() for name, column in columns.items()}
        found[split] |= {layer.name: store.features(layer, store.steps[-1], split) for layer in layers}
    return found


def join(files: Iterable[list[Part]]) -> tuple[Arrays, dict[str, Any]]:
    """Put files together that are folds of one network.

    Returns:
        Layers (N, D); and labels, ids, groups, `seen` and `folds`, (N,) each.

    Raises:
        UserError: naming the first file whose layers are others.
    """
    parts = [(fold, part) for fold, file in enumerate(files) for part in file]
    first = parts[0][1]
    for _, part in parts:
        found, wanted = ({name: X.shape[1:] for name, X in each.arrays.items()} for each in (part, first))
        if found != wanted:
            differing = ", ".join(sorted(name for name in found | wanted if found.get(name) != wanted.get(name)))
            raise UserError(
                f"{part.where}: its {part.split} images must be embedded as the {first.split} ones in "
                f"{first.where}, with as many features, found differences in {differing}"
            )
    counts = [len(part.arrays[LABELS]) for _, part in parts]
    marks = {"seen": [part.split == SEEN for _, part in parts], "folds": [fold for fold, _ in parts]}
    joined = {name: np.concatenate([part.arrays.pop(name) for _, part in parts]) for name in [*first.arrays]}
    of_images = {name: joined.pop(name) for name in (LABELS, IDS, GROUPS) if name in joined}
    return joined, of_images | {name: np.repeat(np.asarray(values), counts) for name, values in marks.items()}
