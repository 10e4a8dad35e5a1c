"""What decoding, training on, embedding and measuring take on this machine: a few images are timed, then more."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from stages.commands.config import Config
from stages.commands.plan.work import Images
from stages.embed.embedder import Embedder, PooledLayer
from stages.finetune.loop import make_optimizer
from stages.finetune.params import FinetuneParams
from stages.measure.analyses.registry import ANALYSES
from stages.measure.cell import Cell
from stages.measure.params import MeasureParams
from stages.measure.run import limit_to_one_thread, plan_jobs, score
from stages.prepare.decode import decode_many
from stages.prepare.limits import Resources
from stages.prepare.packing import list_images
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.networks.device import Compute, choose_device
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.durations import process_peak

DECODED = 64
"""Images that are decoded, at most."""

SMALLEST_BATCH, STEP_UP = 2, 4
"""Images of the first step, and times as many of the next."""

REPEATS = 3
"""Steps of a size, of which the fastest counts, since other programs may be at work."""

TOO_LONG = 5
"""Times what is allowed that the first step may take, which also compiles, before it counts itself."""

LONG = 0.3
"""Part of the whole that its largest share may take, beyond what is allowed in any case."""

Step = Callable[[NDArray[np.uint8]], object]


@dataclass(frozen=True)
class Cost:
    """What work takes.

    Attributes:
        seconds: without DVC.
        memory: bytes at its peak; of a piece, beside what was held before it. 0 where a GPU holds them.
        logged: whether earlier runs took so much.
    """

    seconds: float
    memory: float
    logged: bool = False


def time_decoding(config: Config, raw: Path, dataset: str) -> float:
    """Time decoding some images of a dataset, and return how many seconds all take."""
    params = config.datasets[dataset]
    with Resources(config.prepare.limits) as resources:
        contents = [c.content for c in list_images(raw, params, config.root_seed(dataset), resources).candidates]
        some = contents[:: max(1, len(contents) // DECODED)]
        decode = decode_many(some, **params.decode)
        return timed(lambda: list(decode)).seconds / len(some) * len(contents)


def time_embedding(
    entry: NetworkParams, layers: Sequence[PooledLayer], batch_size: int, size: int, *, classes: int, allowed: float
) -> tuple[float, Cost]:
    """Time forward passes that pool layers.

    Args:
        entry: the network; its weights are random, which costs the same.
        layers: that are pooled.
        batch_size: of the stage.
        size: height and width of the packed images.
        classes: number of outputs.
        allowed: seconds that it may take.

    Returns:
        Seconds of building the network, and what an image takes.
    """
    began = time.process_time()
    network, compute = build_network(entry, classes, seed=0, load_weights=False), choose_device()
    network.move(compute.device)
    build = time.process_time() - began
    embedder = Embedder(network, layers, logits=not entry.frozen, rotation=None, compute=compute)
    with embedder.running() as embed:
        step = lambda pixels: embed(np.arange(len(pixels)), pixels)  # noqa: E731
        return build, time_batches(step, batch_size, size, compute, allowed)


def time_training(entry: NetworkParams, params: FinetuneParams, size: int, *, classes: int, allowed: float) -> Cost:
    """Time training steps; the arguments are those of `time_embedding`, with the `finetune` section."""
    network, compute = build_network(entry, classes, seed=0, load_weights=False), choose_device()
    network.move(compute.device)
    module = network.module.requires_grad_(True).train()
    optimizer = make_optimizer(module, params)

    def step(pixels: NDArray[np.uint8]) -> None:
        images = torch.from_numpy(pixels).to(compute.device)
        inputs = network.transform.training(images, torch.zeros(len(pixels)), padding=params.augment.padding, fill=0)
        with compute.autocast():
            logits = network.logits(inputs)
        targets = torch.arange(len(pixels), device=compute.device) % classes
        torch.autograd.backward(functional.cross_entropy(logits.float(), targets))
        clip_grad_norm_(module.parameters(), params.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return time_batches(step, params.batch_size, size, compute, allowed)


def time_batches(step: Step, batch: int, size: int, compute: Compute, allowed: float) -> Cost:
    """Time a step of two images, of four times as many and so on while it may, and extend that to the stage's batch.

    Args:
        step: takes images, (B, size, size, 3).
        batch: of the stage.
        size: height and width of the images.
        compute: where it runs.
        allowed: seconds that the steps of the largest size may take together; of the second one twice as many.

    Returns:
        What an image of such a batch takes.
    """
    random = np.random.default_rng(0)

    def cost_of(count: int, repeats: int = REPEATS) -> Cost:
        pixels = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        costs = [timed(lambda: step(pixels), compute) for _ in range(repeats)]
        return Cost(min(cost.seconds for cost in costs), max(cost.memory for cost in costs))

    few = min(SMALLEST_BATCH, batch)
    first = cost_of(few, repeats=1)
    if first.seconds > TOO_LONG * allowed:
        return Cost(first.seconds / few, first.memory / few)
    whole = grown(lambda share: cost_of(round(share * batch)), few / batch, allowed, times=STEP_UP)
    return Cost(whole.seconds / batch, whole.memory / batch)


CostOf = Callable[[float], Cost]


def grown(
    cost_of: CostOf, share: float, allowed: float, *, times: int, growth: int = 1, pieces: int = 1, most: float = 0.0
) -> Cost:
    """Find what a share of some work takes, a larger one and so on while it may, and extend that to the whole.

    Args:
        cost_of: does a share of the work.
        share: the first.
        allowed: processor's seconds that the largest share may take in any case; the second one twice as many.
        times: how much larger the next share is.
        growth: the power of the share with which seconds grow.
        pieces: how many shares are timed whatever they take.
        most: seconds that it may take of work that takes long.
    """
    costs: list[tuple[float, Cost]] = []
    while True:
        began = time.process_time()
        costs.append((share, cost_of(share)))
        following = times**growth * (time.process_time() - began)
        whole = extended(*costs[-2:][0], *costs[-1], growth=growth)
        limit = max(allowed if len(costs) > 1 else 2 * allowed, min(most, LONG * whole.seconds))
        if share == 1 or (len(costs) >= pieces and following > limit):
            return whole
        share = min(1.0, times * share)


def extended(few: float, of_few: Cost, many: float, of_many: Cost, *, growth: int = 1) -> Cost:
    """Extend what two shares of some work took to the whole, since a part does not depend on how much it is.

    Args:
        few, of_few: the smaller share, and what it took; many, of_many: the larger one, which may be the same.
        growth: the power of the share with which the seconds grow; memory grows with the share itself.
    """

    def of_whole(power: int, low: float, high: float) -> float:
        slope = max(0.0, high - low) / (many**power - few**power) if many > few else high / many**power
        return high + slope * (1 - many**power)

    return Cost(of_whole(growth, of_few.seconds, of_many.seconds), of_whole(1, of_few.memory, of_many.memory))


def timed(work: Callable[[], object], compute: Compute | None = None) -> Cost:
    """Do some work; what other programs take meanwhile does not count, unless a GPU works, whose memory is not seen."""
    with suppress(OSError):  # Linux forgets the peak so far
        Path("/proc/self/clear_refs").write_bytes(b"5")
    held, on_gpu = psutil.Process().memory_info().rss, compute is not None and compute.device.type != "cpu"
    wall, processor = time.perf_counter(), time.process_time()
    work()
    if on_gpu:
        torch.accelerator.synchronize()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Cost(wall if on_gpu else min(wall, processor), max(0, process_peak() - held))


MIN_IMAGES, MIN_CLASSES = 250, 5
"""Of a split that are timed first."""

GROWTH = 2
"""Power by which seconds grow with images and classes, as their distances do."""

RANK = 60
"""Directions in which the made-up embeddings vary, with a falling spectrum."""


def time_measuring(
    params: MeasureParams, images: Images, width: int, steps: Sequence[int], allowed: float, most: float
) -> Cost:
    """Time what is computed of one layer: of some images and classes, of twice as many, and so on while it may.

    Analyses of images that are embedded at the last step only, and of all layers at once, are left out: they are the
    cheap ones.

    Args:
        params: the `measure` section.
        images: how many there are.
        width: number of features of the layer.
        steps: of the checkpoints.
        allowed: processor's seconds that it may take in any case.
        most: those that it may take of a layer that takes long.

    Returns:
        What a layer takes at all checkpoints, on one thread.
    """
    counts = {SEEN: (images.test, images.classes), UNSEEN: (images.unseen, max(2, images.unseen_classes))}
    counts = {split: (count, classes) for split, (count, classes) in counts.items() if count}

    def cost_of(share: float) -> Cost:
        costs = []
        with limit_to_one_thread(params):
            cell = Cell(make_layer(counts, share, width, steps), params)
            cost_of_job = cache(lambda job: timed(lambda: score(cell, job)))
            for job in plan_jobs(cell.store, params):
                without_extra = tuple(name for name in job.analyses if not ANALYSES[name].training)
                alike = replace(job, step=steps[-1], analyses=without_extra)  # embeddings are the same at every step
                costs.append(cost_of_job(alike))
        return Cost(sum(cost.seconds for cost in costs), max(cost.memory for cost in costs))

    share = min(1.0, MIN_IMAGES / max(count for count, _ in counts.values()))
    return grown(cost_of, share, allowed, times=2, growth=GROWTH, pieces=2, most=most)


class MadeEmbeddings(Embeddings):
    """Embeddings of one layer that lie in memory, the same at every step: its arrays are those of the splits."""

    def features(self, layer: Layer, step: int, split: str) -> NDArray[np.float32]:
        """Return the embedding of one split, (N, width)."""
        return np.asarray(self._arrays[split])


def make_layer(counts: Mapping[str, tuple[int, int]], share: float, width: int, steps: Sequence[int]) -> MadeEmbeddings:
    """Make embeddings of a share of the images: classes that overlap, with a falling spectrum."""
    parts, values, rank = [], {}, min(width, RANK)
    for split, (count, classes) in counts.items():
        classes = min(classes, max(MIN_CLASSES, ceil(share * classes)))
        labels = np.arange(max(ceil(share * count), 2 * classes)) % classes
        ids, names = [f"{split}{i}" for i in range(len(labels))], [f"{split} {label}" for label in labels]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": names, "group": ""}))
        random = np.random.default_rng([classes, width])
        latent = 0.6 * random.normal(size=(classes, rank))[labels] + random.normal(size=(len(labels), rank))
        latent /= np.sqrt(1 + np.arange(rank))
        noise = 0.1 * random.normal(size=(len(labels), width))
        values[split] = (latent @ random.normal(size=(rank, width)) + noise).astype(np.float32)
    layers, samples = (Layer("layer", "layer", 0, "mean", width, 1, 1),), pd.concat(parts, ignore_index=True)
    return MadeEmbeddings("plan", "plan", "0", 0, tuple(steps), layers, samples, (), values, _digests=cast(Any, None))
