"""What `whichlayer plan` prints: tables of counts, and estimates of disk, time and memory."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from stages.aggregate.facts import read_facts
from stages.aggregate.words.study import power_sentence
from stages.commands.config import Config
from stages.commands.grid import ON_GPU
from stages.commands.plan.cost import Cost, Line
from stages.commands.project import size
from stages.shared.runtime.durations import processors
from stages.shared.runtime.errors import UserError

Costs = Mapping[str, Sequence[Cost]]
"""What each run takes, by stage."""


def table(lines: Sequence[Line]) -> str:
    """Lay out one line per dataset, network and folds with as many images, for one fold and seed."""
    cells = [
        {
            "dataset": line.dataset,
            "model": line.model,
            "folds": ", ".join(line.folds),
            "params": f"{line.work.parameters / 1e6:.1f}M",
            "trained": f"{line.work.trained:,}",
            "forward": f"{line.work.passed:,}",
            "TFLOP": f"{line.work.flops / 1e12:.1f}",
            "weights": size(line.work.checkpoints),
            "store": size(line.work.embeddings),
        }
        for line in lines
    ]
    return tabulate(cells, headers="keys", disable_numparse=True, colalign=("left", "left", "left", *["right"] * 6))


def needed_disk(config: Config, lines: Sequence[Line]) -> int:
    """Sum up the bytes of prepared images, checkpoints and stores, before compression."""
    cells = sum(len(line.folds) * (line.work.checkpoints + line.work.embeddings) for line in lines)
    images = {d: max(line.images.packed for line in lines if line.dataset == d) for d in config.run.datasets}
    prepared = sum(3 * config.datasets[d].image_size ** 2 * count for d, count in images.items())
    return len(config.run.seeds) * cells + prepared


def disk(needed: float, cache: Path) -> str:
    """Compare the bytes that are needed with what is free here and where DVC keeps a copy of them."""
    cache = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free = min(shutil.disk_usage(each).free for each in (Path(), cache))
    line = f"disk: {size(needed)} for prepared images, checkpoints and stores, and as much for DVC's cache (unless "
    line += f"`cache.type` links); {size(free)} free"
    saving = "`finetune.keep: last` keeps one checkpoint per cell, `embed.dtype: float16` halves the stores"
    return line if 2 * needed <= free else f"{line}\nwarning: that may not fit; {saving}"


def time_lines(costs: Costs, *, on_gpu: bool) -> list[str]:
    """Return how long each stage takes, and all; `on_gpu`: whether networks run on one."""
    unit = "processor's time (finetune, embed: by the clock)" if on_gpu else "processor's time"
    taken = {stage: [cost.seconds for cost in runs] for stage, runs in costs.items() if runs}
    total, count = sum(map(sum, taken.values())), processors()
    return [
        f"estimated {unit} on an idle machine, within a factor of 2, from earlier runs here, else a timed piece:",
        *(f"  {stage:9s} {len(each):4d} x {duration(max(each))}" for stage, each in taken.items()),
        f"  in all {duration(total)}; by the clock {duration(total / count)} where all {count} processors are at work",
        "  prepare, aggregate and DVC itself are not counted, nor how threads of a stage wait on a busy machine",
    ]


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_lines(costs: Costs, room: int, *, on_gpu: bool) -> list[str]:
    """Return how many bytes each stage needs, and what would make one fit that does not into a machine's."""
    known = {stage: runs for stage, runs in costs.items() if runs and not (on_gpu and stage in ON_GPU)}
    needed = {stage: max(each.memory for each in runs) for stage, runs in known.items()}
    text = ", ".join(f"{stage} {size(memory)}" for stage, memory in needed.items())
    smaller = "lower finetune.batch_size or embed.batch_size, or measure in fewer processes (WHICHLAYER_WORKERS=1)"
    return [
        f"estimated memory of one cell, within a factor of 2: {text}; {size(room)} in this machine",
        *(f"warning: {stage} may not fit; {smaller}" for stage in needed if needed[stage] > room),
    ]


def lead_lines(results: Path, lead: float) -> list[str]:
    """Return what a finished study shows, and what a lead over the last layer takes, for each network.

    Raises:
        UserError: there is no such study, or nothing is known from it.
    """
    power = read_facts(results).power
    if not power:
        raise UserError(
            f"--lead: {results} must hold a study that tells of other classes, by a score of a proven level (three "
            "folds or more, or ten classes of a network as it is), found none; run one as a pilot"
        )
    return [power_sentence(each, lead) for each in power]
