"""A file of embeddings that any tool made: an array per layer and `labels`, and the same of seen classes below `seen/`.

<layer>            (N, D) numbers: one layer's embedding of N images of classes that the network was not trained on
labels             (N,) their classes, texts or whole numbers
seen/<layer>, seen/labels    (M, D), (M,) optional: the same of other images of classes that it was trained on
layers             (L,) optional in an .npz file: names of the layers from input to output
ids, seen/ids      (N,), (M,) optional: names of the images
pixels             (N, D) optional: the images themselves, the baseline that layers are compared with
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.commands.score.arrays_file import SEEN_GROUP, ArraysFile
from stages.prepare.file_names import check_class_names
from stages.shared.embeddings.embedding_store import BASELINE, LAST_STEP, SAMPLE_COLUMNS, Float32, Layer
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import CONTROL, UserError, prefix_errors

STEP = 0
"""The checkpoint: a file holds one network, as it is."""

LABELS, IDS, LAYERS = "labels", "ids", "layers"
PREFIXES = {SEEN: f"{SEEN_GROUP}/", UNSEEN: ""}
"""A split, and what the names of its arrays begin with."""

MAX_IMAGES = 5_000_000
"""Of a split; a name takes a hundred bytes in memory, and may take none in a file."""

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

    def features(self, layer: Layer, split: str) -> Float32:
        """One layer's embedding of one split, (N, D) float32.

        Raises:
            UserError: it is damaged, or a value is NaN, infinite, or beyond float32.
        """
        name = PREFIXES[split] + layer.name
        with prefix_errors(str(self.file.path)), np.errstate(over="ignore"):
            values = self.file.read(name).astype(np.float32)
            bad = int((~np.isfinite(values)).any(axis=1).sum())
            if bad:
                raise UserError(
                    f"array {name!r} must be finite in float32, found NaN or infinity in {bad} of {len(values)} "
                    "images; take these images out of every array, or compute them again"
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
        for split in splits:
            _check_shapes(file, PREFIXES[split], list(depths), len(labels[split]))
        _check_seen(file, list(depths), labels)
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
    names = _texts(file, LAYERS) if LAYERS in file.described else arrays
    wrong = [f"{name!r} is no array" for name in names if name not in arrays]
    wrong += [f"{name!r} is not among them" for name in arrays if name not in names]
    wrong += [f"{name!r} stands there twice" for name in names if names.count(name) > 1]
    if wrong:
        raise UserError(
            f"{LAYERS!r} must name every layer once, from input to output, found that {wrong[0]}; beside layers there "
            f"may be {LABELS}, {IDS} and {BASELINE}"
        )
    if not names:
        raise UserError(f"has no layer, found only {', '.join(file.described)}; {LAYOUT}")
    if LAYERS not in file.described and not file.ordered and len(names) > 1:
        raise UserError(
            f"must have an array {LAYERS!r} with the names of the layers from input to output, since a Zarr group has "
            f"no order; found the layers {', '.join(names)}"
        )
    for name in names:  # they name columns, files and arrays
        if not USABLE.fullmatch(name) or name in RESERVED:
            raise UserError(
                "a layer's name must be of letters, digits, `.`, `_`, `-` and blanks, begin with a letter or digit, "
                f"and be none of {', '.join(RESERVED)}; found {name!r}; rename that array"
            )
    return names


def _labels(file: ArraysFile, name: str) -> NDArray[np.str_]:
    labels = np.array(_texts(file, name), dtype=str)
    classes, sizes = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise UserError(f"array {name!r} must have at least 2 classes to separate, found {len(classes)}")
    if sizes.min() < 2:
        raise UserError(
            f"array {name!r} must have at least 2 images of every class, found 1 of {str(classes[sizes.argmin()])!r}; "
            "take that image out of every array"
        )
    return labels


def _texts(file: ArraysFile, name: str) -> list[str]:
    """Read names of classes, images or layers; whole numbers become texts."""
    described = file.described[name]
    if described.dtype.kind not in "iuUT" or len(described.shape) != 1:
        raise UserError(
            f"array {name!r} must be one-dimensional, of texts or whole numbers, found {described.dtype} of shape "
            f"{described.shape}; objects are not read: save np.array({name}, dtype=str)"
        )
    if described.shape[0] > MAX_IMAGES:
        raise UserError(
            f"array {name!r} must have at most {MAX_IMAGES:,} entries, found {described.shape[0]:,}; score fewer images"
        )
    texts = [str(value) for value in file.read(name).tolist()]
    wrong = next((text for text in texts if not text or CONTROL.search(text)), None)
    if wrong is not None:
        raise UserError(f"array {name!r} must not hold empty texts or control characters, found {wrong!r}")
    return texts


def _ids(file: ArraysFile, split: str, count: int) -> NDArray[np.str_]:
    """Return the names of a split's images; without any, the split and a number."""
    name = PREFIXES[split] + IDS
    if name not in file.described:
        return np.array([f"{split}/{number:06}" for number in range(count)])
    ids = np.array(_texts(file, name))
    different = len(np.unique(ids))
    if len(ids) != count or different != count:
        raise UserError(
            f"array {name!r} must name each of the {count} images of {PREFIXES[split] + LABELS!r} once, found "
            f"{len(ids)} names, {different} of them different"
        )
    return ids


def _check_shapes(file: ArraysFile, prefix: str, names: Sequence[str], count: int) -> None:
    """Check that a split has every layer, of (images, features) of numbers."""
    for name in (prefix + layer for layer in names):
        if name not in file.described:
            raise UserError(f"has no array {name!r}, but {prefix + LABELS!r}; give every layer, or no labels")
        described = file.described[name]
        if described.dtype.kind not in "fiu" or len(described.shape) != 2 or described.shape[1] < 1:
            raise UserError(
                f"array {name!r} must be (images, features) of real numbers, found {described.dtype} of shape "
                f"{described.shape}; reduce a layer's output to one vector per image first, for example by its mean "
                "over space"
            )
        if described.shape[0] != count:
            raise UserError(
                f"array {name!r} must have a row for each of the {count} images of {prefix + LABELS!r}, found "
                f"{described.shape[0]}"
            )


def _check_seen(file: ArraysFile, names: Sequence[str], labels: dict[str, NDArray[np.str_]]) -> None:
    """Check that the seen split has the unseen one's layers, no others, and classes of its own; no two look alike."""
    prefix = PREFIXES[SEEN]
    below = [name.removeprefix(prefix) for name in file.described if name.startswith(prefix)]
    further = [name for name in below if name not in (*names, LABELS, IDS, BASELINE)]
    if further or (below and SEEN not in labels):
        what = f"found {prefix + further[0]!r}" if further else f"found no {prefix + LABELS!r}"
        raise UserError(f"below `{prefix}` must be {LABELS} and the same layers as above it, {what}")
    for name in names if SEEN in labels else ():
        widths = [file.described[name].shape[1], file.described[prefix + name].shape[1]]
        if widths[0] != widths[1]:
            raise UserError(
                f"array {prefix + name!r} must have as many features as {name!r}, found {widths[0]} beside {widths[1]}"
            )
    check_class_names(sorted({str(label) for of_split in labels.values() for label in of_split}))
    shared = sorted(set(labels.get(SEEN, ())) & set(labels[UNSEEN]))
    if shared:
        raise UserError(
            f"a class must be seen or unseen, found {str(shared[0])!r} in {prefix + LABELS!r} and in {LABELS!r}"
        )
