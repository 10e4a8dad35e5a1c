"""Score embeddings that any tool made: the verdict and the tables of the workflow, by its own code."""

import re
import sys
from pathlib import Path

import click
import psutil

from stages.aggregate.charts.draw import check_limits
from stages.aggregate.params import AggregateParams
from stages.aggregate.render.page.provenance import Study, describe_scoring
from stages.aggregate.render.verdict import verdict
from stages.aggregate.render.write import write_results
from stages.aggregate.words.formatting import plural
from stages.commands.project import ProjectCommand, ProjectPath, check_new, new_output, params_option
from stages.commands.score.files import join, read_file
from stages.library.arrays import score_arrays
from stages.measure.metrics import LAYER_SCORES
from stages.measure.params import MeasureParams
from stages.measure.run import worker_count
from stages.shared.core.params import read_section
from stages.shared.runtime.errors import UserError, check_known

LABELS_FILE = ProjectPath(exists=True, dir_okay=False)


@click.command(cls=ProjectCommand)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=ProjectPath(exists=True))
@click.option("--labels", type=LABELS_FILE, help="Of features: a CSV with the columns path and label.")
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

    FILE is an .npz file: an array (N, D) per layer and `labels` (N,), of classes that the network was not trained on;
    below `seen/` the same of classes that it was. Several files are folds, each with classes of its own: three or more,
    or ten classes in all, tell about other classes, too. Or it is a .parquet that `whichlayer features` wrote, of one
    layer: then an image's class is that of --labels, or its folder. Or it is an embedding store of the workflow.

    Scores and their settings are those of the sections `measure` and `aggregate` of params.yaml.
    """
    stem = files[0].name.removesuffix(".npz").removesuffix(".parquet")
    out = out or files[0].with_name(f"{stem}-scores")
    name = re.sub(r"\W", "_", stem, flags=re.ASCII) if dataset is None else dataset
    for option, given in (("--dataset", name), ("--model", model)):
        if not re.fullmatch("[A-Za-z0-9_]+", given):
            raise UserError(f"{option} must be of letters, digits and `_`, found {given!r}")
    measure, aggregate = read_asked(params, [] if metrics is None else metrics.split(","), normalize)
    check_new(out)
    check_limits()
    layers, of_images = join([read_file(path, labels) for path in files])
    images = f"{len(of_images['labels']):,} images in {plural(len(files), 'file')}"
    print(f"score: measuring {plural(len(layers), 'layer')} of {images}", file=sys.stderr)
    held = sum(values.nbytes for values in layers.values())
    fitting = psutil.virtual_memory().available // (2 * held + 1)  # each process takes a copy, by way of another
    with new_output(out) as scratch:
        scored = score_arrays(
            layers,
            **of_images,
            measure=measure,
            aggregate=aggregate,
            dataset=name,
            model=model,
            workers=min(worker_count(None), max(1, fitting)),
            tables=scratch / "measures",
            measurer=None,
        )
        known = {"measure": scored.measure.model_dump(mode="json"), "aggregate": aggregate.model_dump(mode="json")}
        write_results(scratch, Study(scored.results, describe_scoring(known, scored.grid, "whichlayer score FILE")))
    for note in dict.fromkeys([*scored.notes, f"summary.md, report.html, tables and figures are in {out}/"]):
        print(f"score: {note}", file=sys.stderr)
    print(verdict(scored.results.facts, embeds=False))


def read_asked(path: Path, metrics: list[str], normalize: str | None) -> tuple[MeasureParams, AggregateParams]:
    """Read how arrays are scored, and the scores summed up.

    Args:
        path: the params file.
        metrics: the scores asked for, the main one first; none: those of `measure`.
        normalize: in the place of `measure.normalize`; None: as that says.

    Raises:
        UserError: a value is unknown, missing or impossible.
    """
    measure = read_section(path, "measure", MeasureParams)
    aggregate = read_section(path, "aggregate", AggregateParams)
    for name in metrics:
        check_known(name, LAYER_SCORES, f"--metrics must name scores of layers, found {name!r}")
    if metrics:
        extra = measure.extra.model_copy(update={"metrics": []})
        measure = measure.model_copy(update={"metrics": metrics, "extra": extra})
        aggregate = aggregate.model_copy(update={"main_metric": metrics[0]})
    return measure.model_copy(update={"normalize": normalize or measure.normalize}), aggregate
