"""A representation that is fitted to all classes, for use: layers in, one vector per image out."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ...shared.runtime.errors import UserError, check_known
from ..scores.arrays import Float32, Float64, as_array, blocks
from .candidates import RECIPES, Recipe
from .fitting import SCALINGS, WITHIN, Embedding, Step, axes_about_zero, layer_step, within_classes

METADATA = "representation"
"""The one key of a file's metadata."""

DIGEST = "sha256"
"""Of the metadata's fields, that of the others and of all arrays: other numbers would give other vectors in silence."""

MAX_VALUE = np.float64(1e18)
"""Of a feature: squares must not pass the end of double precision, nor vectors that of float32."""


@dataclass(frozen=True)
class Origin:
    """Where layers come from, so that those of other images can be had.

    Attributes:
        network: name of a model of params.yaml, or of timm.
        image_size: its input height and width in pixels.
        pooling: how a layer's output becomes a vector.
    """

    network: str
    image_size: int
    pooling: str


class Representation(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Join layers and turn their rows into vectors of length 1, compared by cosines.

    Args:
        layers: names of the arrays that are joined, from input to output.
        recipe: `plain`, `centred`, `whitened`, `within` or `whitened_within`.
        dimensions: columns that are left, principal axes about zero of the reference images, which keep their cosines
            best; None: all.
        origin: of the layers; None: unknown.

    Attributes:
        steps_: what is done with the rows of each layer, before they stand side by side.
        join_: what is done with the joined rows; changes nothing for `plain`, `centred` and `whitened`.
        reduction_: as many principal axes as there are dimensions; changes nothing if all are left.
        widths_: features of each layer's array.
        reference_classes_: names of the classes that it was fitted to, sorted.
        n_features_out_: number of features.
    """

    def __init__(
        self,
        layers: tuple[str, ...] = (),
        recipe: Recipe = "plain",
        dimensions: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.layers = layers
        self.recipe = recipe
        self.dimensions = dimensions
        self.origin = origin

    def fit(self, X: Mapping[str, Embedding], y: ArrayLike) -> Self:
        """Fit means, axes and covariances to reference images.

        Args:
            X: name -> (N, D); arrays that are not in `layers` are not read.
            y: (N,) classes.

        Raises:
            UserError: an array or a label is missing, a number is not finite, the recipe is unknown, or there are more
                dimensions than features.
        """
        check_known(self.recipe, RECIPES, f"recipe must be a known one, found {self.recipe!r}")
        arrays = self._arrays(X)
        self._check_values(arrays)
        names, classes = np.unique(_checked_labels(y, len(arrays[0])), return_inverse=True)
        scaling = SCALINGS[self.recipe]
        self.steps_ = [layer_step(each, scaling) for each in arrays]
        self.widths_ = [each.shape[1] for each in arrays]
        self.reference_classes_ = [str(name) for name in names]
        rows, self.join_, self.reduction_ = self._joined(arrays), None, None
        if self.recipe in WITHIN:
            self.join_ = within_classes(rows, classes).step(slice(None))
            rows = self.join_.rows(rows)
        self.n_features_out_ = rows.shape[1]
        if self.dimensions is not None:
            if not _is_whole(self.dimensions) or not 1 <= self.dimensions <= min(rows.shape):
                raise UserError(
                    f"dimensions must be a whole number from 1 to {min(rows.shape)}, for {len(rows)} images of "
                    f"{rows.shape[1]} features, found {self.dimensions!r}"
                )
            self.reduction_ = Step(None, axes_about_zero(rows, self.dimensions))
            self.n_features_out_ = int(self.dimensions)
        return self

    def transform(self, X: Mapping[str, Embedding]) -> Float32:
        """Turn the layers of some images into vectors of length 1.

        Args:
            X: name -> (N, D).

        Returns:
            (N, n_features_out_).

        Raises:
            UserError: an array is missing, does not have as many features as it was fitted to, or a number is not
                finite.
        """
        check_is_fitted(self)
        arrays = self._arrays(X)
        for name, array, width in zip(self.layers, arrays, self.widths_, strict=True):
            if array.shape[1] != width:
                raise UserError(
                    f"layer {name!r} must have the {width} features that the representation was fitted to, found "
                    f"{array.shape[1]}; embed with the same network and pooling"
                )
        vectors = np.empty((len(arrays[0]), self.n_features_out_), np.float32)
        for part in blocks(len(vectors)):
            parts = [array[part] for array in arrays]
            self._check_values(parts, part.start)
            rows = self._joined(parts)
            for step in (self.join_, self.reduction_):
                rows = rows if step is None else step.rows(rows)
            vectors[part] = rows
        return vectors

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the columns: `layer_column` while columns belong to layers, else numbered ones."""
        check_is_fitted(self)
        if self.join_ is None and self.reduction_ is None:
            columns = zip(self.layers, self._columns(), strict=True)
            return np.array([f"{layer}_{number}" for layer, count in columns for number in range(count)], dtype=object)
        return np.array([f"representation_{number}" for number in range(self.n_features_out_)], dtype=object)

    def save(self, path: str | Path) -> None:
        """Write it to a safetensors file, which loads without running code.

        Raises:
            UserError: no file can be written there.
        """
        from safetensors.numpy import save

        check_is_fitted(self)
        fields = {name: getattr(self, name) for name in SAVED} | {"origin": self.origin and asdict(self.origin)}
        arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        fields[DIGEST] = _digest(fields, arrays)
        metadata = {METADATA: _written(fields)}
        try:
            _replace_file(Path(path).resolve(), save(arrays, metadata))  # safetensors' own are the user's alone to read
        except (OSError, ValueError) as error:
            raise UserError(f"{path} must be a file in a folder that can be written to, found {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: there is none, or it is another file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            if not Path(path).is_file():
                raise ValueError("no file")
            with safe_open(path, framework="numpy") as file:
                fields = json.loads((file.metadata() or {})[METADATA])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            saved = fields.pop(DIGEST, None)
            _check_saved(fields, arrays)
            if saved != _digest(fields, arrays):
                raise ValueError("other content than was saved: it is damaged, changed, or of an earlier version")
            origin = fields["origin"] and Origin(**fields["origin"])
            loaded = cls(tuple(fields["layers"]), fields["recipe"], fields["dimensions"], origin)
            for name in SAVED[3:]:
                setattr(loaded, name, fields[name])
        except (SafetensorError, OSError, LookupError, AttributeError, RecursionError, TypeError, ValueError) as error:
            raise UserError(f"{path} must be a file that a representation was saved to, found {error}") from None

        def step(place: str) -> Step:
            return Step(arrays.get(f"{place}.mean"), arrays.get(f"{place}.matrix"))

        loaded.steps_ = [step(f"layer.{number}") for number in range(len(loaded.layers))]
        loaded.join_ = step("join") if "join.matrix" in arrays else None
        loaded.reduction_ = step("reduction") if "reduction.matrix" in arrays else None
        return loaded

    @property
    def steps(self) -> dict[str, Step]:
        """What is done, in order: a step for each layer, `layer.0` and so on, then `join` and `reduction`, if any."""
        check_is_fitted(self)
        steps = {f"layer.{number}": step for number, step in enumerate(self.steps_)}
        return steps | {n: s for n, s in (("join", self.join_), ("reduction", self.reduction_)) if s is not None}

    @property
    def arrays(self) -> dict[str, Float64]:
        """The means and matrices that the steps have, in order, such as `layer.0.mean` and `join.matrix`."""
        return {
            f"{place}.{part}": array
            for place, step in self.steps.items()
            for part, array in (("mean", step.mean), ("matrix", step.matrix))
            if array is not None
        }

    def _arrays(self, X: Mapping[str, Embedding]) -> list[NDArray[Any]]:
        if not self.layers or isinstance(self.layers, str):
            raise UserError(f"layers must be a tuple of names of arrays, found {self.layers!r}")
        if not isinstance(X, Mapping):
            raise UserError(f"X must be a dict of embeddings, name -> (N, D), found {type(X).__name__}")
        for name in self.layers:
            check_known(name, X.keys(), f"a representation of {', '.join(self.layers)} needs the array {name!r}")
        arrays = [as_array(f"array {name!r}", X[name]) for name in self.layers]
        for name, array in zip(self.layers, arrays, strict=True):
            if array.ndim != 2 or len(array) != len(arrays[0]) or array.dtype.kind not in "fiu":
                raise UserError(
                    f"array {name!r} must be (images, features) of real numbers, the same images in all, found "
                    f"{array.dtype} of shape {array.shape}"
                )
        return arrays

    def _check_values(self, arrays: Sequence[NDArray[Any]], first: int = 0) -> None:
        """Raise a `UserError` if a number is missing or too large; the first row is counted as `first`."""
        for name, array in zip(self.layers, arrays, strict=True):
            wrong = ~((array >= -MAX_VALUE) & (array <= MAX_VALUE))  # the least whole number has no absolute value
            if wrong.any():
                row = int(wrong.any(axis=1).argmax())
                raise UserError(
                    f"array {name!r} must have finite numbers of at most {MAX_VALUE:g}, found "
                    f"{array[row][wrong[row]][0]} in row {first + row}; remove this image from all arrays"
                )

    def _columns(self) -> list[int]:
        """Return how many columns each layer has in the join."""
        pairs = zip(self.steps_, self.widths_, strict=True)
        return [width if step.matrix is None else step.matrix.shape[1] for step, width in pairs]

    def _joined(self, arrays: list[NDArray[Any]]) -> Float64:
        rows = np.hstack([step.rows(X) for step, X in zip(self.steps_, arrays, strict=True)])
        return np.asarray(rows / len(arrays) ** 0.5)


SAVED = ("layers", "recipe", "dimensions", "widths_", "reference_classes_", "n_features_out_")
"""Attributes of a representation beside its steps."""


def _replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a full disk must not cost the one that was there."""
    if path.exists() and not path.is_file():
        raise ValueError("no regular file")
    scratch = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError:
        with suppress(OSError):
            scratch.unlink()
        raise


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _checked_labels(y: ArrayLike, count: int) -> NDArray[Any]:
    labels = as_array("labels", y)
    if labels.shape != (count,):
        raise UserError(f"labels must have one entry for each of the {count} images, found the shape {labels.shape}")
    if not count:
        raise UserError("there must be reference images to fit to, found none")
    if pd.isna(labels).any():
        raise UserError("labels must not be missing; remove such images from the labels and all arrays")
    return labels


def _written(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, default=int)  # whole numbers may be NumPy's


def _digest(fields: Mapping[str, Any], arrays: Mapping[str, Float64]) -> str:
    content = sha256(_written(fields).encode())
    for name in sorted(arrays):
        content.update(name.encode())
        content.update(arrays[name].tobytes())
    return content.hexdigest()


def _check_saved(fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that a file has what `fit` makes, no more and no less.

    Raises:
        LookupError: a field or an array is missing.
        ValueError: one is something else.
    """
    layers, recipe, dimensions, widths, classes, n_features = (fields[name] for name in SAVED)
    origin = fields["origin"] or {"network": "", "pooling": "", "image_size": 1}
    texts = [*layers, *classes, origin["network"], origin["pooling"]]
    numbers = [*widths, n_features, origin["image_size"], *([] if dimensions is None else [dimensions])]
    if not (isinstance(layers, list) and layers and all(isinstance(each, str) for each in texts)):
        raise ValueError("names that are no texts")
    if not all(_is_whole(each) and each > 0 for each in numbers) or len(widths) != len(layers):
        raise ValueError("sizes that are no whole numbers")
    if recipe not in RECIPES:
        raise ValueError(f"the unknown recipe {recipe!r}")
    is_centred, has_axes = recipe != "plain", recipe not in ("plain", "centred")
    places = [f"layer.{number}" for number in range(len(layers))]
    columns = [arrays[f"{place}.matrix"].shape[1] for place in places] if has_axes else widths
    shapes: dict[str, tuple[int, ...]] = {}
    for place, width, count in zip(places, widths, columns, strict=True):
        shapes |= {f"{place}.mean": (width,)} if is_centred else {}
        shapes |= {f"{place}.matrix": (width, count)} if has_axes else {}
    if recipe in WITHIN:
        shapes |= {"join.mean": (sum(columns),), "join.matrix": (sum(columns), sum(columns))}
    if dimensions is not None:
        shapes["reduction.matrix"] = (sum(columns), dimensions)
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or n_features != (dimensions or sum(columns)):
        raise ValueError(f"arrays of other shapes than {recipe!r} makes")
    if not all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("numbers that are not finite, or not in double precision")
