"""Check arrays, labels and settings that a user gives, and turn them into what is scored."""

import mmap
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from ..core.scores.arrays import as_array
from ..core.scores.catalogue import LAYER_SCORES, PROBE
from ..core.scores.sampling import describe_drawn, draw_images
from ..measure.score_params import ScoreParams, check_ranking
from ..prepare.names import INVISIBLE, check_class_names
from ..shared.embeddings.split_names import BASELINE, SEEN, UNSEEN
from ..shared.runtime.errors import CONTROL, UserError, check_known, listed, prefix_errors, short_repr
from ..shared.runtime.param_errors import describe_wrong_value

if TYPE_CHECKING:
    from ..core.representations.representation import Origin
    from ..shared.embeddings.embeddings import Layer

Arrays = Mapping[str, NDArray[np.float32]]
"""Name -> (N, D), from input to output."""

MAX_IMAGES = 10_000
"""Images of a fold of more of which so many are drawn, by default (`measure.max_images`)."""

MAX_LENGTH = 1e18
"""Of an image's vector, and the inverse the least length of an array's longest: squares of distances must not pass the
ends of float32."""

MAPPED_ROWS = 256
"""Rows that are read from a mapped file at once: up to 2 MB of the file around each stay in memory meanwhile."""

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
        UserError: an array is not (N,) or has other values, a text is missing, two classes look alike, a class has one
            image, is seen and unseen, or is unseen in two folds, or an id stands for two images.
    """
    texts = {"labels": as_texts("labels", labels)}
    for name, values in (("groups", groups), ("ids", ids), ("folds", folds)):
        texts |= {} if values is None else {name: as_texts(name, values)}
    marks = {} if seen is None else {"seen": as_column("seen", seen)}
    count = len(texts["labels"])
    if not count:
        raise UserError("labels must have one entry for each image, found none: there are no images")
    for name, found in [(name, len(column)) for of in (texts, marks) for name, column in of.items()]:
        if found != count:
            raise UserError(f"{name} must have one entry per label, {count}, found {found}")
    samples = pd.DataFrame({"label": texts["labels"], "group": texts.get("groups", ""), "fold": 0, "split": UNSEEN})
    if seen is not None:
        if marks["seen"].dtype != bool:
            kind = marks["seen"].dtype
            raise UserError(f"seen must be booleans, found {kind}; give for example np.isin(labels, seen_classes)")
        samples["split"] = np.where(marks["seen"], SEEN, UNSEEN)
    if folds is not None:
        samples["fold"] = pd.factorize(pd.Series(texts["folds"]))[0]
    numbers = samples.groupby(["fold", "split"]).cumcount().astype(str).str.zfill(6)
    samples["sample_id"] = texts.get("ids", samples["split"] + "/" + numbers)
    check_samples(samples)
    return samples


def check_samples(samples: pd.DataFrame) -> None:
    """Check the classes, splits and folds of images, and their ids.

    Raises:
        UserError: as `tabulate`.
    """
    with prefix_errors("labels"):
        check_class_names(samples["label"].unique())
    own = samples.groupby(["fold", "split"], sort=False)
    for (_, split), rows in own:
        sizes = rows["label"].value_counts(ascending=True)
        if len(sizes) < 2 or sizes.iloc[0] < 2:
            wrong = sizes if len(sizes) < 2 else sizes[sizes < 2]
            found = listed([f"{short_repr(name)} ({size})" for name, size in wrong.items()], 5)
            where = f" in the split {split!r}" if samples["split"].nunique() > 1 else ""
            raise UserError(
                f"labels must have at least 2 classes, and every class at least 2 images, found {found}{where}; remove "
                "classes with one image from the labels and all embeddings"
            )
        if (repeated := rows["sample_id"].duplicated()).any():
            raise UserError(f"ids must list each image once, found {rows['sample_id'][repeated].iloc[0]!r} twice")
    if own.ngroups != samples["fold"].nunique() * samples["split"].nunique() or UNSEEN not in set(samples["split"]):
        raise UserError("every fold must have images from unseen classes, and from seen ones if another has; add some")
    unseen = samples[samples["split"] == UNSEEN].groupby("label")["fold"].nunique()
    both = samples.groupby(["label", "fold"])["split"].nunique().groupby("label").max()
    for what, counts in (("seen or unseen", both), ("unseen in one fold (each file is one)", unseen)):
        if counts.max() > 1:
            raise UserError(f"a class must be {what}, found {counts.idxmax()!r} in two; give each its own classes")


TURNED_INTO_TEXT = np.dtype("<U32")
"""What NumPy makes of a list of texts that has a number: of NaN it is `nan`."""


def as_texts(name: str, values: ArrayLike) -> list[str]:
    """Read names of classes, groups, images or folds, (N,); whole numbers become texts.

    Raises:
        UserError: they are others, or a text is missing, empty or has control characters.
    """
    column = as_column(name, values)
    cells = column.tolist()
    texts = [_text(each) for each in cells]
    missing = pd.isna(column.astype(object))
    if column.dtype == TURNED_INTO_TEXT and max(map(len, texts), default=0) < TURNED_INTO_TEXT.itemsize // 4:
        missing |= column == "nan"
    if missing.any():
        row = int(missing.argmax())
        raise UserError(
            f"{name} must not be missing, found {cells[row]!r} in row {row} ({missing.sum()} in all); remove such "
            "images from the labels and all embeddings, or give them a name"
        )
    if len({(text, isinstance(cell, str)) for text, cell in zip(texts, cells, strict=True)}) > len({*texts}):
        own = {cell for cell in cells if isinstance(cell, str)}
        number = next(cell for cell, text in zip(cells, texts, strict=True) if text in own and cell not in own)
        raise UserError(
            f"{name} must be all numbers or all texts if two look alike, found {number!r} and {str(number)!r}; rename "
            f"one, or give [str(each) for each in {name}] if they are the same"
        )
    wrong = {text for text in {*texts} if not INVISIBLE.sub("", text).strip() or CONTROL.search(text)}
    if wrong:
        found = next(cell for cell, text in zip(cells, texts, strict=True) if text in wrong)
        remedy = "rename it" if isinstance(found, str) else f"give [str(each) for each in {name}]"
        if isinstance(found, bytes):
            remedy = f"give [each.decode() for each in {name}]"
        if isinstance(found, float):
            found = next((each for each in cells if isinstance(each, float) and not each.is_integer()), found)
            remedy = f"give np.asarray({name}).astype(int)" if found.is_integer() else "give classes, not measures"
        raise UserError(
            f"{name} must be visible texts without control characters or whole numbers, found {short_repr(found)}; "
            f"{remedy}"
        )
    return texts


def _text(value: object) -> str:
    """Write a text, which may be a member of an enumeration, or a whole number; else nothing."""
    return "".join(value) if isinstance(value, str) else str(value) if isinstance(value, Integral) else ""


def remarks(samples: pd.DataFrame, layers: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Note classes called as pandas and NumPy call missing values, and layers that are the same for all images."""
    missing = sorted({"nan", "None", "NaT", "<NA>"} & {*samples["label"]})
    same = [name for name, X in layers.items() if not np.ptp(X, axis=0).any()]
    told = [f"a class is called {name!r}, as missing labels are once they are texts" for name in missing]
    return told + [f"layer {name!r} has the same embedding for all images, so its scores are chance" for name in same]


def as_column(name: str, values: ArrayLike) -> NDArray[Any]:
    """Make an array (N,) of what a user gives for one; what is missing stays so.

    NumPy would make texts of the numbers and of the missing values in a list of texts.

    Raises:
        UserError: it has another shape.
    """
    column = as_array(name, values)
    if column.dtype.kind not in "iub" and not isinstance(values, np.ndarray):
        column = np.asarray(values, dtype=object)
    if column.ndim != 1:
        shown = column.ndim or isinstance(values, np.ndarray)
        found = f"the shape {column.shape}" if shown else type(values).__name__
        remedy = "give a list or an array (N,)"
        if column.ndim == 2 and column.shape[1] == 1:
            remedy = f"give np.ravel({name})"
        elif column.ndim == 2 and column.dtype.kind in "iufb":
            remedy = f"for one-hot rows give np.argmax({name}, axis=1)"
        raise UserError(f"{name} must have one entry for each image, found {found}; {remedy}")
    return column


def draw_samples(samples: pd.DataFrame, max_images: int, least: int) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Draw the images of each fold that are scored: their rows, ascending, None if all are; and notes on them."""
    parts, notes = list[NDArray[np.int64]](), list[str]()
    for (_, split), own in samples.groupby(["fold", "split"], sort=False):
        ids, labels = own["sample_id"].tolist(), own["label"].to_numpy(dtype=str)
        groups = own["group"].to_numpy(dtype=str) if (own["group"] != "").any() else None
        drawn = draw_images(labels, ids, max_images, least, groups)
        parts.append(own.index.to_numpy()[drawn])
        notes += [describe_drawn(str(split), len(drawn), len(own))] if len(drawn) < len(own) else []
    return (np.sort(np.concatenate(parts)) if notes else None), list(dict.fromkeys(notes))


def check_probe(labels: "pd.Series[str]", measure: ScoreParams) -> None:
    """Check that each class has images for all folds of the linear probe, if that is measured.

    Raises:
        UserError: naming classes that do not.
    """
    counts, folds = labels.value_counts(ascending=True), measure.probe.folds
    if PROBE in measure.all_metrics and counts.iloc[0] < folds:
        found = listed([f"{name!r} ({count})" for name, count in counts[counts < folds].items()], 5)
        raise UserError(
            f"the linear probe needs at least {folds} images per class, found {found}; add images, remove such "
            'classes, or choose scores without the probe, such as metrics=["map_at_r", "nmi"] in Python or '
            "--metrics map_at_r,nmi"
        )


def checked_mapping(layers: Any, function: str) -> Mapping[str, Any]:
    """Return what is given for layers.

    Raises:
        UserError: it is no dict, such as one array; with an example of a call of the function.
    """
    if not isinstance(layers, Mapping):
        raise UserError(
            f"layers must be a dict of embeddings, name -> (N, D), found {type(layers).__name__}; for example "
            f'{function}({{"features": X}}, labels)'
        )
    return layers


def check_index(layers: Mapping[str, Any], labels: Any) -> None:
    """Check that tables of embeddings have the index of the labels: rows are not matched by it.

    Raises:
        UserError: one has another index, or another order of it.
    """
    for name, X in layers.items() if isinstance(labels, pd.Series) else ():
        if isinstance(X, pd.DataFrame) and len(X) == len(labels) and not X.index.equals(labels.index):
            raise UserError(
                f"layer {name!r} must have the index of labels in the same order, found another; sort "
                "both alike, or if their rows match as they stand give labels.to_numpy()"
            )


def check_layers(
    layers: Mapping[str, NDArray[Any]], count: int, rows: NDArray[np.int64] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Check names, shapes and values of layers, and give them as float32, with what is known of `Layers`.

    Args:
        layers: name -> (N, D).
        count: N.
        rows: of the images that are taken; None: all. Only these are read.

    Raises:
        UserError: naming the array, what must hold and what was found.
    """
    if not set(layers) - {BASELINE}:
        raise UserError(f"there must be a layer, embeddings (N, D), beside {BASELINE!r}, found none")
    found, remedy = {}, "remove such images from the labels and all embeddings"
    for name, given in layers.items():
        if not isinstance(name, str) or not USABLE.fullmatch(name):
            raise UserError(
                "a layer's name must have at most 200 letters, digits, `.`, `_`, `-` and blanks, and begin with a "
                f"letter or digit, found {name!r}; rename it"
            )
        if isinstance(given, pd.DataFrame) and all(each.kind in "fiu" for each in given.dtypes):
            given = given.to_numpy(np.float64, na_value=np.nan)  # pandas' nullable numbers would become objects
        X = as_array(f"layer {name!r}", given)
        if X.dtype.kind in "fiu" and X.ndim == 2 and len(X) != count:
            raise UserError(f"embeddings must have a row for each label: layer {name!r} has {len(X)}, labels {count}")
        if X.dtype.kind not in "fiu" or X.ndim != 2 or len(X) != count or not X.shape[1]:
            raise UserError(
                f"layer {name!r} must be (images, features), real numbers with a row per label, "
                f"{count}, found {X.dtype} with shape {X.shape}; give every layer the same images, and reduce its "
                "output to one vector per image, for example by its mean over space"
            )
        X = X if rows is None else take_rows(X, rows)
        with np.errstate(over="ignore", invalid="ignore"):
            found[name] = X.astype(np.float32, copy=False)
            longest = float(np.sqrt(np.einsum("nd,nd->n", found[name], found[name], dtype=np.float64).max()))
        if np.isnan(longest):
            row = int(np.flatnonzero(~np.isfinite(found[name]).all(axis=1))[0])
            row = row if rows is None else int(rows[row])
            raise UserError(f"layer {name!r} must be finite, found NaN in row {row}; {remedy}")
        if longest and not 1 / MAX_LENGTH <= longest <= MAX_LENGTH:  # nor NaN
            raise UserError(
                f"layer {name!r} must be finite in float32, its longest embedding from {1 / MAX_LENGTH:g} to "
                f"{MAX_LENGTH:g}, found {longest:.3g}; {remedy}, or multiply the layer by a number"
            )
    if isinstance(layers, Layers):
        found = Layers(found, layers.described)
        found.origin = layers.origin
    return found


def take_rows(X: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Copy some rows; of a file that is mapped to memory let go of what the system read around them."""
    mapped: Any = X
    while mapped is not None and not isinstance(mapped, np.memmap):
        mapped = getattr(mapped, "base", None)
    if mapped is None or mapped.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):  # "c": it has changes of its own
        return np.asarray(X[rows])
    memory = vars(mapped)["_mmap"]  # of a view as well
    taken = np.empty((len(rows), X.shape[1]), X.dtype)
    for some in np.array_split(np.arange(len(rows)), -(-len(rows) // MAPPED_ROWS)):
        taken[some] = X[rows[some]]
        memory.madvise(mmap.MADV_DONTNEED)
    return taken


class Layers(dict[str, NDArray[np.float32]]):
    """Name -> (N, D), from input to output, and what is known of layers, such as the parameters that each takes."""

    origin: "Origin | None" = None
    """Where they come from, if by a network's name."""

    def __init__(self, arrays: Arrays, described: Mapping[str, "Layer"]) -> None:
        super().__init__(arrays)
        self.described = described


def describe(layers: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """Describe layers as `LayerRecord` does, raw pixels first, if there are any."""
    known, described = layers.described if isinstance(layers, Layers) else {}, list[dict[str, Any]]()
    ordered = sorted(names, key=lambda name: name != BASELINE)
    for depth, name in enumerate(ordered, start=-(BASELINE in ordered)):
        own = known.get(name)
        costs = {what: getattr(own, what, 0) for what in ("parameters", "operations")}
        described.append({"layer": name, "depth": depth, "pooling": own.pooling if own else "none"} | costs)
    return described


METRICS = sorted(LAYER_SCORES, key=lambda name: not LAYER_SCORES[name].in_paper)
"""Scores that are computed by default, those of the paper first."""

REFITTED = [name for name, score in LAYER_SCORES.items() if score.refit and not (score.over_folds and score.on_halves)]
"""Scores that are fitted again by default: all but those that have Student's t over folds and would cost much."""

SECTIONS = ("kmeans", "probe", "refits")
SETTINGS = ("normalize", "neighbours", "max", *SECTIONS)
"""What an argument of `score` begins with that is a setting."""


def parse_settings(metrics: Sequence[str] | None, given: Mapping[str, Any]) -> ScoreParams:
    """Check settings, by the model of params.yaml; `kmeans_starts` is its `measure.kmeans.starts`, and so on.

    Args:
        metrics: names of scores, the main one first; None: all.
        given: the settings by argument.

    Raises:
        UserError: one is impossible, or names no score; names the argument.
    """
    listed = isinstance(metrics, Collection) and not isinstance(metrics, str | Set | Mapping) and len(metrics) > 0
    if metrics is not None and not (listed and all(isinstance(name, str) for name in metrics)):
        raise UserError(f"metrics must be a list of score names, found {metrics!r}")
    if len({*(metrics or ())}) < len(metrics or ()):
        raise UserError(f"metrics must not repeat a name, found {[*(metrics or ())]}")
    for name in metrics or ():
        check_known(name, LAYER_SCORES, f"metrics must name layer scores, found {name!r}")
    values: dict[str, Any] = {"metrics": [*(METRICS if metrics is None else metrics)]}
    values |= {"probe": {"steps": "ends"}, "refits": {"steps": "ends"}, "kmeans": {}}
    for argument, value in given.items():
        section, _, name = argument.partition("_")
        if section in SECTIONS:
            values[section][name] = value
        else:
            values[argument] = value
    refitted = values["refits"].get("metrics")
    values["refits"]["metrics"] = REFITTED if refitted is None else [*refitted]
    measure = checked(values)
    check_ranking(measure.metrics[0], measure, where="metrics")
    return measure


def checked(values: dict[str, Any]) -> ScoreParams:
    """Validate values, and name a wrong one by its argument."""
    try:
        return ScoreParams.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        argument = "_".join(map(str, wrong["loc"]))
        raise UserError(describe_wrong_value({**wrong, "loc": ()}, argument, ScoreParams)) from None
