"""Score embeddings that any tool made: the verdict and the tables of the workflow, by its own code."""

import re
import sys
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import pandas as pd

from stages.aggregate.charts.draw import check_limits
from stages.aggregate.compute import compute_results
from stages.aggregate.params import AggregateParams, Asked, AskedMeasures
from stages.aggregate.render.page.provenance import Study, describe_scoring
from stages.aggregate.render.verdict import verdict
from stages.aggregate.render.write import write_results
from stages.aggregate.words.formatting import plural
from stages.commands.check import check_ranking
from stages.commands.project import ProjectCommand, ProjectPath, check_new, new_output, params_option
from stages.commands.score.embedding_file import EmbeddingFile, check_folds, open_file, read_embedding_file, write_store
from stages.measure.analyses.registry import ANALYSES
from stages.measure.checks import check_params
from stages.measure.metrics import HEAD_SCORES, LAYER_SCORES
from stages.measure.outputs import notes, write_cell
from stages.measure.params import MeasureParams
from stages.measure.run import measure, plan_jobs, worker_count
from stages.shared.core.digests import cell_id
from stages.shared.core.params import Cell, CheckpointSteps, RunParams, parse, read_section
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.networks import training_table
from stages.shared.runtime.errors import UserError, check_known
from stages.shared.runtime.scratch import remove

LABELS_FILE = ProjectPath(exists=True, dir_okay=False)
SEED = 0
CHECKPOINT = CheckpointSteps(steps=[0], keep="all")
"""A file holds one network as it is."""

EMBEDDINGS, MEASURES, TRAINING = "embeddings", "measures", "training"
"""Folders that hold a part of every cell, as `<dataset>/<model>/<fold>/<seed>`."""


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

    FILE is an .npz file or the folder of a Zarr group of format 3: an array (N, D) per layer and `labels` (N,), of
    classes that the network was not trained on; below `seen/` the same of classes that it was. Several files are folds,
    each with classes of its own: three or more, or ten classes in all, tell about other classes, too. Or it is what
    `whichlayer features` wrote, of one layer: then an image's class is that of --labels, or its folder.

    Scores and their settings are those of the sections `measure` and `aggregate` of params.yaml.
    """
    stem = files[0].name.removesuffix(".npz").removesuffix(".zarr").removesuffix(".parquet")
    out = out or files[0].with_name(f"{stem}-scores")
    name = re.sub(r"\W", "_", stem, flags=re.ASCII) if dataset is None else dataset
    grid = grid_of(name, model, len(files))
    check_new(out)
    check_limits()
    with ExitStack() as resources:
        embedded = [read_embedding_file(open_file(path, labels, resources)) for path in files]
        check_folds(embedded)
        scores = [] if metrics is None else metrics.split(",")
        measure, asked, left_out = read_asked(params, grid, embedded[0].labels, scores, normalize)
        images = sum(len(labels) for file in embedded for labels in file.labels.values())
        work = f"{plural(len(embedded[0].layers), 'layer')} of {images:,} images in {plural(len(files), 'file')}"
        print(f"score: measuring {work}", file=sys.stderr)
        with new_output(out) as scratch:
            notes = measure_files(embedded, list(grid.cells()), measure, scratch)
            results = compute_results(scratch / MEASURES, scratch / TRAINING, asked)
            known = {"measure": measure.model_dump(mode="json"), "aggregate": asked.params.model_dump(mode="json")}
            write_results(scratch, Study(results, describe_scoring(known, grid, "whichlayer score FILE")))
            for folder in (EMBEDDINGS, TRAINING):
                remove(scratch / folder)
    if left_out:
        notes.insert(0, f"left out, for want of a head, training images or seen classes: {', '.join(left_out)}")
    notes += [note for file in embedded for note in file.file.notes]
    notes.append(f"summary.md, report.html, tables and figures are in {out}/")
    for note in dict.fromkeys(notes):
        print(f"score: {note}", file=sys.stderr)
    print(verdict(results.facts, embeds=False))


def grid_of(dataset: str, model: str, folds: int) -> RunParams:
    """Name the cells that files are: a fold each.

    Raises:
        UserError: a name is none that DVC takes.
    """
    for option, name in (("--dataset", dataset), ("--model", model)):
        if not re.fullmatch("[A-Za-z0-9_]+", name):
            raise UserError(f"{option} must be of letters, digits and `_`, found {name!r}")
    axes = {"datasets": [dataset], "models": [model], "folds": list(range(folds)), "seeds": [SEED]}
    return RunParams.model_validate(axes)


def read_asked(
    path: Path, grid: RunParams, splits: Collection[str], metrics: Sequence[str], normalize: str | None
) -> tuple[MeasureParams, Asked, list[str]]:
    """Read how files are scored and the scores summed up.

    Args:
        path: the params file.
        grid: the files' names.
        splits: what the files hold, `unseen` and, if given, `test`.
        metrics: the scores asked for, the main one first; none: those of `measure`.
        normalize: in the place of `measure.normalize`; None: as that says.

    Returns:
        The section `measure`, what aggregate is asked for, and what is left out, one phrase each.

    Raises:
        UserError: a value is unknown, missing or impossible, or the main score is not computed.
    """
    measure = read_section(path, "measure", MeasureParams)
    aggregate = read_section(path, "aggregate", AggregateParams)
    scores, extra = measure.metrics, measure.extra.metrics
    if metrics:
        for name in metrics:
            check_known(name, LAYER_SCORES, f"--metrics must name scores of layers, found {name!r}")
        scores, extra = [*metrics], []
        aggregate = aggregate.model_copy(update={"main_metric": metrics[0]})
    analyses = [n for n in measure.analyses if not ANALYSES[n].extra and set(ANALYSES[n].splits) <= set(splits)]
    left_out = [name for name in (*scores, *extra) if name in HEAD_SCORES]
    left_out += [name for name in measure.analyses if name not in analyses]
    values = measure.model_dump() | {"analyses": analyses, "normalize": normalize or measure.normalize}
    values |= {name: values[name] | {"steps": "ends"} for name in ("extra", "probe", "refits")}  # of one checkpoint
    values["metrics"] = [name for name in scores if name not in HEAD_SCORES]
    values["extra"]["metrics"] = [name for name in extra if name not in HEAD_SCORES]
    measure = parse(values, MeasureParams, where="measure")
    check_ranking(aggregate.main_metric, measure, "--metrics" if metrics else "aggregate.main_metric")
    return measure, Asked(grid, CHECKPOINT, AskedMeasures.model_validate(values), aggregate), left_out


def measure_files(files: Sequence[EmbeddingFile], cells: Sequence[Cell], params: MeasureParams, out: Path) -> list[str]:
    """Score files as the measure stage scores cells; the training curves are empty.

    Args:
        files: a fold each.
        cells: their names.
        params: the `measure` section.
        out: holds `EMBEDDINGS`, `MEASURES` and `TRAINING` then.

    Returns:
        What a user should know, one sentence each.

    Raises:
        UserError: a value is not finite, or a class has too few images for the probe, for example.
    """
    stores = []
    for cell, file in zip(cells, files, strict=True):
        write_store(_place(out / EMBEDDINGS, cell), file, cell_id(cell))
        rows = [cell_id(cell) | {"step": step} for step in CHECKPOINT.steps]
        curve = pd.DataFrame(rows, columns=list(training_table.COLUMNS))
        training_table.write_training(_place(out / TRAINING, cell) / "training.csv", curve, cell)
        stores.append(open_embeddings(_place(out / EMBEDDINGS, cell)))
        check_params(stores[-1], params)
    said = []
    for cell, store in zip(cells, stores, strict=True):
        measures, jobs = _place(out / MEASURES, cell), plan_jobs(store, params)
        measures.mkdir(parents=True)
        [measured] = measure(_place(out / EMBEDDINGS, cell), [store], params, jobs, workers=worker_count(None))
        write_cell(measures, store, measured, params)
        said += notes(store, params, measured.results)
    return said


def _place(folder: Path, cell: Cell) -> Path:
    return folder.joinpath(*map(str, cell))
