"""Score embeddings in memory as the workflow scores its own: without a file, torch or DVC."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..aggregate.columns import frame
from ..aggregate.compute import Results, compute
from ..aggregate.params import AggregateParams, Asked, AskedMeasures
from ..aggregate.read import CURVE_COLUMNS, Tables
from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, PROBE, SCORES
from ..measure.analyses.registry import ANALYSES
from ..measure.checks import check_params
from ..measure.outputs import (
    analysis_rows,
    image_tables,
    join_images,
    layer_records,
    notes,
    refit_records,
    write_cell,
)
from ..measure.params import MeasureParams, check_ranking
from ..measure.run import Measured, plan_jobs
from ..measure.run import measure as measure_cell
from ..shared.embeddings.embeddings import BASELINE, SAMPLE_COLUMNS, Embeddings, InMemory, Layer
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.runtime.errors import CONTROL, UserError, check_known, listed
from ..shared.tables.metric_table import ANALYSIS_TABLES, REFIT_COLUMNS, concat_layer_scores
from ..shared.tables.scores import facts_of
from ..shared.workflow.csv_table import CELL_COLUMNS
from ..shared.workflow.digests import cell_id
from ..shared.workflow.params import RunParams, parse, read_section

SEED = 0
STEP = 0
"""Embeddings are of one network, as it is."""

MAX_LENGTH = 1e18
"""Of an image's vector, and the inverse the least length of an array's longest: squares of distances must not pass the
ends of float32."""

USABLE = re.compile(r"(?!_)\w[\w.\- ]{0,199}")
"""A layer's name, which stands in tables, figures and paths."""


class Layers(dict[str, NDArray[np.float32]]):
    """Name -> (N, D), from input to output, and what is known of layers, such as the parameters that each takes."""

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], described: Mapping[str, Layer]) -> None:
        super().__init__(arrays)
        self.described = described


@dataclass(frozen=True)
class Scored:
    """What embeddings came out as.

    Attributes:
        results: the workflow's tables and facts.
        asked: the names of dataset, network and folds, and how scores were summed up.
        measure: how layers were scored.
        cells: of each fold, the embeddings and what was measured of them.
        notes: what a user should know, one sentence each.
    """

    results: Results
    asked: Asked
    measure: MeasureParams
    cells: list[tuple[Embeddings, Measured]]
    notes: list[str]


def read_settings(
    params: Path, metrics: Sequence[str] | None = None, normalize: str | None = None
) -> tuple[MeasureParams, AggregateParams]:
    """Read how embeddings are scored, and the scores summed up.

    Args:
        params: the params file.
        metrics: names of scores, the main one first; None: those of `measure`.
        normalize: in the place of `measure.normalize`; None: as that says.

    Raises:
        UserError: a value is unknown, missing or impossible.
    """
    measure = read_section(params, "measure", MeasureParams)
    aggregate = read_section(params, "aggregate", AggregateParams)
    for name in metrics or ():
        check_known(name, LAYER_SCORES, f"metrics must name scores of layers, found {name!r}")
    if metrics is not None:
        extra = measure.extra.model_copy(update={"metrics": []})
        measure = measure.model_copy(update={"metrics": [*metrics], "extra": extra})
        aggregate = aggregate.model_copy(update={"main_metric": metrics[0]})
    return measure.model_copy(update={"normalize": normalize or measure.normalize}), aggregate


def score_arrays(
    layers: Mapping[str, NDArray[Any]],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    measure: MeasureParams,
    aggregate: AggregateParams,
    ids: ArrayLike | None = None,
    seen: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    dataset: str = "data",
    model: str = "embeddings",
    workers: int = 1,
    measurer: Callable[[Embeddings, MeasureParams], Measured] | None = None,
) -> Scored:
    """Score every layer by how well classes separate that the network was not trained on.

    Args:
        layers: name -> (N, D) real numbers, from input to output; one called `pixels` is the baseline, the images
            themselves.
        labels: (N,) classes, texts or whole numbers.
        groups: (N,) what images have in common beside their class, for `measure.neighbours: other_groups`.
        measure, aggregate: the sections of params.yaml.
        ids: (N,) names of the images.
        seen: (N,) whether an image is of a class that the network was trained on; None: no image is.
        folds: (N,) fold of every image, each with unseen classes of its own; None: one fold.
        dataset, model: names in tables, letters, digits and `_`.
        workers: number of processes; each holds a copy of the embeddings.
        measurer: measures a fold in the place of the stage's own function, for who wants to see parts of it early.

    Raises:
        UserError: an array or a parameter is not as it must be.
    """
    samples = tabulate(labels, groups, ids, seen, folds)
    numbers = [*range(samples["fold"].max() + 1)]
    axes = {"datasets": [dataset], "models": [model], "folds": numbers, "seeds": [SEED]}
    grid = parse(axes, RunParams, where="run")
    arrays = check_layers(layers, len(samples))
    named = [BASELINE, *arrays] if BASELINE in arrays else [*arrays]
    known, described = layers.described if isinstance(layers, Layers) else {}, []
    for depth, name in enumerate(dict.fromkeys(named), start=-(BASELINE in arrays)):
        plain = Layer(name, name if depth >= 0 else "", depth, "none", arrays[name].shape[1], 0, 0)
        described.append(replace(known.get(name, plain), depth=depth))
    stores = []
    for number, cell in enumerate(grid.cells()):
        own = samples.assign(split=samples["split"].where(samples["fold"] == number, ""))[list(SAMPLE_COLUMNS)]
        source = InMemory(cell_id(cell), arrays)
        stores.append(Embeddings(*cell, (STEP,), tuple(described), own, (), source, frozen=True))
    measure, left_out = applicable(measure, stores[0].splits)
    check_ranking(aggregate.main_metric, measure)
    check_probe(samples["label"], measure)
    for store in stores:
        check_params(store, measure)
    said = [f"left out, for want of a head, training images or seen classes: {', '.join(left_out)}"] if left_out else []
    same = [name for name, X in arrays.items() if not np.ptp(X, axis=0).any()]
    said += [f"layer {name!r} has the same embedding for all images, so its scores are chance" for name in same]
    asked = Asked(grid, AskedMeasures.model_validate(measure.model_dump()), aggregate)
    cells = []
    for store in stores:
        if measurer is None:
            [measured] = measure_cell([store], measure, plan_jobs(store, measure), workers=workers)
        else:
            measured = measurer(store, measure)
        said += notes(store, measure, measured.results)
        cells.append((store, measured))
    return Scored(compute(tables_of(cells, asked, measure), asked), asked, measure, cells, said)


def tables_of(cells: Sequence[tuple[Embeddings, Measured]], asked: Asked, measure: MeasureParams) -> Tables:
    """Tabulate what was measured of each fold, as tables of the measure stage are read."""
    ids = [cell_id(store.cell) for store, _ in cells]
    untrained = dict.fromkeys(CURVE_COLUMNS) | {"step": STEP}
    courses = [untrained | of | {"cell": "/".join(map(str, of.values()))} for of in ids]
    refits = [refit_records(store, each.results).assign(**of) for (store, each), of in zip(cells, ids, strict=True)]
    analyses = {
        name: frame(
            (row | of for (_, each), of in zip(cells, ids, strict=True) for row in analysis_rows(each, name)),
            CELL_COLUMNS | columns,
        )
        for name, columns in ANALYSIS_TABLES.items()
    }
    images = {store.cell: join_images(image_tables(store, each)) for store, each in cells}
    return Tables(
        asked.grid,
        frame(courses, CURVE_COLUMNS),
        concat_layer_scores([layer_records(store, each) for store, each in cells]),
        frame(refits, CELL_COLUMNS | REFIT_COLUMNS),
        analyses,
        facts_of(SCORES, measure.normalize),
        lambda cell, steps, columns: images[cell],
    )


def write_scored(out: Path, scored: Scored, command: str) -> None:
    """Write the page, the tables and the figures, and in `measures/` the tables of each fold.

    Args:
        out: the folder; made if missing.
        scored: what embeddings came out as.
        command: the user's, which the page names.
    """
    from ..aggregate.render.page.provenance import Study, describe_scoring
    from ..aggregate.render.write import write_results

    write_measures(out / "measures", scored.cells, scored.measure)
    settings = {"measure": scored.measure, "aggregate": scored.asked.params}
    known = {name: section.model_dump(mode="json") for name, section in settings.items()}
    write_results(out, Study(scored.results, describe_scoring(known, scored.asked.grid, command)))


def write_measures(out: Path, cells: Iterable[tuple[Embeddings, Measured]], measure: MeasureParams) -> None:
    """Write the tables of each fold to `<dataset>/<model>/<fold>/<seed>`."""
    for store, measured in cells:
        folder = out.joinpath(*map(str, store.cell))
        folder.mkdir(parents=True)
        write_cell(folder, store, measured, measure)


def applicable(measure: MeasureParams, splits: Collection[str]) -> tuple[MeasureParams, list[str]]:
    """Take from the section `measure` what embeddings of one network lack, and name it.

    Args:
        measure: the section.
        splits: what the embeddings hold, `unseen` and, if given, `test`.
    """
    analyses = [n for n in measure.analyses if not ANALYSES[n].training and set(ANALYSES[n].splits) <= set(splits)]
    scores, extra = measure.metrics, measure.extra.metrics
    left_out = [name for name in (*scores, *extra) if name in HEAD_SCORES]
    left_out += [name for name in measure.analyses if name not in analyses]
    values = measure.model_dump() | {"analyses": analyses}
    values |= {name: values[name] | {"steps": "ends"} for name in ("extra", "probe", "refits")}  # of one checkpoint
    values["metrics"] = [name for name in scores if name not in HEAD_SCORES]
    values["extra"]["metrics"] = [name for name in extra if name not in HEAD_SCORES]
    return parse(values, MeasureParams, where="measure"), left_out


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
