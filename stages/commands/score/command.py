"""Score embeddings that any tool made: the verdict and the tables of the workflow, by its own code."""

import re
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from stages.aggregate.render.page.provenance import describe_scoring
from stages.aggregate.render.verdict import verdict
from stages.aggregate.render.write import write_results
from stages.aggregate.results import compute_results
from stages.commands.outputs import check_new, new_output
from stages.commands.project import ProjectCommand, ProjectPath, params_option
from stages.commands.score.asked import grid_of, read_asked
from stages.commands.score.cells import EMBEDDINGS, MEASURES, TRAINING, measure_files
from stages.commands.score.embedding_file import check_folds, read_embedding_file
from stages.commands.score.features_file import open_file
from stages.shared.runtime.scratch import remove


@click.command(cls=ProjectCommand)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=ProjectPath())
@click.option("--labels", type=ProjectPath(), help="Of features: a CSV with the columns path and label.")
@click.option("--out", type=ProjectPath(), help="The folder to write; by default <FILE>-scores beside the first file.")
@click.option("--dataset", help="The data's name in tables; by default the first file's.")
@click.option("--model", default="embeddings", show_default=True, help="The network's name in tables.")
@click.option("--metrics", help="Scores, comma-separated, the verdict's first; by default those of params.yaml.")
@click.option("--normalize", type=click.Choice(["none", "l2"]), help="In the place of measure.normalize.")
@params_option
def score(
    files: tuple[Path, ...],
    labels: Path | None,
    out: Path | None,
    dataset: str | None,
    model: str,
    metrics: str | None,
    normalize: str | None,
    params: Path,
) -> None:
    """Score embeddings that any tool made: print the verdict, and write the workflow's tables and figures.

    FILE is an .npz file or the folder of a Zarr group of format 3: an array (N, D) per layer and `labels` (N,), of
    classes that the network was not trained on; below `seen/` the same of classes that it was. Several files are folds,
    each with classes of its own: three or more tell about other classes, too. Or it is what `whichlayer features`
    wrote, of one layer: then an image's class is that of --labels, or its folder.

    Scores and their settings are those of the sections `measure` and `aggregate` of params.yaml.
    """
    out = out or files[0].with_name(f"{_stem(files[0])}-scores")
    grid = grid_of(dataset or re.sub(r"\W", "_", _stem(files[0]), flags=re.ASCII), model, len(files))
    check_new(out)
    with ExitStack() as resources:
        embedded = [read_embedding_file(open_file(path, labels, resources)) for path in files]
        check_folds(embedded)
        scores = metrics.split(",") if metrics else []
        measure, asked, left_out = read_asked(params, grid, embedded[0].labels, scores, normalize)
        with new_output(out) as scratch:
            notes = measure_files(embedded, list(grid.cells()), measure, scratch)
            results = compute_results(scratch / MEASURES, scratch / TRAINING, asked)
            known = {"measure": measure.model_dump(mode="json"), "aggregate": asked.params.model_dump(mode="json")}
            write_results(scratch, results, describe_scoring(known, grid, "whichlayer score FILE"))
            for folder in (EMBEDDINGS, TRAINING):
                remove(scratch / folder)
    if left_out:
        notes.insert(0, f"left out, for want of a head, training images or seen classes: {', '.join(left_out)}")
    for note in dict.fromkeys(notes):
        print(f"score: {note}", file=sys.stderr)
    print(verdict(results.facts, results=out, embeds=False))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".npz").removesuffix(".zarr").removesuffix(".parquet")
