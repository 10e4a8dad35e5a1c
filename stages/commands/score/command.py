"""Score embeddings that any tool made: the verdict and the tables of the workflow, by its own code."""

import re
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from stages.shared.stage_run.stage_run import publish
from stages.aggregate.page.provenance import describe_scoring
from stages.aggregate.report.verdict import verdict
from stages.aggregate.results import compute_results, write_results
from stages.commands.project import ProjectCommand, ProjectPath, params_option
from stages.commands.score.arrays_file import open_arrays
from stages.commands.score.asked import asked_of, read_measure_params
from stages.commands.score.cells import SEED, Folders, check_folds, measure_cell, open_cell, write_cell
from stages.commands.score.embedding_file import EmbeddingFile, read_embedding_file
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.scratch import is_empty_folder, partial_path, remove, remove_leftovers
from stages.shared.settings.params import RunParams


@click.command(cls=ProjectCommand)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=ProjectPath())
@click.option("--out", type=ProjectPath(), help="The folder to write; by default <FILE>-scores beside the first file.")
@click.option("--dataset", help="The data's name in tables; by default the first file's.")
@click.option("--model", default="embeddings", show_default=True, help="The network's name in tables.")
@click.option("--metrics", help="Scores, comma-separated, the verdict's first; by default those of params.yaml.")
@click.option("--normalize", type=click.Choice(["none", "l2"]), help="In the place of measure.normalize.")
@params_option
def score(
    files: tuple[Path, ...],
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
    each with classes of its own: three or more tell about other classes, too.

    Scores and their settings are those of the sections `measure` and `aggregate` of params.yaml.
    """
    out = out or files[0].with_name(f"{_stem(files[0])}-scores")
    grid = _grid(dataset or re.sub(r"\W", "_", _stem(files[0]), flags=re.ASCII), model, len(files))
    if out.exists() and not is_empty_folder(out):
        raise UserError(f"{out}: must not exist; remove it (rm -r {out}), or name another folder with --out")
    with ExitStack() as resources:
        embedded = [read_embedding_file(open_arrays(path, resources)) for path in files]
        check_folds(files, embedded)
        remove_leftovers(out)
        scratch = partial_path(out)
        resources.callback(remove, scratch)
        _score(embedded, grid, scratch, params, metrics.split(",") if metrics else [], normalize)
        publish(scratch, out, replace=False)
    print(verdict(out))


def _score(
    embedded: list[EmbeddingFile], grid: RunParams, out: Path, params: Path, metrics: list[str], normalize: str | None
) -> None:
    measure, aggregate, left_out = read_measure_params(params, embedded[0].labels, metrics)
    measure = measure.model_copy(update={"normalize": normalize} if normalize else {})
    folders = Folders(out / "embeddings", out / "measures", out / "training")
    cells = list(grid.cells())
    for cell, each in zip(cells, embedded, strict=True):
        write_cell(folders, cell, each)
    stores = [open_cell(folders, cell, measure) for cell in cells]
    said = [f"left out, for want of a head, training images or seen classes: {', '.join(left_out)}"] if left_out else []
    for cell, store in zip(cells, stores, strict=True):
        said += measure_cell(folders, cell, store, measure)
    results = compute_results(folders.measures, folders.training, asked_of(grid, measure, aggregate))
    known = {"measure": measure.model_dump(mode="json"), "aggregate": aggregate.model_dump(mode="json")}
    write_results(out, results, describe_scoring(known, grid, "whichlayer score FILE"))
    for folder in (folders.embeddings, folders.training):
        remove(folder)
    for note in dict.fromkeys(said):
        print(f"score: {note}", file=sys.stderr)


def _grid(dataset: str, model: str, folds: int) -> RunParams:
    for option, name in (("--dataset", dataset), ("--model", model)):
        if not re.fullmatch("[A-Za-z0-9_]+", name):
            raise UserError(f"{option} must be of letters, digits and `_`, found {name!r}")
    axes = {"datasets": [dataset], "models": [model], "folds": list(range(folds)), "seeds": [SEED]}
    return RunParams.model_validate(axes)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".npz").removesuffix(".zarr")
