"""What must hold of the grid's models: files of weights that are there, named layers that their networks have."""

from pathlib import Path

from stages.commands.config import Config
from stages.shared.console import UserError


def check_weights(config: Config) -> None:
    """Check that files of weights that the grid's models name are there.

    Raises:
        UserError: naming the model and the file.
    """
    for name in config.run.models:
        file = config.models[name].network.weights.path
        if file is not None and not Path(file).is_file():
            raise UserError(
                f"models.{name}.network.weights.path: must be a safetensors or torch file, found none at {file}; "
                "correct the path, or put the file there"
            )


def check_layers(config: Config) -> None:
    """Check that the layers that the grid's models name are layers of their networks.

    Raises:
        UserError: naming the model, the module path and the nearest.
    """
    for name in config.run.models:
        model = config.models[name]
        if model.taps.layers == "default":
            continue
        from stages.embed.taps.find import find_taps  # torch takes seconds to import, and few grids name layers
        from stages.shared.networks.build import build_skeleton

        try:
            find_taps(build_skeleton(model.network, 2), model.network, model.taps)
        except UserError as error:
            raise UserError(f"models.{name}: {error}") from None
