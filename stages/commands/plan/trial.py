"""A piece of a stage's own work, timed in a process of its own, whose peak is then that of the stage's process."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.embed.params import EmbedParams, TapsParams
from stages.finetune.params import FinetuneParams
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.durations import peak_memory
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.startup import keep_freed_memory


@dataclass(frozen=True)
class Trial:
    """What a piece of work took: of a processor's seconds, or on a GPU of the clock's.

    Attributes:
        start: seconds before it, such as those of imports.
        seconds: of the piece.
        memory: bytes of the process at its peak.
        before: bytes at the peak before the piece.
    """

    start: float
    seconds: float
    memory: float
    before: float = 0.0


def in_own_process(work: Callable[..., Trial], *args: object) -> Trial:
    """Do some work in a new process, with memory handled as a stage does.

    Raises:
        UserError: the process was killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=keep_freed_memory) as pool:
        try:
            return pool.submit(work, *args).result()
        except BrokenProcessPool:
            raise UserError(
                f"{work.__name__.replace('_', ' ')}: must fit into memory, its process was killed; lower "
                "finetune.batch_size or embed.batch_size, or take --no-time"
            ) from None


def made_images(count: int, size: int, classes: int) -> PackedImages:
    """Make up training images of some classes, and one test image: noise of size x size pixels."""
    names, number = [f"{label:06d}" for label in range(classes)], np.arange(count + 1)
    columns = {"sample_id": number.astype(str), "label": np.array(names)[number % classes], "group": ""}
    manifest = pd.DataFrame({**columns, "source": "", "sha256": "", "split": ["train"] * count + ["test"]})
    pixels = np.random.default_rng(0).integers(0, 256, (count + 1, size, size, 3), dtype=np.uint8)
    return PackedImages(manifest, size, 0, tuple(names), (), pixels)


def train_a_batch(entry: NetworkParams, params: FinetuneParams, count: int, size: int, classes: int) -> Trial:
    """Train on one batch twice, and time the second time; the first one also compiles and takes memory.

    Args:
        entry: the network; its weights are random, which costs the same.
        params: the `finetune` section.
        count: images of the batch.
        size: height and width of the packed images.
        classes: number of outputs.
    """
    from stages.finetune.loop import FineTuning  # what only this stage imports
    from stages.shared.networks.device import choose_device
    from stages.shared.networks.network import build_network

    network = build_network(entry, classes, seed=0, load_weights=False)
    twice, ends = params.model_copy(update={"steps": [1, 2]}), list[float]()
    compute = choose_device()
    clock = time.process_time if compute.device.type == "cpu" else time.perf_counter
    training = FineTuning(network, made_images(count, size, classes), twice, 2, 0, compute)
    training.run(lambda step: ends.append(clock()))
    return Trial(time.process_time() - 2 * (ends[1] - ends[0]), ends[1] - ends[0], peak_memory())


def embed_a_batch(entry: NetworkParams, taps: TapsParams, params: EmbedParams, size: int, classes: int) -> Trial:
    """Embed one batch twice, and time the second time.

    Args:
        entry, taps: the network, and which layers are pooled.
        params: the `embed` section.
        size: height and width of the packed images.
        classes: number of outputs.
    """
    from stages.embed.embedder import open_embedder

    images, augment = made_images(params.batch_size, size, classes), {"degrees": 10.0, "padding": 20}
    embedder = open_embedder(entry, taps, params, images, classes=classes, augment=augment, seed=0)
    rows = images.rows("train")
    clock = time.process_time if embedder.compute.device.type == "cpu" else time.perf_counter
    with embedder.running(params.batch_size) as embed:
        embed(rows, images.read(rows))
        start, began = time.process_time(), clock()
        embed(rows, images.read(rows))
    return Trial(start, clock() - began, peak_memory())
