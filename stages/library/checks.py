"""What arrays and labels that a user gives must be, and a table of their images: one sentence if they are not."""

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..core.scores.catalogue import PROBE
from ..measure.params import MeasureParams
from ..shared.embeddings.embeddings import BASELINE
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.runtime.errors import CONTROL, UserError, listed

MAX_LENGTH = 1e18
"""Of an image's vector, and the inverse the least length of an array's longest: squares of distances must not pass the
ends of float32."""

USABLE = re.compile(r"(?!_)\w[\w.\- ]{0,199}")
"""A layer's name, which stands in tables, figures and paths."""


def tabulate(
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    seen: ArrayLike | None = None,
    folds: ArrayLike | None = None,
) -> pd.DataFrame:
    """Tabulate the images: `SAMPLE_COLUMNS`, and `fold`, counted from 0 in the order of the images.

    Raises:
        UserError: an array is not (N,) or has other values, a text is missing, a class has one image, is seen and
            unseen, or is unseen in two folds, or an id stands for two images.
    """
    given = {"labels": labels, "groups": groups, "ids": ids, "seen": seen, "folds": folds}
    arrays = {name: np.asarray(given[name]) for name in given if given[name] is not None or name == "labels"}
    for name, array in arrays.items():
        if array.shape != arrays["labels"].shape or array.ndim != 1:
            raise UserError(f"{name} must have one entry for each image, found the shape {array.shape}")
    texts = {name: as_texts(name, array) for name, array in arrays.items() if name != "seen"}
    samples = pd.DataFrame({"label": texts["labels"], "group": texts.get("groups", ""), "fold": 0, "split": UNSEEN})
    if seen is not None:
        if arrays["seen"].dtype != bool:
            raise UserError(
                f"seen must be booleans, found {arrays['seen'].dtype}; give for example np.isin(labels, seen_classes)"
            )
        samples["split"] = np.where(arrays["seen"], SEEN, UNSEEN)
    if folds is not None:
        samples["fold"] = pd.factorize(pd.Series(texts["folds"]))[0]
    own = samples.groupby(["fold", "split"], sort=False)
    numbered = samples["split"] + "/" + own.cumcount().astype(str).str.zfill(6)
    samples["sample_id"] = texts.get("ids", numbered)
    for (_, split), rows in own:
        sizes = rows["label"].value_counts(ascending=True)
        if len(sizes) < 2 or sizes.iloc[0] < 2:
            found = listed([f"{name!r} ({count})" for name, count in sizes.items()], 5)
            where = f" in the split {split!r}" if samples["split"].nunique() > 1 else ""
            raise UserError(
                f"labels must have at least 2 classes of at least 2 images each, found {found}{where}; take classes of "
                "one image out of the labels and of all embeddings"
            )
        if (repeated := rows["sample_id"].duplicated()).any():
            raise UserError(f"ids must name each image once, found {rows['sample_id'][repeated].iloc[0]!r} twice")
    if own.ngroups != samples["fold"].nunique() * samples["split"].nunique() or UNSEEN not in set(samples["split"]):
        raise UserError("every fold must have images of unseen classes, and of seen ones if another has; add some")
    unseen = samples[samples["split"] == UNSEEN].groupby("label")["fold"].nunique()
    both = samples.groupby(["label", "fold"])["split"].nunique().groupby("label").max()
    for what, counts in (("seen or unseen", both), ("unseen in one fold (each file is one)", unseen)):
        if counts.max() > 1:
            raise UserError(f"a class must be {what}, found {counts.idxmax()!r} in two; give each its own classes")
    return samples


def as_texts(name: str, values: NDArray[Any]) -> list[str]:
    """Read names of classes, groups, images or folds, (N,); whole numbers become texts.

    Raises:
        UserError: they are others, or a text is empty or has control characters.
    """
    texts = [str(each) if isinstance(each, str | Integral) else "" for each in values.tolist()]
    wrong = next((number for number, text in enumerate(texts) if not text or CONTROL.search(text)), None)
    if wrong is not None:
        found = values.tolist()[wrong]
        raise UserError(f"{name} must be texts without control characters or whole numbers, found {found!r}")
    return texts


def as_array(what: str, values: ArrayLike) -> NDArray[Any]:
    """Make an array of what a user gives for one.

    Raises:
        UserError: it cannot become one, as a ragged list, or a tensor on a GPU or with a gradient.
    """
    try:
        return np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{what} must be an array, found {type(values).__name__}: {error}") from None


def check_probe(labels: "pd.Series[str]", measure: MeasureParams) -> None:
    """Check that each class has images for all folds of the linear probe, if that is measured.

    Raises:
        UserError: naming classes that do not.
    """
    counts, folds = labels.value_counts(ascending=True), measure.probe.folds
    if PROBE in measure.all_metrics and counts.iloc[0] < folds:
        found = listed([f"{name!r} ({count})" for name, count in counts[counts < folds].items()], 5)
        raise UserError(
            f"the linear probe needs at least {folds} images of each class, found {found}; add images, take such "
            'classes out, or name scores without the probe, such as metrics=["map_at_r", "nmi"] in Python or '
            "--metrics map_at_r,nmi"
        )


def check_layers(layers: Mapping[str, NDArray[Any]], count: int) -> dict[str, NDArray[np.float32]]:
    """Check names, shapes and values of layers, and give them as float32.

    Args:
        layers: name -> (N, D).
        count: N.

    Raises:
        UserError: naming the array, what must hold and what was found.
    """
    if not set(layers) - {BASELINE}:
        raise UserError(f"there must be a layer, embeddings (N, D), beside {BASELINE!r}, found none")
    found, remedy = {}, "take such images out of the labels and of all embeddings"
    for name, given in layers.items():
        if not isinstance(name, str) or not USABLE.fullmatch(name):
            raise UserError(
                "a layer's name must be of at most 200 letters, digits, `.`, `_`, `-` and blanks, and begin with a "
                f"letter or digit, found {name!r}; rename it"
            )
        X = as_array(f"embeddings of layer {name!r}", given)
        if X.dtype.kind in "fiu" and X.ndim == 2 and len(X) != count:
            raise UserError(f"embeddings must have a row for each label: layer {name!r} has {len(X)}, labels {count}")
        if X.dtype.kind not in "fiu" or X.ndim != 2 or len(X) != count or not X.shape[1]:
            raise UserError(
                f"embeddings of layer {name!r} must be (images, features) of real numbers, with a row for each of the "
                f"{count} labels, found {X.dtype} of shape {X.shape}; give every layer the same images, and reduce its "
                "output to one vector per image, for example by its mean over space"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            found[name] = X.astype(np.float32, copy=False)
            longest = float(np.sqrt(np.einsum("nd,nd->n", found[name], found[name], dtype=np.float64).max()))
        if np.isnan(longest):
            row = int(np.flatnonzero(~np.isfinite(found[name]).all(axis=1))[0])
            raise UserError(f"embeddings of layer {name!r} must be finite, found NaN in row {row}; {remedy}")
        if longest and not 1 / MAX_LENGTH <= longest <= MAX_LENGTH:  # nor NaN
            raise UserError(
                f"embeddings of layer {name!r} must be finite in float32, the longest of {1 / MAX_LENGTH:g} to "
                f"{MAX_LENGTH:g}, found {longest:.3g}; {remedy}, or multiply the layer by a number"
            )
    return found
