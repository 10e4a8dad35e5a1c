"""What must hold of the grid's models: files of weights that are there, named layers that their networks have."""

from stages.commands.config import Config
from stages.shared.networks.params import check_file
from stages.shared.runtime.errors import UserError


def check_weights(config: Config) -> None:
    """Check that files of weights that the grid's models name are there, with the content that the entries say.

    Raises:
        UserError: naming the model and the file.
    """
    for name in config.run.models:
        weights = config.models[name].network.weights
        if weights.source == "file":
            try:
                check_file(weights)
            except UserError as error:
                raise UserError(f"models.{name}.network.{error}") from None


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
        from stages.shared.networks.network import build_skeleton

        try:
            find_taps(build_skeleton(model.network, 2), model.network, model.taps)
        except UserError as error:
            raise UserError(f"models.{name}: {error}") from None
