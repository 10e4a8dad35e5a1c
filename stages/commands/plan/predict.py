"""How long the open stages will take on this machine, and what they need of it."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.commands.config import Config
from stages.commands.plan.calibrate import in_new_process, time_embedding, time_training
from stages.commands.plan.calibrate_measure import time_measuring
from stages.commands.plan.cost import Cost
from stages.commands.plan.images import Images
from stages.prepare.decode_many import decode_many
from stages.prepare.limits import Resources
from stages.prepare.packing import list_images

DVC_SECONDS = 1.0
"""What DVC itself takes around each stage: hashing, caching, locks."""

AGGREGATE_SECONDS = (8.0, 1.0)
"""Of the aggregate stage where it has not run yet: in all, and for each cell."""

DECODED = 64
"""Images that are decoded to time prepare, at most."""


@dataclass(frozen=True)
class CellTime:
    """Seconds of the stages of one cell, DVC included.

    Attributes:
        finetune, embed, measure: seconds.
        memory: bytes at the peak of each stage, by its name.
    """

    finetune: float
    embed: float
    measure: float
    memory: Mapping[str, float]

    def of(self, stage: str) -> float:
        """Seconds of one stage by its name."""
        return float(getattr(self, stage))


def predict_cell(config: Config, dataset: str, model: str, images: Images, cost: Cost, workers: int) -> CellTime:
    """Time a piece of every stage of one cell, and multiply.

    Args:
        config: the parameters.
        dataset, model: of the cell.
        images: of its fold.
        cost: its passes.
        workers: processes that measure.
    """
    entry, taps = config.models[model].network, config.models[model].taps
    size, classes = config.datasets[dataset].image_size, max(1, images.classes)
    embed = in_new_process(time_embedding, entry, taps, config.embed, size, classes)
    train = embed if entry.frozen else in_new_process(time_training, entry, config.finetune, size, classes)
    layer, pixels = in_new_process(time_measuring, config.measure, images, cost.middle_width, config.checkpoints(model))
    tested = 0 if entry.frozen else len(config.finetune.steps) * images.test
    return CellTime(
        finetune=train.start + cost.trained * train.seconds + tested * embed.seconds + DVC_SECONDS,
        embed=embed.start + (cost.passed - tested) * embed.seconds + DVC_SECONDS,
        measure=2 * layer.start + (cost.layers * layer.seconds + pixels) / min(workers, cost.layers) + DVC_SECONDS,
        memory={"finetune": train.memory, "embed": embed.memory + cost.embed_memory, "measure": layer.memory * workers},
    )


def predict_prepare(config: Config, raw: Path, dataset: str, log: Path) -> float:
    """Say how long prepare takes: as the last time, else as long as some of its images take to decode.

    Args:
        config: the parameters.
        raw: holds the dataset.
        dataset: its id.
        log: of durations.
    """
    known = last_seconds(log, "prepare", dataset)
    if known is not None:
        return known + DVC_SECONDS
    params = config.datasets[dataset]
    with Resources(config.prepare.limits) as resources:
        contents = [c.content for c in list_images(raw, params, config.root_seed(dataset), resources).candidates]
        some = contents[:: max(1, len(contents) // DECODED)]
        began = time.perf_counter()
        list(decode_many(some, size=params.image_size, fit=params.fit, fill=params.fill))
        each = (time.perf_counter() - began) / len(some)
    return each * len(contents) + DVC_SECONDS


def predict_aggregate(cells: int, log: Path) -> float:
    """Say how long aggregate takes: as the last time, else by the number of cells."""
    known = last_seconds(log, "aggregate")
    return DVC_SECONDS + (known if known is not None else AGGREGATE_SECONDS[0] + cells * AGGREGATE_SECONDS[1])


def side_by_side(seconds: list[float], workers: int) -> float:
    """Say when the last of some cells ends that workers take one after another, longest first."""
    ends = [0.0] * workers
    for cell in sorted(seconds, reverse=True):
        first = min(range(workers), key=ends.__getitem__)
        ends[first] += cell
    return max(ends)


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def last_seconds(log: Path, stage: str, cell: str = "") -> float | None:
    """Look up how long a stage took the last time; None if it has not run.

    Args:
        log: of durations.
        stage: its name.
        cell: of a stage that has a matrix, its cell.
    """
    if not log.is_file():
        return None
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    seconds = [row["seconds"] for row in rows if (row["stage"], row["cell"]) == (stage, cell)]
    return float(seconds[-1]) if seconds else None
