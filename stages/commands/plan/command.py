"""Plan the work of the current grid: what would run, passes through each network, memory, disk and time."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
from tabulate import tabulate

from stages.commands.config import read_config
from stages.commands.plan.cost import Cost, cost
from stages.commands.plan.images import images_of
from stages.commands.plan.stale import stages_to_run
from stages.commands.project import ProjectCommand, params_option, raw_option

GIB = 2**30


@click.command(cls=ProjectCommand)
@params_option
@raw_option
@click.option(
    "--tflops",
    type=click.FloatRange(min=0, min_open=True),
    default=15.0,
    show_default=True,
    help="What the GPU is assumed to sustain, in 1e12 operations per second.",
)
def plan(params: Path, raw: Path, tflops: float) -> None:
    """Say what would run in the current grid, and what it would take.

    How many images pass through which network, memory, disk and time. Networks are built without weights or memory, so
    that a plan needs neither downloads nor a GPU.
    """
    config = read_config(params)
    run = config.run
    if params == Path("params.yaml"):  # the one that DVC reads
        print(f"{stages_to_run(run)}\n")
    images = {name: images_of(config, raw, name) for name in run.datasets}
    rows = [(d, m, f, cost(config, m, i)) for d in run.datasets for m in run.models for i, f in images[d].items()]
    print(table(rows))
    print(
        f"For each of the folds of a line and one seed of {len(run.seeds)}. memory: weights and optimizer, or shards; "
        "activations come on top.\n"
    )
    print(totals([c for *_, folds, c in rows for _ in folds], len(run.seeds), tflops, Path()))


def table(rows: Sequence[tuple[str, str, Sequence[str], Cost]]) -> str:
    """Lay out one line per dataset, network and folds that cost the same, for one fold and seed."""
    cells = [
        {
            "dataset": dataset,
            "model": model,
            "folds": ", ".join(folds),
            "params": f"{c.parameters / 1e6:.1f}M",
            "trained": f"{c.trained:,}",
            "forward": f"{c.passed:,}",
            "PFLOP": f"{c.flops / 1e15:.2f}",
            "weights": size(c.checkpoints),
            "store": size(c.embeddings),
            "memory": size(max(c.training_memory, c.embed_memory)),
        }
        for dataset, model, folds, c in rows
    ]
    return tabulate(cells, headers="keys", disable_numparse=True, colalign=("left", "left", "left", *["right"] * 7))


def totals(costs: Sequence[Cost], seeds: int, tflops: float, folder: Path) -> str:
    """Sum up disk against what is free, and time on one GPU."""
    disk = seeds * sum(c.checkpoints + c.embeddings for c in costs)
    free = shutil.disk_usage(folder).free
    hours = seeds * sum(c.flops for c in costs) / (tflops * 1e12) / 3600
    lines = [
        f"disk: {size(disk)} for checkpoints and stores (twice that if DVC's cache cannot link), {size(free)} free",
        f"time: about {hours:.1f} h of arithmetic on one GPU that sustains {tflops:g} TFLOP/s (--tflops); "
        "start-up, clustering and probes on the CPU come on top",
    ]
    if 2 * disk > free:
        lines.append(
            "warning: that may not fit; `finetune.keep: last` keeps one checkpoint per cell, "
            "`embed.dtype: float16` halves the stores"
        )
    return "\n".join(lines)


def size(count: float) -> str:
    """Write a number of bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"
