"""A first answer for a folder of images: one frozen network, embedded once; plain scores first, then the choice."""

import re
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from stages.aggregate.params import AggregateParams
from stages.aggregate.words.formatting import plural
from stages.commands.project import PARAMS, RAW, ProjectCommand, ProjectPath, check_new, new_output, use_option
from stages.measure.params import MeasureParams
from stages.shared.core.params import load, read_section
from stages.shared.runtime.errors import UserError

FIRST = ("map_at_r", "nn1_accuracy", "nmi")
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
    where = "FOLDER" if folder is None else folder
    print(f"Next: whichlayer new {where}    (a study: more networks, fine-tuning, `dvc repro`)", file=sys.stderr)


def answer(
    layers: dict[str, NDArray[np.float32]],
    labels: list[str],
    model: str,
    dataset: str,
    use: str | None,
    out: Path | None,
) -> None:
    """Print plain scores, then the choice; write it to a folder."""
    from stages.aggregate.render.verdict import verdict
    from stages.library import Result
    from stages.library.arrays import score_arrays, write_scored
    from stages.measure.run import worker_count

    measure = read_section(PARAMS, "measure", MeasureParams)
    aggregate = read_section(PARAMS, "aggregate", AggregateParams).model_copy(update={"main_metric": FIRST[0]})
    none = {"extra": measure.extra.model_copy(update={"metrics": []}), "analyses": []}
    plain = none | {"metrics": [*FIRST], "refits": measure.refits.model_copy(update={"metrics": []})}
    whole = none | {"metrics": [*FIRST, "probe_accuracy"]}
    about = {"aggregate": aggregate, "model": model, "dataset": dataset, "workers": worker_count(None)}
    run = partial(score_arrays, layers, labels, **about)  # type: ignore[arg-type]
    first = Result(run(measure=measure.model_copy(update=plain)))
    print(first.table[[*FIRST]].to_string(float_format="{:.3f}".format))
    print("Plain scores of each layer; the choice follows.\n", flush=True)
    scored = run(measure=measure.model_copy(update=whole))
    print(verdict(scored.results.facts, use=use, embeds=False), flush=True)
    if out:
        with new_output(out) as scratch:
            write_scored(scratch, scored, "whichlayer quick")
            np.savez(scratch / "embeddings.npz", allow_pickle=False, labels=np.array(labels), **layers)


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
