"""A piece of a stage's own work, timed in a process of its own, whose peak is then that of the stage's process."""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...measure.analyses.registry import ANALYSES
from ...measure.params import MeasureParams
from ...measure.run import limit_to_one_thread, plan_jobs, score_jobs
from ...shared.embeddings.embeddings import Embeddings, InMemory, Layer
from ...shared.images.image_store import PackedImages
from ...shared.runtime.durations import peak_memory, process_peak
from ...shared.runtime.errors import UserError
from ...shared.runtime.startup import keep_freed_memory
from ...shared.workflow.digests import cell_id
from ..config import Config

MAX_MEASURED = 1000
"""Images of a split of which a layer is measured."""


@dataclass(frozen=True)
class Trial:
    """What a piece of work took: of a processor's seconds, or on a GPU of the clock's.

    Attributes:
        start: seconds before it, such as those of imports.
        seconds: of the piece.
        memory: bytes of the process at its peak.
    """

    start: float
    seconds: float
    memory: float


def in_own_process(work: Callable[..., Trial], *args: object) -> Trial:
    """Do some work in a new process, with memory handled as a stage does.

    Its threads wait without work: on a busy machine spinning ones took 6 times as much as the stage on an idle one.

    Raises:
        UserError: the process was killed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # which the process reads when it starts
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=keep_freed_memory) as pool:
        try:
            return pool.submit(work, *args).result()
        except BrokenProcessPool:
            raise UserError(
                f"{work.__name__}: must fit into memory, found its process killed; lower batch_size, or use --no-time"
            ) from None


def made_images(count: int, size: int, classes: int) -> PackedImages:
    """Make up training images of some classes, and one test image: noise of size x size pixels."""
    names, number = [f"{label:06d}" for label in range(classes)], np.arange(count + 1)
    columns = {"sample_id": number.astype(str), "label": np.array(names)[number % classes], "group": ""}
    manifest = pd.DataFrame({**columns, "source": "", "sha256": "", "split": ["train"] * count + ["test"]})
    pixels = np.random.default_rng(0).integers(0, 256, (count + 1, size, size, 3), dtype=np.uint8)
    return PackedImages(manifest, size, 0, tuple(names), (), pixels)


def train_a_batch(config: Config, model: str, count: int, size: int, classes: int) -> Trial:
    """Train on one batch twice, and time the second time; the first one also compiles and takes memory.

    Args:
        config, model: the parameters, and which network; its weights are random, which costs the same.
        count: images of the batch.
        size: height and width of the packed images.
        classes: number of outputs.
    """
    from ...finetune.loop import FineTuning  # what only this stage imports
    from ...shared.networks.device import choose_device
    from ...shared.networks.network import build_network

    network = build_network(config.models[model].network, classes, seed=0, load_weights=False)
    twice, ends, compute = config.finetune.model_copy(update={"steps": [1, 2]}), list[float](), choose_device()
    clock = time.process_time if compute.device.type == "cpu" else time.perf_counter
    training = FineTuning(network, made_images(count, size, classes), twice, 2, 0, compute)
    training.run(lambda step: ends.append(clock()))
    seconds = ends[1] - ends[0]
    return Trial(time.process_time() - 2 * seconds, seconds, peak_memory())


def embed_a_batch(config: Config, model: str, size: int, classes: int) -> Trial:
    """Embed one batch twice, and time the second time.

    Args:
        config, model: the parameters, and which network.
        size: height and width of the packed images.
        classes: number of outputs.
    """
    from ...embed.embedder import open_embedder

    entry, params = config.models[model], config.embed
    images, augment = made_images(params.batch_size, size, classes), {"degrees": 10.0, "padding": 20}
    embedder = open_embedder(entry.network, entry.taps, params, images, classes=classes, augment=augment, seed=0)
    rows = images.rows("train")
    clock = time.process_time if embedder.compute.device.type == "cpu" else time.perf_counter
    with embedder.running(params.batch_size) as embed:
        embed(rows, images.read(rows))
        start, began = time.process_time(), clock()
        embed(rows, images.read(rows))
    return Trial(start, clock() - began, peak_memory())


def made_layer(counts: Mapping[str, tuple[int, int]], width: int, steps: Sequence[int]) -> Embeddings:
    """Make up embeddings of images and classes, by split, the same at every step: classes that overlap."""
    parts, values, spectrum = [], [], np.sqrt(1 + np.arange(width))
    for split, (count, classes) in counts.items():
        number, random = np.arange(count), np.random.default_rng([classes, width])
        label = number % classes
        names = {"sample_id": [f"{split}{i}" for i in number], "label": [f"{split} {i}" for i in label]}
        parts.append(pd.DataFrame({**names, "split": split, "group": ""}))
        centres, noise = random.normal(size=(classes, width)), random.normal(size=(count, width))
        values.append(((0.6 * centres[label] + noise) / spectrum).astype(np.float32))
    layers, samples = (Layer("layer", "layer", 0, "mean", width, 1, 1),), pd.concat(parts, ignore_index=True)
    source = InMemory(cell_id(("plan", "plan", "0", 0)), {"layer": np.concatenate(values)})
    return Embeddings("plan", "plan", "0", 0, tuple(steps), layers, samples, (), source)


def measure_a_layer(
    params: MeasureParams, counts: Mapping[str, tuple[int, int]], width: int, steps: Sequence[int]
) -> Trial:
    """Time what is computed of one layer at all checkpoints, on one thread.

    Of many images a share is measured: seconds grow with their square, as distances do, and memory with their number.
    Analyses of images that are embedded at the last step only, and of all layers at once, are left out: they are cheap,
    but for `representations`, which is counted (`model.py`).

    Args:
        params: the `measure` section.
        counts: how many images and classes each split has.
        width: number of features.
        steps: of the checkpoints.
    """
    share = min(1.0, MAX_MEASURED / max(images for images, _ in counts.values()))
    few = {split: (max(4, round(share * n)), max(2, round(share * k))) for split, (n, k) in counts.items()}
    store = made_layer(few, width, steps)
    params = params.model_copy(update={"analyses": [name for name in params.analyses if not ANALYSES[name].training]})
    limit_to_one_thread(params)  # which imports the analyses
    start, before = time.process_time(), process_peak()
    score_jobs([store], params, plan_jobs(store, params), workers=1)
    return Trial(start, (time.process_time() - start) / share**2, before + (process_peak() - before) / share)
