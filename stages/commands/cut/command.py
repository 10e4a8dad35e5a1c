"""Cut a network at one layer: a smaller network as files that load without this project."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ...shared.runtime.errors import UserError
from ..grid import cell_name
from ..project import ProjectCommand, ProjectPath, check_new, params_option, use_option

F = TypeVar("F", bound=Callable[..., Any])

LAYER_OPTIONS = (
    click.option(
        "--layer",
        "layers",
        multiple=True,
        help="recommended (the default), last, representation, or a name. Several are joined.",
    ),
    click.option("--step", type=click.IntRange(min=0), help="By default the checkpoint recommended for the layer."),
    use_option,
    click.option(
        "--scale",
        type=click.Choice(["none", "l2", "standard"]),
        help="L2-normalized rows (l2), or standardized columns; by default as for the use's score.",
    ),
    click.option("--dimensions", type=click.IntRange(1), help="Of --layer representation; by default all."),
)


def layer_options(command: F) -> F:
    """Add the options that say which layers are meant, as `Wanted` has them."""
    for option in reversed(LAYER_OPTIONS):
        command = option(command)
    return command


representation_option = click.option(
    "--representation",
    type=ProjectPath(exists=True, dir_okay=False),
    help="A file that `quick --out` or `Representation.save` wrote. It replaces a cell and its layers.",
)


def check_only_representation(origin: object, wanted: Mapping[str, Any]) -> None:
    """Raise a `UserError` if a cell or its layers are named beside a representation."""
    named = {"from": origin, "layer": wanted["layers"] or None}
    named |= {name: wanted[name] for name in ("step", "use", "scale", "dimensions")}
    if found := next((name for name, value in named.items() if value is not None), None):
        raise UserError(f"--{found}: --representation names network, layers and scale itself; leave one out")


@click.command(cls=ProjectCommand)
@click.option("--from", "origin", help="A finished cell, dataset/model/fold/seed; by default the best network's.")
@layer_options
@representation_option
@click.option("--out", required=True, type=ProjectPath(), help="The folder to create.")
@click.option("--onnx/--no-onnx", default=True, help="Whether to write model.onnx, which needs the extra `export`.")
@click.option(
    "--tolerance", type=click.FloatRange(0, min_open=True), help="Largest distance from the stored embeddings."
)
@click.option("--licence", help="The pre-trained weights' licence, for the card, if we do not know it.")
@params_option
def cut(
    origin: str | None,
    representation: Path | None,
    out: Path,
    onnx: bool,
    tolerance: float | None,
    licence: str | None,
    params: Path,
    **wanted: Any,
) -> None:
    """Cut a finished cell's network at one layer.

    Writes the network up to the layer, with resizing, normalization, pooling and scaling, as files that need only torch
    or onnxruntime, and a model card. First it compares their output with the stored embeddings. Several layers are
    L2-normalized each, and joined. By default the cell is the best network's for the use. With --layer
    representation it is the one with a frozen network's joined layers, fitted to all classes in the study.

    With --representation the files turn images into its vectors, means and matrices inside.
    """
    check_new(out, draws=False)
    if representation:
        check_only_representation(origin, wanted)
        from .representation import cut_representation

        card = cut_representation(out, representation, onnx=onnx, tolerance=tolerance, licence=licence)
        size, layer, distances = card["size"], card["layer"], card["agreement"]["distance"].items()
        print(
            f"cut {card['cell']['network']} at {layer['name']}, {layer['scale']}, {layer['width']} dimensions: "
            f"{size['multiply_adds'] / 1e6:.1f} of {size['network_multiply_adds'] / 1e6:.1f} million multiply-adds; "
            f"{', '.join(f'{file} at most {distance:.1e}' for file, distance in distances)} from the library; in {out}"
        )
        return
    from .folder import write_cut
    from .source import CellPaths, Wanted, named_cell, open_source  # torch takes seconds to import

    asked = Wanted(**wanted)
    cell = named_cell(origin, asked)
    source = open_source(params, cell, CellPaths.of(cell), asked)
    card = write_cut(out, source, onnx=onnx, tolerance=tolerance, licence=licence)
    size, at, agreement = card["size"], card["layer"], card["agreement"]
    made = f", {at['scale']}, {at['width']} dimensions" if "representation" in card else ""
    whole = "; nothing to cut: that is the last layer" if at["depth"] + 1 == at["layers"] and not made else ""
    print(
        f"cut {cell_name(cell)} at layer {at['place']} (`{at['name']}`){made}: "
        f"{size['parameters']:,} of {size['network_parameters']:,} parameters, "
        f"{size['multiply_adds'] / 1e6:.1f} of {size['network_multiply_adds'] / 1e6:.1f} million multiply-adds; "
        f"at most {max(agreement['distance'].values()):.1e} from {agreement['source']}; in {out}{whole}"
    )
