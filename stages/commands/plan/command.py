"""Plan the work of the current grid: what would run, and the disk, time and memory that it takes on this machine."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import click

from ..project import RAW, ROOT, ProjectCommand, json_option, params_option, size


@click.command(cls=ProjectCommand)
@params_option
@click.option("--time/--no-time", "timed", default=True, help="Estimate time and memory; times a piece of new work.")
@json_option
def plan(params: Path, timed: bool, as_json: bool) -> None:
    """Print the stages that would run, and the disk, time and memory that they need on this machine.

    Time and memory are estimated from earlier runs here. Without them, one training batch, one embedding batch, and one
    layer are timed, unless counts show that all takes less than a minute. Networks get random
    weights, so a plan needs no downloads.
    """
    from ...prepare.raw_files import check_regular
    from ..config import read_config  # after the arguments: libraries take seconds
    from ..dvc_project.workspace import cache_folder
    from ..grid import all_stages, count_stages, open_stages
    from .cost import Predictor, estimates

    config = read_config(params)
    for dataset in config.run.datasets:
        check_regular(RAW / dataset, for_dvc=True)  # DVC, asked below, waits for a pipe
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    counts, predictor = count_stages(stages), Predictor(config, RAW)
    needed = predictor.disk()
    if not as_json:
        named = ", ".join(f"{count} {stage}" for stage, count in counts.items())
        print(f"stages that would run, or come from the cache: {named}\n{disk(needed, cache_folder())}", flush=True)
    costs = predictor.costs(stages) if timed else {}
    if as_json:
        print(json.dumps({"stages": counts, "disk": needed, "costs": costs}, indent=2, default=asdict))
    elif any(costs.values()):
        print(*estimates(costs, on_gpu=predictor.on_gpu, timed=predictor.is_timed), sep="\n")


def disk(needed: float, cache: Path) -> str:
    """Compare the bytes that are needed with what is free here and where DVC keeps a copy of them."""
    cache = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free = min(shutil.disk_usage(each).free for each in (Path(), cache))
    line = f"disk: {size(needed)} for prepared images, checkpoints and stores, and as much for DVC's cache (unless "
    line += f"`cache.type` links); {size(free)} free"
    saving = "`finetune.keep: last` keeps one checkpoint per cell, `embed.dtype: float16` halves the stores"
    return line if 2 * needed <= free else f"{line}\nwarning: that may not fit; {saving}"
