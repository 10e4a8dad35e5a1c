"""Cut a network at one layer: a smaller network as files that load without this project."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.commands.grid import cell_name
from stages.commands.outputs import check_new
from stages.commands.project import ProjectCommand, ProjectPath, params_option, use_option

if TYPE_CHECKING:
    from stages.shared.tables.metric_table import Scaling

step_option = click.option(
    "--step",
    type=click.IntRange(min=0),
    help="By default the checkpoint that is recommended for the layer; for `--layer best` the last.",
)
scale_option = click.option(
    "--scale",
    type=click.Choice(["none", "l2", "standard"]),
    help="Rows of length 1 (l2), or standardized columns; by default what is recommended for the recommended layer.",
)


@click.command(cls=ProjectCommand)
@click.option("--dataset", required=True, help="Entry of `datasets`.")
@click.option("--model", required=True, help="Entry of `models`.")
@click.option("--fold", help="A number, or `all`; by default `all` if the grid has it, else the grid's first.")
@click.option("--seed", type=click.IntRange(min=0), help="By default the grid's first.")
@step_option
@use_option
@click.option(
    "--layer",
    "layers",
    multiple=True,
    default=["recommended"],
    show_default=True,
    help="recommended, best, last, or a layer's name. Several: joined, each of length 1.",
)
@scale_option
@click.option("--out", required=True, type=ProjectPath(), help="The folder to create.")
@click.option("--onnx/--no-onnx", default=True, help="Whether to write model.onnx, which takes the extra `export`.")
@click.option(
    "--tolerance", type=click.FloatRange(min=0, min_open=True), help="Largest distance from the stored embeddings."
)
@click.option("--licence", help="Licence of the pre-trained weights, for the card, if it is not known here.")
@params_option
def cut(
    dataset: str,
    model: str,
    fold: str | None,
    seed: int | None,
    step: int | None,
    use: str | None,
    layers: tuple[str, ...],
    scale: "Scaling | None",
    out: Path,
    onnx: bool,
    tolerance: float | None,
    licence: str | None,
    params: Path,
) -> None:
    """Cut a network of a finished cell at one layer.

    Writes the network up to the layer, with resizing, normalization, pooling and scaling, as files that load with torch
    or onnxruntime alone, and a model card. They are compared with the stored embeddings first.
    """
    from stages.commands.cut.cell import CellPaths, choose_cell, open_source  # torch takes seconds to import
    from stages.commands.cut.export import check_packages
    from stages.commands.cut.folder import write_cut
    from stages.commands.cut.verify import default_tolerance

    check_new(out)
    if onnx:
        check_packages()
    cell = choose_cell(params, dataset, model, fold, seed)
    source = open_source(params, cell, CellPaths.of(cell), step=step, layers=layers, use=use, scale=scale)
    allowed = default_tolerance(source) if tolerance is None else tolerance
    names = [pooled.layer.name for pooled in source.layers]
    again = command_line(cell, source.step, names, source.scaler.scaling, out, onnx=onnx, licence=licence)
    card = write_cut(out, source, onnx=onnx, tolerance=allowed, licence=licence, command=again)
    size, at, agreement = card["size"], card["layer"], card["agreement"]
    print(
        f"cut {cell_name(cell)} at layer {at['place']} (`{at['name']}`): "
        f"{size['parameters']:,} of {size['network_parameters']:,} parameters, "
        f"{size['multiply_adds'] / 1e6:.1f} of {size['network_multiply_adds'] / 1e6:.1f} million multiply-adds; "
        f"at most {max(agreement['distance'].values()):.1e} from {agreement['source']}; in {out}"
    )


def command_line(
    cell: tuple[str, str, str, int],
    step: int,
    layers: Sequence[str],
    scale: str,
    out: Path,
    *,
    onnx: bool,
    licence: str | None,
) -> str:
    """Return the command that cuts the same layer again, with nothing left to defaults."""
    options = dict(zip(("dataset", "model", "fold", "seed"), cell, strict=True))
    given = [*options.items(), ("step", step), *(("layer", name) for name in layers)]
    given += [("scale", scale), ("out", out.name)]
    words = [word for name, value in given for word in (f"--{name}", str(value))]
    words += [] if onnx else ["--no-onnx"]
    return shlex.join(["whichlayer", "cut", *words, *(["--licence", licence] if licence else [])])
