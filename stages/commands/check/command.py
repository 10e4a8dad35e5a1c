"""Check params.yaml, the raw data and the networks of the grid before `dvc repro`."""

import json
from pathlib import Path

import click

from stages.commands.check.datasets import check_classes, check_raw
from stages.commands.check.sections import check_sections
from stages.commands.config import Config, read_config
from stages.commands.project import RAW, ProjectCommand, json_option, params_option
from stages.shared.networks.params import check_file
from stages.shared.runtime.errors import prefix_errors


@click.command(cls=ProjectCommand)
@json_option
@params_option
def check(params: Path, as_json: bool) -> None:
    """Check params.yaml, the raw data and the networks of the grid before `dvc repro`.

    DVC itself reports a missing raw folder as a bare `[Errno 2]` and a missing entry of params.yaml by its key alone;
    this says what must hold and what to do. What one section asks of another, the folds of a dataset, the classes of
    your own images, the length of the training, files of weights, networks and their layers are checked here as well,
    since their own stage would find out only after others have run.

    It takes some seconds: your own images are listed (opened are those alone whose names do not end as an image's), and
    networks are built, without weights.
    """
    config = read_config(params)
    notes = check_config(config, RAW)
    run, count = config.run, len(list(config.run.cells()))
    if as_json:
        print(json.dumps({"cells": count, **run.model_dump(), "notes": notes}, indent=2, ensure_ascii=False))
        return
    print(
        f"check: {params} is valid; {count} cell{'s' if count > 1 else ''}: datasets {', '.join(run.datasets)}; models "
        f"{', '.join(run.models)}; folds {', '.join(run.folds)}; seeds {', '.join(map(str, run.seeds))}"
    )
    for note in notes:
        print(f"check: {note}")


def check_config(config: Config, raw: Path) -> list[str]:
    """Check the grid with its raw data and networks.

    Returns:
        What a user should know of the datasets, a sentence each.

    Raises:
        UserError: at the first that does not hold.
    """
    check_sections(config)
    check_raw(raw, config.run)
    notes = check_classes(config, raw)
    check_networks(config)
    return notes


def check_networks(config: Config) -> None:
    """Check that files of weights that the grid's models name are there, and that networks and layers are.

    Raises:
        UserError: naming the model and the file, what its network does not take, or the layer and the nearest.
    """
    for name in config.run.models:
        if config.models[name].network.weights.source == "file":
            with prefix_errors(f"models.{name}.network"):
                check_file(config.models[name].network.weights)
    from stages.embed.taps.find import find_taps  # torch takes seconds to import
    from stages.shared.networks.network import build_skeleton

    for name in config.run.models:
        network, taps = config.models[name].network, config.models[name].taps
        with prefix_errors(f"models.{name}"):
            find_taps(build_skeleton(network, 2), network, taps)
