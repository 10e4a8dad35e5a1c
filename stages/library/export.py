"""What `--out` writes of scored arrays: all that the stages compute of a study, beside the scores that are there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..aggregate.compute import Results, compute
from ..aggregate.facts import RepresentationRecord
from ..aggregate.params import AggregateParams, Asked, AskedMeasures
from ..aggregate.read import read_tables
from ..aggregate.recommend.representations import record_of
from ..aggregate.render.page.provenance import Study, describe_scoring
from ..aggregate.render.write import write_results
from ..measure.analyses.registry import ANALYSES
from ..measure.outputs import notes, write_cell
from ..measure.params import MeasureParams
from ..measure.run import complete, plan_jobs, score_jobs
from ..shared.embeddings.embeddings import SAMPLE_COLUMNS, Embeddings, InMemory, Layer
from ..shared.embeddings.split_names import BASELINE, UNSEEN
from ..shared.workflow.digests import cell_id
from ..shared.workflow.params import RunParams, parse
from .checks import Arrays
from .compared import BEST, BEST_LAYER, HABIT
from .representing import SCORES, RepresentationChoice
from .result import Result
from .scored import SEED, Scored

STEP = 0
"""Embeddings are of one network, unchanged."""


def write_result(
    out: Path,
    result: Result,
    *,
    measure: MeasureParams,
    aggregate: AggregateParams,
    command: str,
    workers: int,
    joined: RepresentationChoice | None = None,
) -> list[str]:
    """Write the page, the tables and the figures, and in `measures/` the tables of each fold.

    Args:
        out: the folder; made if missing.
        result: of `score`, in the same process.
        measure: the section of params.yaml, for what `score` does not take: analyses, of which those that need a head
            or training images are left out, and k of seen images.
        aggregate: how scores are summed up.
        command: the user's, which the page names.
        workers: number of processes.
        joined: what was chosen for each use with joins, which the page and summary.md tell as well.

    Raises:
        UserError: the result was pickled.

    Returns:
        What a user should know, one sentence each.
    """
    results, known, grid, told = compute_results(
        out / "measures", result, measure=measure, aggregate=aggregate, workers=workers
    )
    if joined is not None and joined.uses:
        records = joined_records(joined, result._scored.dataset, result._scored.model)
        results = replace(results, facts=replace(results.facts, representations=records, no_joins=False))
    write_results(out, Study(results, describe_scoring(known, grid, command)))
    return told


def joined_records(joined: RepresentationChoice, dataset: str, model: str) -> list[RepresentationRecord]:
    """Record what was chosen of one network for each use."""
    own, records = record_of(joined.choice, dataset, model), list[RepresentationRecord]()
    for use, rows in joined.uses.items():
        best, candidate = rows[BEST], joined.choice.candidates[rows[BEST].number]
        scores = {"value": best.score, "layer_value": rows[BEST_LAYER].score, "last_value": rows[HABIT].score}
        of: dict[str, Any] = {"layers": [*candidate.arrays], "join": candidate.join, "recipe": candidate.recipe}
        of |= {"use": use, "metric": SCORES[use], "gain_over_last": best.gain}
        records.append(own.model_copy(update=of | scores))
    return records


def compute_results(
    out: Path, result: Result, *, measure: MeasureParams, aggregate: AggregateParams, workers: int
) -> tuple[Results, dict[str, Any], RunParams, list[str]]:
    """Write the tables of each fold, and compute all that stands on them.

    Returns:
        The results, the settings by section, the grid, and what a user should know, one sentence each.
    """
    scored, (arrays, samples) = result._scored, result.inputs
    axes = {"datasets": [scored.dataset], "models": [scored.model], "folds": [*range(len(scored.folds))]}
    grid = parse(axes | {"seeds": [SEED]}, RunParams, where="run")
    splits = {*samples["split"]}
    of = {name: not ANALYSES[name].training and {*ANALYSES[name].splits} <= splits for name in measure.analyses}
    kept, left_out = ([name for name, can_be in of.items() if can_be == wanted] for wanted in (True, False))
    further: dict[str, Any] = {"extra": {"metrics": [], "steps": "ends"}, "analyses": kept, "knn_k": measure.knn_k}
    further["representations"] = measure.representations
    measure = MeasureParams.model_validate(scored.measure.model_dump() | further)
    told = [f"left out, since there are no training images or seen classes: {', '.join(left_out)}"] if left_out else []
    told += write_measures(out, scored, arrays, samples, grid, measure, workers=workers)
    asked = Asked(grid, AskedMeasures.model_validate(measure.model_dump()), aggregate)
    results = compute(read_tables(out, None, grid, kept), asked)
    settings = {"measure": measure, "aggregate": aggregate}
    known = {name: section.model_dump(mode="json") for name, section in settings.items()}
    return results, known, grid, told


def write_measures(
    out: Path,
    scored: Scored,
    arrays: Arrays,
    samples: pd.DataFrame,
    grid: RunParams,
    measure: MeasureParams,
    *,
    workers: int,
) -> list[str]:
    """Write the tables of each fold to `<dataset>/<model>/<fold>/<seed>`: of unseen classes what was computed before.

    Returns:
        What a user should know, one sentence each.
    """
    stores = []
    for number, cell in enumerate(grid.cells()):
        own = samples.assign(split=samples["split"].where(samples["fold"] == number, ""))[list(SAMPLE_COLUMNS)]
        layers = tuple(_layer(each, arrays[name].shape[1]) for name, each in scored.layers.items())
        stores.append(Embeddings(*cell, (STEP,), layers, own, (), InMemory(cell_id(cell), arrays), frozen=True))
    jobs = [job for number, store in enumerate(stores) for job in plan_jobs(store, measure, number)]
    again = any(len(fold.parts.halves) == 0 for fold in scored.folds)  # which `score` spares where it shows none
    further = [
        replace(job, metrics=(), refits=job.refits if again else ()) if job.split == UNSEEN else job for job in jobs
    ]
    results = []
    for job, rest in zip(jobs, score_jobs(stores, measure, further, workers=workers), strict=True):
        known = vars(scored.found[job.of, job.layer.name]) if job.split == UNSEEN else {}
        results.append(replace(rest, job=job, **known | ({"refits": rest.refits} if known and again else {})))
    told = list[str]()
    for store, measured in zip(stores, complete(stores, measure, results), strict=True):
        folder = out.joinpath(*map(str, store.cell))
        folder.mkdir(parents=True)
        write_cell(folder, store, measured, measure)
        told += notes(store, measure, measured.results)
    return told


def _layer(described: Mapping[str, Any], width: int) -> Layer:
    name, depth, pooling = described["layer"], described["depth"], described["pooling"]
    module = "" if name == BASELINE else name
    return Layer(name, module, depth, pooling, width, described["parameters"], described["operations"])
