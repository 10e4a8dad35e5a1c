"""Check params.yaml and the raw data of the grid before `dvc repro`, importing no network library."""

from pathlib import Path

import click

from stages.commands.check.datasets import check_classes, check_raw
from stages.commands.check.sections import check_sections
from stages.commands.config import Config, read_config
from stages.commands.project import RAW, ProjectCommand, params_option
from stages.shared.networks.params import check_file
from stages.shared.runtime.errors import prefix_errors


@click.command(cls=ProjectCommand)
@params_option
def check(params: Path) -> None:
    """Check params.yaml and the raw data of the grid before `dvc repro`.

    DVC itself reports a missing raw folder as a bare `[Errno 2]` and a missing entry of params.yaml by its key alone;
    this says what must hold and what to do. What one section asks of another, the folds of a dataset, the classes of
    your own images, files of weights and layers that are named are checked here as well, since their own stage would
    find out only after others have run.

    It takes a second, and longer for what only work can tell: your own images are listed (none is read), and networks
    whose layers are named are built, without weights.
    """
    config = read_config(params)
    check_sections(config)
    check_raw(RAW, config.run)
    notes = check_classes(config, RAW)
    check_networks(config)
    run, count = config.run, len(list(config.run.cells()))
    print(
        f"check: {params} is valid; {count} cell{'s' if count > 1 else ''}: datasets {', '.join(run.datasets)}; models "
        f"{', '.join(run.models)}; folds {', '.join(run.folds)}; seeds {', '.join(map(str, run.seeds))}"
    )
    for note in notes:
        print(f"check: {note}")


def check_networks(config: Config) -> None:
    """Check that files of weights that the grid's models name are there, and that layers are those of the networks.

    Raises:
        UserError: naming the model and the file, or the layer and the nearest.
    """
    for name in config.run.models:
        network, taps = config.models[name].network, config.models[name].taps
        if network.weights.source == "file":
            with prefix_errors(f"models.{name}.network"):
                check_file(network.weights)
        if taps.layers != "default":
            from stages.embed.taps.find import find_taps  # torch takes seconds to import, and few grids name layers
            from stages.shared.networks.network import build_skeleton

            with prefix_errors(f"models.{name}"):
                find_taps(build_skeleton(network, 2), network, taps)
