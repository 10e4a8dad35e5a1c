"""How long images take on this machine to be decoded, trained on and embedded, and how much memory."""

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch.nn import functional

from stages.commands.config import Config
from stages.embed.embedder import Embedder
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.pooling import pooled_layers
from stages.embed.taps.find import find_taps
from stages.finetune.loop import make_optimizer
from stages.finetune.params import FinetuneParams
from stages.prepare.decode import decode_many
from stages.prepare.limits import Resources
from stages.prepare.packing import list_images
from stages.shared.networks.devices import choose_device
from stages.shared.networks.network import build_network, build_skeleton
from stages.shared.networks.params import NetworkParams

DECODED = 64
"""Images that are decoded, at most."""

SMALLEST_BATCH = 2
TOO_LONG = 5
"""Times what is allowed that the first step may take, which also compiles, before it counts itself."""

MAX_STEP_UP = 8
"""Times as many images as in the batch before."""

Step = Callable[[NDArray[np.uint8]], object]


def time_decoding(config: Config, raw: Path, dataset: str) -> float:
    """Time decoding some images of a dataset, and return how many seconds all take."""
    params = config.datasets[dataset]
    with Resources(config.prepare.limits) as resources:
        contents = [c.content for c in list_images(raw, params, config.root_seed(dataset), resources).candidates]
        some = contents[:: max(1, len(contents) // DECODED)]
        began = time.perf_counter()
        list(decode_many(some, size=params.image_size, fit=params.fit, fill=params.fill))
        return (time.perf_counter() - began) / len(some) * len(contents)


@dataclass(frozen=True)
class Speed:
    """Of passes through one network.

    Attributes:
        seconds: per image.
        memory: bytes of an image in a batch, beside the weights and what the optimizer keeps.
        build: processor's seconds of building the network.
    """

    seconds: float
    memory: float
    build: float


def time_training(entry: NetworkParams, params: FinetuneParams, size: int, classes: int, allowed: float) -> Speed:
    """Time training steps of growing batches.

    Args:
        entry: the network; its weights are random, which costs the same.
        params: the `finetune` section.
        size: height and width of the packed images.
        classes: number of outputs.
        allowed: processor's seconds that it may take.
    """
    began = time.process_time()
    network = build_network(entry, classes, seed=0, load_weights=False)
    accelerator = choose_device()
    network.module.requires_grad_(True)
    network.move(accelerator.device)
    network.module.train()
    optimizer = accelerator.prepare(make_optimizer(network.module, params))
    build = time.process_time() - began
    kept = 3 * sum(p.numel() * p.element_size() for p in network.module.parameters())  # gradients and two moments

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

    return Speed(*time_batches(step, params.batch_size, size, accelerator, allowed, kept), build)


def time_embedding(
    entry: NetworkParams, taps: TapsParams, params: EmbedParams, size: int, classes: int, allowed: float
) -> Speed:
    """Time forward passes that pool every layer, of growing batches; the arguments are those of `time_training`."""
    began = time.process_time()
    network = build_network(entry, classes, seed=0, load_weights=False)
    layers = pooled_layers(find_taps(build_skeleton(entry, classes), entry, taps), params.pooling)
    accelerator = choose_device()
    network.move(accelerator.device)
    embedder = Embedder(network, layers, logits=not entry.frozen, rotation=None, accelerator=accelerator)
    build = time.process_time() - began
    with embedder.running() as embed:
        step = lambda pixels: embed(np.arange(len(pixels)), pixels)  # noqa: E731
        return Speed(*time_batches(step, params.batch_size, size, accelerator, allowed, 0), build)


def time_batches(
    step: Step, largest: int, size: int, accelerator: Accelerator, allowed: float, kept: float
) -> tuple[float, float]:
    """Time a step of more and more images, as long as that is allowed, and extend that to the batch of the stage.

    Args:
        step: takes images, (B, size, size, 3).
        largest: the batch of the stage.
        size: height and width of the images.
        accelerator: where it runs.
        allowed: processor's seconds that it may take beside the first step, which also compiles.
        kept: bytes that the first step makes and that stay.

    Returns:
        Seconds, and bytes of memory, of one image in such a batch.
    """

    def run(pixels: NDArray[np.uint8]) -> tuple[float, float]:
        """Run one step; return its seconds, and the processor's."""
        wall, processor = time.perf_counter(), time.process_time()
        step(pixels)
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        return min(wall, processor) if accelerator.device.type == "cpu" else wall, processor  # others may be at work

    random, batch, spent, timed = np.random.default_rng(0), min(SMALLEST_BATCH, largest), 0.0, list[tuple[int, float]]()
    while True:
        pixels = random.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
        before = reset_peak(accelerator)
        seconds, processor = run(pixels)
        memory = max(0.0, peak_memory(accelerator) - before - (0 if timed else kept)) / batch
        if processor < TOO_LONG * allowed:
            again, processor = run(pixels)
            seconds, spent = min(seconds, again), spent + 2 * processor
        timed.append((batch, seconds))
        room = min(MAX_STEP_UP, (allowed - spent) / (2 * processor))
        if batch == largest or processor >= TOO_LONG * allowed or (len(timed) > 1 and room < 2):
            break
        batch = min(largest, int(batch * max(room, 2)))
    (few, shorter), (many, longer) = timed[0], timed[-1]  # a part of a step does not depend on the images
    slope = max(0.0, longer - shorter) / (many - few) if many > few else longer / many
    return (longer + slope * (largest - many)) / largest, memory


def reset_peak(accelerator: Accelerator | None = None) -> float:
    """Forget the peak of memory so far, where the system can, and return the bytes that are held now."""
    if accelerator is not None and accelerator.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return float(torch.cuda.memory_allocated())
    with suppress(OSError):  # on Linux
        Path("/proc/self/clear_refs").write_text("5")
    return float(psutil.Process().memory_info().rss)


def peak_memory(accelerator: Accelerator | None = None) -> float:
    """Return the bytes that this process, or the GPU for it, had to hold at once."""
    if accelerator is not None and accelerator.device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024.0)
