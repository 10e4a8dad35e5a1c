"""What must hold of the grid's models: files of weights that are there, named layers that their networks have."""

from pathlib import Path

from stages.embed.params import TapsParams
from stages.shared.console import UserError
from stages.shared.networks.params import NetworkParams
from stages.shared.params import RunParams, read_entry


def check_weights(path: Path, run: RunParams) -> None:
    """Check that files of weights that the grid's models name are there.

    Raises:
        UserError: naming the model and the file.
    """
    for name in run.models:
        file = read_entry(path, "models", name, NetworkParams, part="network").weights.path
        if file is not None and not Path(file).is_file():
            raise UserError(
                f"models.{name}.network.weights.path: must be a safetensors or torch file, found none at {file}; "
                "correct the path, or put the file there"
            )


def check_layers(path: Path, run: RunParams) -> None:
    """Check that the layers that the grid's models name are layers of their networks.

    Raises:
        UserError: naming the model, the module path and the nearest.
    """
    for name in run.models:
        taps = read_entry(path, "models", name, TapsParams, part="taps")
        if taps.layers == "default":
            continue
        from stages.embed.taps.find import find_taps  # torch takes seconds to import, and few grids name layers
        from stages.shared.networks.build import build_skeleton

        network = read_entry(path, "models", name, NetworkParams, part="network")
        try:
            find_taps(build_skeleton(network, 2), network, taps)
        except UserError as error:
            raise UserError(f"models.{name}: {error}") from None
