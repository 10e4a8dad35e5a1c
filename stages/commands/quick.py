"""A first answer for a folder of images: one frozen network, embedded once, and two waves of what that tells.

Plain scores come first, layer by use; then the choice, its gain, ties and intervals, which take ten times as long.
"""

import re
import shlex
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from stages.aggregate.params import AggregateParams
from stages.aggregate.words.formatting import plural
from stages.aggregate.words.scores import metric_name
from stages.commands.project import PARAMS, RAW, ProjectCommand, ProjectPath, check_new, new_output, use_option
from stages.measure.metrics import LAYER_SCORES, PROBE
from stages.measure.params import MeasureParams
from stages.shared.core.params import load, read_section
from stages.shared.runtime.errors import UserError

if TYPE_CHECKING:
    from stages.measure.run import Measured, Result
    from stages.shared.embeddings.embedding_store import Embeddings

CHEAPEST = "nn1_accuracy"
FIRST = ("map_at_r", CHEAPEST, "nmi")
"""Scores of the first table, which cost little."""

DEMO = "handwriting"


@click.command(cls=ProjectCommand)
@click.argument("folder", required=False, type=ProjectPath(exists=True))
@click.option("--demo", is_flag=True, help="Without images of your own: words in twenty handwritten fonts.")
@click.option("--table", help="A CSV in FOLDER that lists images (path, label), in the place of class folders.")
@click.option("--network", default="efficientnet_lite0", show_default=True, help="A model of params.yaml, or of timm.")
@click.option("--image-size", type=click.IntRange(8), help="In pixels; by default that of the model, else 224.")
@click.option("--per-class", default=100, show_default=True, type=click.IntRange(5), help="Images, at most.")
@click.option("--out", type=ProjectPath(), help="Keep the page, the tables and the embeddings in this folder.")
@use_option
def quick(
    folder: Path | None,
    *,
    demo: bool,
    table: str | None,
    network: str,
    image_size: int | None,
    per_class: int,
    out: Path | None,
    use: str | None,
) -> None:
    """Print which layer of a network separates the classes of FOLDER best, without training.

    FOLDER has a folder of images for each class, or a CSV that --table names. The images are embedded once. A table of
    plain scores comes first, then for each use the layer to take, its gain over the last layer, and how sure that is.
    """
    if (folder is None) != demo:
        raise UserError("name a folder of images, or take --demo (not both)")
    if out is not None:
        check_new(out)
    from stages.library import embed  # after the arguments: libraries take seconds

    pixels, labels = read_images(folder or RAW / DEMO, table, network, image_size, per_class)
    print(f"quick: {plural(len(labels), 'image')} of {len({*labels})} classes, {network}", file=sys.stderr)
    layers = embed(network, pixels, image_size=image_size)
    answer(layers, labels, plain_name(network), DEMO if folder is None else plain_name(folder.name), use, out)
    words = ["FOLDER" if folder is None else str(folder), *(["--table", table] if table else [])]
    further = shlex.join([*words, *(["--use", use] if use else [])])
    print(f"Next: whichlayer new {further}    (a study: more networks, fine-tuning, `dvc repro`)", file=sys.stderr)


def answer(
    layers: dict[str, NDArray[np.float32]],
    labels: list[str],
    model: str,
    dataset: str,
    use: str | None,
    out: Path | None,
) -> None:
    """Print plain scores, then the choice; write it to a folder."""
    from stages.aggregate.render.page.provenance import Study, describe_scoring
    from stages.aggregate.render.verdict import verdict
    from stages.aggregate.render.write import write_results
    from stages.library.arrays import score_arrays

    measure = measured_scores(read_section(PARAMS, "measure", MeasureParams))
    aggregate = read_section(PARAMS, "aggregate", AggregateParams).model_copy(update={"main_metric": FIRST[0]})
    about: dict[str, Any] = {"measure": measure, "aggregate": aggregate, "model": model, "dataset": dataset}
    with new_output(out) if out else TemporaryDirectory() as scratch:
        tables = Path(scratch) / "measures"
        scored = score_arrays(layers, labels, **about, tables=tables, measurer=measure_in_waves)
        print(verdict(scored.results.facts, use=use, embeds=False), flush=True)
        if out:
            np.savez(Path(scratch) / "embeddings.npz", allow_pickle=False, labels=np.array(labels), **layers)
            known = {"measure": scored.measure.model_dump(mode="json"), "aggregate": aggregate.model_dump(mode="json")}
            write_results(
                Path(scratch), Study(scored.results, describe_scoring(known, scored.grid, "whichlayer quick"))
            )


def measured_scores(measure: MeasureParams) -> MeasureParams:
    """Return the section `measure` with the few scores of `quick`, and no analyses."""
    extra = measure.extra.model_copy(update={"metrics": []})
    return measure.model_copy(update={"metrics": [*FIRST, PROBE], "extra": extra, "analyses": []})


def measure_in_waves(store: "Embeddings", params: MeasureParams) -> "Measured":
    """Measure every layer, and print plain scores as soon as they are there: cheap ones, then the probe.

    Each is computed once, but one pass over neighbours: a job that only fits scores again has the cheapest of them.
    """
    from stages.measure.run import Measured, plan_jobs, score_jobs, worker_count

    jobs, workers = plan_jobs(store, params), worker_count(None)

    def scored(names: tuple[str, ...], workers: int, *, again: bool = False) -> "list[Result]":
        parts = [replace(job, metrics=names, refits=job.refits if again else ()) for job in jobs]
        return score_jobs([store], params, parts, workers=workers)

    plain = scored(FIRST, 1)  # before other processes would have imported the libraries
    print(plain_table(plain), "\nPlain scores of each layer; the choice follows.\n", sep="\n", flush=True)
    probed = scored((PROBE,), workers)
    print(plain_table(probed), "", sep="\n", flush=True)
    again = scored((CHEAPEST,), workers, again=True)
    results = [
        replace(first, job=job, scores=first.scores | second.scores, refits=third.refits)
        for job, first, second, third in zip(jobs, plain, probed, again, strict=True)
    ]
    return Measured(results, {}, {})


def plain_table(results: "list[Result]") -> str:
    """Tabulate scores: a row per layer, a column per score, below the use that it is for."""
    names = [*results[0].scores]
    headings = ["layer", *(f"{LAYER_SCORES[name].use}\n{metric_name(name)}" for name in names)]
    rows = [[each.job.layer.name, *(f"{each.scores[name].value:.3f}" for name in names)] for each in results]
    return tabulate(rows, headings, tablefmt="plain", disable_numparse=True)


def plain_name(text: str) -> str:
    """Replace what a name in tables cannot have by `_`."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def read_images(
    folder: Path, table: str | None, network: str, size: int | None, per_class: int
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read images as the prepare stage does, at most so many of each class: (N, S, S, 3) uint8, and their classes.

    Raises:
        UserError: there are no classes, or an image cannot be decoded.
    """
    from stages.prepare.decode import decode_many
    from stages.prepare.params import parse_dataset
    from stages.prepare.pools import shuffled
    from stages.prepare.sources import list_images

    models = load(PARAMS)["models"]
    size = size or (models[network]["network"]["image_size"] if network in models else 224)
    entry: dict[str, Any] = {"source": "table", "table": table} if table else {"source": "folder"}
    if folder == RAW / DEMO:
        entry = {"source": DEMO, "train": per_class, "test": 2, "unseen": 2}
    params = parse_dataset(entry | {"image_size": size}, folder.name)
    with ExitStack() as resources:
        candidates = list_images(folder, params, 0, resources).candidates
        labels = sorted({each.label for each in candidates})
        of_class = ([each for each in candidates if each.label == label] for label in labels)
        chosen = [each for own in of_class for each in shuffled(own, 0, "quick", own[0].label)[:per_class]]
        decoded = list(decode_many([c.content for c in chosen], **params.decode))
    pixels = []
    for each, (_, image) in zip(chosen, decoded, strict=True):
        if isinstance(image, str):
            raise UserError(f"{folder}: every file must be an image, found {each.source}: {image}; take it out")
        pixels.append(image.pixels)
    return np.stack(pixels), [each.label for each in chosen]
