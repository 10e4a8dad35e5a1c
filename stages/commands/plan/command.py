"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from stages.commands.project import RAW, ROOT, ProjectCommand, json_option, params_option


@click.command(cls=ProjectCommand)
@params_option
@click.option("--time/--no-time", "timed", default=True, help="Estimate time and memory, by timing what no run tells.")
@click.option(
    "--lead", type=click.FloatRange(0, min_open=True), help="What would show such a lead over the last layer."
)
@json_option
def plan(params: Path, timed: bool, as_json: bool, lead: float | None) -> None:
    """Print what would run in the current grid, and what it would take on this machine.

    How many images pass through which network, disk, time and memory. Time and memory are estimates: what earlier runs
    of the same work took here, else from one batch of training and of embedding, and one layer that is measured.
    Networks get random weights, so that a plan needs no downloads.

    --lead prints how many folds, seeds or unseen classes would show such a lead over the last layer, by this project's
    finished study.
    """
    import psutil  # after the arguments: libraries take seconds

    from stages.commands.config import read_config
    from stages.commands.dvc_project.workspace import cache_folder, stage_path
    from stages.commands.grid import all_stages, count_stages, open_stages
    from stages.commands.plan.cost import Predictor, plan_lines
    from stages.commands.plan.report import disk, lead_lines, memory_lines, needed_disk, table, time_lines
    from stages.prepare.raw_files import check_regular

    shown = [] if lead is None else lead_lines(stage_path("aggregate", "--out"), lead)
    config = read_config(params)
    for dataset in config.run.datasets:
        check_regular(RAW / dataset, for_dvc=True)  # DVC, asked below, waits for a pipe
    of_project = params in (Path("params.yaml"), ROOT / "params.yaml")  # the one that DVC reads
    stages = open_stages(config.run) if of_project else all_stages(config.run)
    lines, counts = plan_lines(config, RAW), count_stages(stages)
    needed = needed_disk(config, lines)
    if not as_json:
        named = ", ".join(f"{count} {stage}" for stage, count in counts.items())
        print(f"stages that would run, or come from the cache: {named}\n\n{table(lines)}")
        print(f"For each of the folds of a line and one seed of {len(config.run.seeds)}.\n")
        print(disk(needed, cache_folder()), flush=True)
    predictor = Predictor(config)
    costs = predictor.costs(lines, stages) if timed else {}
    if as_json:
        planned: dict[str, Any] = {"stages": counts, "lines": [asdict(line) for line in lines], "disk": needed}
        planned |= {"pilot": shown} if shown else {}
        planned["costs"] = {stage: [asdict(each) for each in runs] for stage, runs in costs.items()}
        print(json.dumps(planned, indent=2, ensure_ascii=False))
        return
    if any(costs.values()):
        print(*time_lines(costs, on_gpu=predictor.on_gpu), sep="\n")
        print(*memory_lines(costs, psutil.virtual_memory().total, on_gpu=predictor.on_gpu), sep="\n")
    print(*shown, sep="\n", end="\n" if shown else "")
