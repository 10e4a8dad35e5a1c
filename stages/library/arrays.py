"""Score embeddings in memory as the workflow scores its own: without a file, torch or DVC."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..aggregate.columns import frame
from ..aggregate.compute import Results, compute
from ..aggregate.params import AggregateParams, Asked, AskedMeasures
from ..aggregate.read import CURVE_COLUMNS, Tables
from ..core.scores.catalogue import HEAD_SCORES, LAYER_SCORES, SCORES
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
from ..shared.runtime.errors import check_known
from ..shared.tables.metric_table import ANALYSIS_TABLES, REFIT_COLUMNS, concat_layer_scores
from ..shared.tables.scores import facts_of
from ..shared.workflow.csv_table import CELL_COLUMNS
from ..shared.workflow.digests import cell_id
from ..shared.workflow.params import RunParams, parse, read_section
from .checks import check_layers, check_probe, missing_texts, tabulate

SEED = 0
STEP = 0
"""Embeddings are of one network, as it is."""


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
    said += [
        f"a class is called {name!r}, as missing labels are once they are texts" for name in missing_texts(samples)
    ]
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
