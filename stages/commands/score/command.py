"""Score embeddings that any tool made: the verdict and the tables of the workflow, by its own code."""

import re
import shlex
import sys
from pathlib import Path

import click

from ...shared.runtime.errors import UserError
from ...shared.runtime.package import PARAMS
from ..project import UserPath, check_new, new_output

FILE = UserPath(exists=True)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--labels",
    type=UserPath(exists=True, dir_okay=False),
    help="For features: a CSV with the columns path and label.",
)
@click.option("--out", type=UserPath(), help="Write the page, the tables and the figures to this folder.")
@click.option("--dataset", help="The data's name in tables; by default the first file's.")
@click.option("--model", default="embeddings", show_default=True, help="The network's name in tables.")
@click.option("--metrics", help="Scores, comma-separated, the main score first; by default as in --params.")
@click.option("--normalize", type=click.Choice(["none", "l2"]), help="Replaces measure.normalize.")
@click.option("--params", type=FILE, default=PARAMS, help="By default the installed params.yaml.")
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
    """Score embeddings that any tool made, and print the verdict.

    FILE is an .npz file with an array (N, D) per layer and `labels` (N,), for classes that the network was not trained
    on. Arrays below `seen/` are optional, for classes that it was trained on. FILE may also be a .parquet with one
    layer that `whichlayer features` wrote: an image's class comes from --labels, or is its folder. Or it is a
    workflow's embedding store. If you name several files, each is a fold with its own classes. Three folds, or ten
    classes in all, give intervals over classes.

    Scores and settings come from the sections `measure` and `aggregate` in params.yaml.
    """
    import psutil  # after the arguments: libraries take seconds

    from ...aggregate.words.formatting import plural
    from ...library import score as score_layers
    from ...library.settings import left_out, read_settings
    from ...shared.runtime.processors import worker_count
    from .files import join, read_file
    from .joins import choose_among_joins

    name = re.sub(r"\W", "_", files[0].stem, flags=re.ASCII) if dataset is None else dataset
    for option, given in (("--dataset", name), ("--model", model)):
        if not re.fullmatch("[A-Za-z0-9_]+", given):
            raise UserError(f"{option} may have only letters, digits and `_`, found {given!r}")
    measure, aggregate, asked = read_settings(params, metrics, normalize)
    if out is not None:
        check_new(out)
    layers, of_images = join([read_file(path, labels) for path in files])
    images = f"{len(of_images['labels']):,} images in {plural(len(files), 'file')}"
    print(f"score: measuring {plural(len(layers), 'layer')} of {images}", file=sys.stderr)
    copied = 2 * sum(values.nbytes for values in layers.values())  # for each process, by way of another
    workers = min(worker_count(None), max(1, psutil.virtual_memory().available // (copied + 1)))
    result = score_layers(layers, **of_images, **asked, dataset=name, model=model, workers=workers)
    notes = dict.fromkeys([*(left_out(measure) if metrics is None else []), *result.notes])
    for note in notes:
        print(f"score: {note}", file=sys.stderr)
    print(result.verdict(aggregate.use))
    choice = choose_among_joins(result, aggregate.use)
    if out is not None:
        from ...library.export import write_result

        with new_output(out) as scratch:
            named = [*map(str, files), *(["--labels", str(labels)] if labels else [])]
            command = shlex.join(["whichlayer", "score", *named])
            how = {"measure": measure, "aggregate": aggregate, "command": command, "workers": workers}
            told = write_result(scratch, result, **how, joined=choice)
            if choice is not None:
                choice.write(scratch, choice.fit())
        for note in (note for note in dict.fromkeys(told) if note not in notes):
            print(f"score: {note}", file=sys.stderr)
        print(f"score: summary.md, report.html, tables and figures are in {out}/", file=sys.stderr)
