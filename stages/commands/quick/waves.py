"""What embeddings tell, in two waves.

Plain scores come first, layer by use; then the choice, its gain, ties and intervals, which take four times as long.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from ...aggregate.params import AggregateParams
from ...aggregate.words.scores import metric_name
from ...aggregate.words.verdict import verdict
from ...core.scores.catalogue import LAYER_SCORES, PROBE
from ...library.arrays import score_arrays, write_scored
from ...measure.params import MeasureParams
from ...measure.run import Measured, Result, plan_jobs, score_jobs, worker_count
from ...shared.embeddings.embeddings import Embeddings
from ...shared.workflow.params import read_section
from ..project import PARAMS, new_output

FIRST = ("map_at_r", "nn1_accuracy", "nmi")
"""Scores of the first table, which cost little."""

AFTER_PLAIN = "Plain scores of each layer. The choice follows, with scores corrected for picking the best layer."


def answer(
    layers: dict[str, NDArray[np.float32]],
    labels: list[str],
    model: str,
    dataset: str,
    use: str | None,
    out: Path | None,
    command: str,
) -> None:
    """Print plain scores, then the choice; write it to a folder, with the command that does it again."""
    measure = measured_scores(read_section(PARAMS, "measure", MeasureParams))
    aggregate = read_section(PARAMS, "aggregate", AggregateParams).model_copy(update={"main_metric": FIRST[0]})
    scored = score_arrays(
        layers,
        labels,
        measure=measure,
        aggregate=aggregate,
        dataset=dataset,
        model=model,
        measurer=measure_in_waves,
    )
    print(verdict(scored.results.facts, use=use, embeds=False), flush=True)
    if out:
        with new_output(out) as scratch:
            write_scored(scratch, scored, command)
            np.savez(scratch / "embeddings.npz", allow_pickle=False, labels=np.array(labels), **layers)


def measured_scores(measure: MeasureParams) -> MeasureParams:
    """Return the section `measure` with the few scores of `quick`, and no analyses."""
    extra = measure.extra.model_copy(update={"metrics": []})
    return measure.model_copy(update={"metrics": [*FIRST, PROBE], "extra": extra, "analyses": []})


def measure_in_waves(store: Embeddings, params: MeasureParams) -> Measured:
    """Measure every layer, and print plain scores as soon as they are there: cheap ones, then the probe.

    Nothing is computed twice: refits, of which intervals are made, come last.
    """
    jobs, workers = plan_jobs(store, params), worker_count(None)
    in_order = {
        "plain scores": [replace(job, metrics=FIRST, refits=()) for job in jobs],
        "linear probe": [replace(job, metrics=(PROBE,), refits=tuple({PROBE} & {*job.refits})) for job in jobs],
        "gains and intervals": [
            replace(job, metrics=(), refits=tuple(name for name in job.refits if name != PROBE)) for job in jobs
        ],
    }

    def measured(number: int, workers: int) -> list[Result]:
        what, wanted = [*in_order.items()][number]
        print(f"quick: {number + 1} of {len(in_order)}, {what}", file=sys.stderr, flush=True)
        return score_jobs([store], params, wanted, workers=workers)

    plain = measured(0, workers=1)  # others would have to import the libraries first
    print(plain_table(plain), f"\n{AFTER_PLAIN}\n", sep="\n", flush=True)
    probed = measured(1, workers)
    print(plain_table(probed), "", sep="\n", flush=True)
    again = measured(2, workers)
    results = [
        replace(first, job=job, scores=first.scores | second.scores, refits=second.refits | third.refits)
        for job, first, second, third in zip(jobs, plain, probed, again, strict=True)
    ]
    return Measured(results, {}, {})


def plain_table(results: list[Result]) -> str:
    """Tabulate scores: a row per layer, a column per score, below the use that it is for."""
    names = [*results[0].scores]
    headings = ["layer", *(f"{LAYER_SCORES[name].use}\n{metric_name(name)}" for name in names)]
    rows = [[each.job.layer.name, *(f"{each.scores[name].value:.3f}" for name in names)] for each in results]
    return tabulate(rows, headings, tablefmt="plain", disable_numparse=True)


def plain_name(text: str) -> str:
    """Replace what a name in tables cannot have by `_`."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)
