"""How fast this machine is: seconds per image and per layer, and memory, each from some seconds of the real work.

Every measurement runs in a process of its own, whose peak of memory is what a stage's would be.
"""

import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch.nn import functional

from stages.commands.project import ROOT
from stages.embed.embedder import Embedder
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.pooling import pooled_layers
from stages.embed.taps.find import find_taps
from stages.finetune.loop import make_optimizer
from stages.finetune.params import FinetuneParams
from stages.shared.networks.devices import choose_device
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams

T = TypeVar("T")

LONG_ENOUGH = 1.0
"""Seconds of one batch, from which its images are as fast as those of a larger one."""

SMALLEST_BATCH = 4
REPEATS = 3
"""Times that a step is timed; the shortest counts, since other work on this machine only slows it."""


@dataclass(frozen=True)
class Speed:
    """Of passes through one network.

    Attributes:
        seconds: per image.
        memory: bytes at the peak of a whole batch, of the process, or of the GPU if there is one.
        start: seconds until the process had imported what it needs and built the network.
    """

    seconds: float
    memory: float
    start: float


def in_new_process(work: Callable[..., T], *arguments: object, threads: int | None = None) -> T:
    """Run a function of a module in a fresh process, and return what it returns.

    Args:
        work: which also takes the time at which it was asked for.
        arguments: its others.
        threads: of the numerical libraries; None: as many as they take by themselves.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=limit_threads, initargs=(threads,)) as pool:
        return pool.submit(work, *arguments, time.time()).result()


def limit_threads(threads: int | None) -> None:
    """Limit the numerical libraries of this process to some threads, if a number is given."""
    if threads is not None:
        torch.set_num_threads(threads)
        threadpool_limits(threads)


def peak_memory(accelerator: Accelerator) -> float:
    """Bytes that this process, or the GPU for it, had to hold at once."""
    if accelerator.device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return own_memory()


def own_memory() -> float:
    """Bytes that this process had to hold at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def time_start(stage: str) -> float:
    """Time how long a stage takes to import what it needs: the shorter of two times, as the first reads the files."""

    def seconds() -> float:
        began = time.perf_counter()
        words = [sys.executable, "-m", f"stages.{stage}", "--help"]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return min(seconds(), seconds())


def time_training(entry: NetworkParams, params: FinetuneParams, size: int, classes: int, began: float) -> Speed:
    """Time training steps of growing batches, up to the real one or one that takes long enough.

    Args:
        entry: the network; its weights are random, which costs the same.
        params: the `finetune` section.
        size: height and width of the packed images.
        classes: number of outputs.
        began: when the process was asked for.
    """
    network = build_network(entry, classes, seed=0, load_weights=False)
    accelerator = choose_device()
    network.module.requires_grad_(True)
    network.move(accelerator.device)
    network.module.train()
    optimizer = accelerator.prepare(make_optimizer(network.module, params))
    start = time.time() - began

    def step(pixels: NDArray[np.uint8]) -> None:
        angles = torch.zeros(len(pixels))
        moved = torch.from_numpy(pixels).to(accelerator.device)
        inputs = network.transform.training(moved, angles, padding=params.augment.padding, fill=0)
        with accelerator.autocast():
            logits = network.logits(inputs)
        targets = torch.arange(len(pixels), device=accelerator.device) % classes
        accelerator.backward(functional.cross_entropy(logits.float(), targets))
        accelerator.clip_grad_norm_(network.module.parameters(), params.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return grow(step, params.batch_size, size, accelerator, start)


def time_embedding(
    entry: NetworkParams, taps: TapsParams, params: EmbedParams, size: int, classes: int, began: float
) -> Speed:
    """Time forward passes that pool every layer, of growing batches; the arguments are those of `time_training`."""
    network = build_network(entry, classes, seed=0, load_weights=False)
    layers = pooled_layers(find_taps(network, entry, taps), params.pooling)
    accelerator = choose_device()
    network.move(accelerator.device)
    embedder = Embedder(network, layers, logits=not entry.frozen, rotation=None, accelerator=accelerator)
    start = time.time() - began
    with embedder.running() as embed:
        return grow(lambda pixels: embed(np.arange(len(pixels)), pixels), params.batch_size, size, accelerator, start)


def grow(
    step: Callable[[NDArray[np.uint8]], object], largest: int, size: int, accelerator: Accelerator, start: float
) -> Speed:
    """Time a step of twice as many images, again and again, until it is whole or takes long enough.

    Memory of the whole batch is extended along the line through the last two.
    """
    random = np.random.default_rng(0)
    batch, peaks = min(SMALLEST_BATCH, largest), [(0, peak_memory(accelerator))]
    while True:
        pixels = random.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
        step(pixels)  # the first of a size also plans its memory
        took = min(seconds_of(step, pixels, accelerator) for _ in range(REPEATS))
        peaks.append((batch, peak_memory(accelerator)))
        if batch == largest or took >= LONG_ENOUGH:
            return Speed(took / batch, extended(peaks, largest), start)
        batch = min(2 * batch, largest)


def seconds_of(
    step: Callable[[NDArray[np.uint8]], object], pixels: NDArray[np.uint8], accelerator: Accelerator
) -> float:
    """Time one step."""
    began = time.perf_counter()
    step(pixels)
    synchronize(accelerator)
    return time.perf_counter() - began


def synchronize(accelerator: Accelerator) -> None:
    """Wait for the GPU, if there is one."""
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize()


def extended(peaks: Sequence[tuple[int, float]], batch: int) -> float:
    """Extend memory to a batch of another size, along the line through the last two.

    Args:
        peaks: images and bytes, of growing batches, at least two.
        batch: the size asked for.
    """
    (images, memory), before = peaks[-1], peaks[-2]
    slope = (memory - before[1]) / (images - before[0])
    return memory + slope * (batch - images)
