"""A file of embeddings that any tool made: an array per layer and `labels`, and the same of seen classes below `seen/`.

<layer>            (N, D) numbers: one layer's embedding of N images of classes that the network was not trained on
labels             (N,) their classes, texts or whole numbers
seen/<layer>, seen/labels    (M, D), (M,) optional: the same of other images of classes that it was trained on
layers             (L,) optional in an .npz file: names of the layers from input to output
ids, seen/ids      (N,), (M,) optional: names of the images
pixels             (N, D) optional: the images themselves, the baseline that layers are compared with
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.commands.features.image_files import read_list
from stages.commands.score.arrays_file import MAX_TEXT, SEEN_GROUP, ArraysFile, Described, open_arrays, readable
from stages.prepare.candidates import describe_counts
from stages.prepare.names import check_class_names
from stages.shared.embeddings.embedding_store import BASELINE, LAST_STEP, SAMPLE_COLUMNS, EmbeddingWriter, Layer
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import CONTROL, UserError, prefix_errors

STEP = 0
"""The checkpoint: a file holds one network, as it is."""

LABELS, IDS, LAYERS = "labels", "ids", "layers"
PREFIXES = {SEEN: f"{SEEN_GROUP}/", UNSEEN: ""}
"""A split, and what the names of its arrays begin with."""

MAX_IMAGES = 5_000_000
"""Of a split; a name takes a hundred bytes in memory, and may take none in a file."""

MAX_FEATURES = 450_000
"""Of a layer: a chunk of the store has 256 rows, of which each takes memory for every feature."""

MAX_CHARACTERS = 2**27
"""Of all names of an array, each taking as much as the longest."""

MAX_LENGTH = 1e18
"""Of an image's vector, and the inverse the least length of an array's longest: squares of distances must not pass the
ends of float32."""

USABLE = re.compile(r"(?!_)\w[\w.\- ]{0,199}")
RESERVED = ("step", "class_name", LAST_STEP, *SAMPLE_COLUMNS)
LAYOUT = "it must hold an array (N, D) per layer and `labels` (N,); docs/use.md has the layout"


@dataclass(frozen=True)
class EmbeddingFile:
    """Embeddings of one file, whose values are read a layer of a split at a time.

    Attributes:
        layers: the baseline (depth -1) first if present, then in the order of depth.
        labels: split -> (N,) class of every image; `unseen`, and `test` where there are seen classes.
        ids: split -> (N,) names of the images.
    """

    layers: tuple[Layer, ...]
    labels: dict[str, NDArray[np.str_]]
    ids: dict[str, NDArray[np.str_]]
    file: ArraysFile

    def features(self, layer: Layer, split: str) -> NDArray[np.float32]:
        """One layer's embedding of one split, (N, D) float32.

        Raises:
            UserError: it is damaged, or a value is NaN, infinite, or beyond float32.
        """
        name = PREFIXES[split] + layer.name
        with prefix_errors(str(self.file.path)), np.errstate(over="ignore"):
            values = self.file.read(name).astype(np.float32)
            if bad := int((~np.isfinite(values)).any(axis=1).sum()):
                raise UserError(
                    f"array {name!r} must be finite in float32, found NaN or infinity in {bad} of {len(values)} "
                    "images; take these images out of every array, or compute them again"
                )
            longest = float(np.sqrt(np.einsum("nd,nd->n", values, values, dtype=np.float64).max()))
            if longest and not 1 / MAX_LENGTH <= longest <= MAX_LENGTH:
                raise UserError(
                    f"array {name!r} must have a longest vector of {1 / MAX_LENGTH:g} to {MAX_LENGTH:g}, found "
                    f"{longest:.3g}; multiply it by a number"
                )
        return values


def read_embedding_file(file: ArraysFile) -> EmbeddingFile:
    """Check names, shapes, types and classes of an opened file; no embedding is read.

    Raises:
        UserError: naming the array, what must hold of it and what was found.
    """
    with prefix_errors(str(file.path)):
        splits = [split for split, prefix in PREFIXES.items() if prefix + LABELS in file.described]
        if UNSEEN not in splits:
            raise UserError(f"has no array {LABELS!r}; {LAYOUT}")
        depths = {BASELINE: -1} if BASELINE in file.described else {}
        depths |= {name: depth for depth, name in enumerate(_layer_names(file))}
        labels = {split: _labels(file, PREFIXES[split] + LABELS) for split in splits}
        _check_arrays(file, list(depths), labels)
        check_class_names(sorted({str(label) for of_split in labels.values() for label in of_split}))
        if shared := sorted({*labels.get(SEEN, ())} & {*labels[UNSEEN]}):
            raise UserError(
                f"a class must be seen or unseen, found {str(shared[0])!r} in {PREFIXES[SEEN] + LABELS!r} and in "
                f"{LABELS!r}"
            )
        ids = {split: _ids(file, split, len(labels[split])) for split in splits}
        layers = [
            Layer(name, name if depth >= 0 else "", depth, "none", file.described[name].shape[1], 0, 0)
            for name, depth in depths.items()
        ]  # what they cost is not known
        return EmbeddingFile(tuple(layers), labels, ids, file)


def check_folds(files: Sequence[EmbeddingFile]) -> None:
    """Check that several files are folds of one network: the same layers, and classes of their own.

    Raises:
        UserError: naming the first file that differs.
    """
    first, of_class = files[0], dict[str, Path]()
    for file in files:
        layers, wanted = (
            f"{', '.join(f'{layer.name} ({layer.width})' for layer in one.layers)} on {', '.join(one.labels)}"
            for one in (file, first)
        )
        if layers != wanted:
            raise UserError(
                f"{file.file.path}: must hold the layers and splits of {first.file.path}, {wanted}, found {layers}"
            )
        for name in np.unique(file.labels[UNSEEN]).tolist():
            if name in of_class:
                raise UserError(
                    f"{file.file.path}: several files are folds, each with unseen classes of its own; found {name!r} "
                    f"in {of_class[name]}, too; score the files one by one, or give each its own classes"
                )
            of_class[name] = file.file.path


def write_store(path: Path, file: EmbeddingFile, names: Mapping[str, str | int]) -> None:
    """Store a file's embeddings as those of a frozen network at `STEP`.

    Args:
        path: the store to create.
        file: what is stored.
        names: dataset, model, fold and seed.

    Raises:
        UserError: a value is not finite.
    """
    splits = [
        pd.DataFrame({"sample_id": file.ids[split], "split": split, "label": labels, "group": ""})
        for split, labels in file.labels.items()
    ]
    path.parent.mkdir(parents=True)
    with EmbeddingWriter(
        path,
        samples=pd.concat(splits, ignore_index=True)[list(SAMPLE_COLUMNS)],
        steps=[STEP],
        layers=file.layers,
        classes=(),
        dtype="float32",
        attributes={**names, "frozen": True},
    ) as writer:
        for layer in file.layers:
            for split in file.labels:
                writer.write(layer.name, STEP, file.features(layer, split))


def _layer_names(file: ArraysFile) -> list[str]:
    """Return the names of the layers from input to output, without the baseline."""
    others = (LABELS, IDS, LAYERS, BASELINE)
    arrays = [name for name in file.described if not name.startswith(PREFIXES[SEEN]) and name not in others]
    if not arrays:
        raise UserError(f"has no layer, found only {', '.join(file.described)}; {LAYOUT}")
    if LAYERS not in file.described and not file.ordered and len(arrays) > 1:
        raise UserError(f"must have an array {LAYERS!r}, since a Zarr group has no order; {LAYOUT}")
    names = _texts(file, LAYERS) if LAYERS in file.described else arrays
    if sorted(names) != sorted(arrays):
        raise UserError(
            f"{LAYERS!r} must name {', '.join(arrays)} once each, from input to output, found {', '.join(names)}; "
            f"beside layers there may be {LABELS}, {IDS} and {BASELINE}"
        )
    for name in names:  # they name columns, files and arrays
        if not USABLE.fullmatch(name) or name in RESERVED:
            raise UserError(
                "a layer's name must be of at most 200 letters, digits, `.`, `_`, `-` and blanks, begin with a letter "
                f"or digit, and be none of {', '.join(RESERVED)}; found {name!r}; rename that array"
            )
    return names


def _labels(file: ArraysFile, name: str) -> NDArray[np.str_]:
    labels = _texts(file, name)
    sizes = Counter(labels)
    if len(sizes) < 2 or min(sizes.values()) < 2:
        raise UserError(
            f"array {name!r} must have at least 2 classes of at least 2 images each, found {describe_counts(sizes)}; "
            "take classes of one image out of every array"
        )
    return np.array(labels)


def _texts(file: ArraysFile, name: str) -> list[str]:
    """Read names of classes, images or layers; whole numbers become texts."""
    shape, dtype = file.described[name]
    if dtype.kind not in "iuUT" or len(shape) != 1 or shape[0] > MAX_IMAGES:
        raise UserError(
            f"array {name!r} must be one-dimensional, of at most {MAX_IMAGES:,} texts or whole numbers, found {dtype} "
            f"of shape {shape}; objects are not read: save np.array(list({name}), dtype=str)"
        )
    values = file.read(name)
    with readable(f"array {name!r} must be readable", "write the file again", 2**8 * len(values) + values.nbytes):
        if dtype.kind == "U" and (values.view(f"{dtype.byteorder}u4") > sys.maxunicode).any():
            raise ValueError("characters that Unicode has not")
        texts = [str(value) for value in values.tolist()]
    longest = max(map(len, texts), default=0)
    if longest > MAX_TEXT or longest * len(texts) > MAX_CHARACTERS:
        raise UserError(
            f"array {name!r} must hold texts of at most {MAX_TEXT:,} characters, and of {MAX_CHARACTERS:,} in all if "
            f"each were as long as the longest, found {len(texts):,} of up to {longest:,}; shorten them"
        )
    wrong = next((text for text in texts if not text or CONTROL.search(text)), None)
    if wrong is not None:
        raise UserError(f"array {name!r} must not hold empty texts or control characters, found {wrong!r}")
    return texts


def _ids(file: ArraysFile, split: str, count: int) -> NDArray[np.str_]:
    """Return the names of a split's images; without any, the split and a number."""
    name = PREFIXES[split] + IDS
    ids = _texts(file, name) if name in file.described else [f"{split}/{number:06}" for number in range(count)]
    if len(ids) != count or len(set(ids)) != count:
        raise UserError(
            f"array {name!r} must name each of the {count} images of {PREFIXES[split] + LABELS!r} once, found "
            f"{len(ids)} names, {len(set(ids))} of them different"
        )
    return np.array(ids)


def _check_arrays(file: ArraysFile, names: Sequence[str], labels: Mapping[str, NDArray[np.str_]]) -> None:
    """Check that every split has every layer, of (images, features) of numbers, and nothing else."""
    seen = PREFIXES[SEEN]
    below = {name.removeprefix(seen) for name in file.described if name.startswith(seen)} - {IDS}
    if below and below != {LABELS, *names}:
        found = ", ".join(sorted(below))
        raise UserError(f"below `{seen}` must be {LABELS} and the same layers as above it, found {found}")
    for split, layer in product([*labels][::-1], names):
        name, wanted = PREFIXES[split] + layer, (len(labels[split]), *file.described[layer].shape[1:])
        shape, dtype = file.described[name]
        if dtype.kind not in "fiu" or len(shape) != 2 or shape[1] < 1 or shape != wanted:
            remedy = "reduce a layer's output to one vector per image first, for example by its mean over space"
            if len(shape) == 2 and shape[0] != wanted[0]:
                remedy = "give every array the same images in the same order"
            raise UserError(
                f"array {name!r} must be (images, features) of real numbers, with a row for each of "
                f"{PREFIXES[split] + LABELS!r} and as many features as {layer!r}, {wanted}, found {dtype} of shape "
                f"{shape}; {remedy}"
            )
        if shape[1] > MAX_FEATURES:
            raise UserError(
                f"array {name!r} must have at most {MAX_FEATURES:,} features, found {shape[1]:,}; average a layer's "
                "output over space, or scale images down"
            )


def open_file(path: Path, labels: Path | None, resources: ExitStack) -> ArraysFile:
    """Open a file of embeddings with labels, or of features, which get some.

    Args:
        path: .npz or .zarr, or a .parquet of features.
        labels: a CSV with the columns path and label; None: the folder of each image is its class.
        resources: closes the file.

    Raises:
        UserError: it is missing, damaged or of another kind, or an image has no label.
    """
    file = open_arrays(path, resources)
    if {"path", "features"} - set(file.described) or LABELS in file.described:
        if labels is not None:
            raise UserError(f"--labels: {path} must be a file that `whichlayer features` wrote; leave it out")
        return file
    count = math.prod(file.described["path"].shape)
    if count > MAX_IMAGES:
        raise UserError(f"{path}: must have at most {MAX_IMAGES:,} images, found {count:,}; take a part of them")
    with prefix_errors(str(path)):
        paths, vectors = file.read("path").tolist(), file.read("features")
        with readable("must be a file that `whichlayer features` wrote", "write it again", 2**8 * count):
            about = json.loads((path / "zarr.json").read_bytes())["attributes"] if path.is_dir() else None
            layer = re.sub(r"[^\w.\- ]", "_", (about or json.loads(str(file.read("about"))))["layer"])
            folders = {name: PurePosixPath(name).parent.name for name in paths}
    found = {row["path"]: row["label"] for row in read_list(labels, ("path", "label"))} if labels else folders
    if lacking := [name for name in paths if not found.get(name)]:
        raise UserError(
            f"{path}: every image must have a label, in a CSV (--labels) or as the name of its folder, found none of "
            f"{len(lacking)}, first of {lacking[0]!r}"
        )
    named = {IDS: paths, LABELS: [found[name] for name in paths]}
    texts = {name: np.array(each, np.dtypes.StringDType()) for name, each in named.items()}  # each of its own length
    arrays: dict[str, NDArray[Any]] = {layer: vectors, **texts}
    described = {name: Described(array.shape, array.dtype) for name, array in arrays.items()}
    return ArraysFile(path, described, True, arrays.__getitem__, file.notes)
