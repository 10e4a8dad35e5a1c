"""How much of embedding and of fine-tuning is the network alone: same network, batch, dtype, memory format, settings.

The stage embed is compared with the bare forward pass; it reads, transforms, pools, checks and writes. So is `wl.embed`
of photographs (JPEG, 500 x 375), by `python -m tests.bench embed`; it builds the network, reads, decodes and pools. A
step of fine-tuning is compared with a bare one: forward and backward pass, clipping, the optimizer. Both of a pair are
timed in turns, round after round, by the clock and by the processor; on a machine with other work only the latter tells
something.

    python -m tests.bench.embed_throughput --images 2048 --steps 20 --rounds 5

Both are compared at two sizes, at 224 pixels with a quarter of the images: the larger they are, the more of its time is
the network's.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

import stages.library as wl
from stages.embed.cell import Cell, open_cell
from stages.embed.loading import checked_checkpoints
from stages.embed.params import TapsParams
from stages.finetune.loop import FineTuning, make_optimizer
from stages.finetune.params import FinetuneParams
from stages.library.embedding import BATCH_SIZE
from stages.shared.networks.device import choose_device
from stages.shared.networks.network import build_network
from stages.shared.runtime.startup import keep_freed_memory
from tests.bench.cells import PARAMS, network_params, pack_noise, pack_random, write_random_checkpoint

SIZES = {64: 1, 224: 4}
"""Pixels, and by how much fewer images are embedded."""

CLOCKS = {"by the processor": time.process_time, "by the clock": time.perf_counter}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    keep_freed_memory()  # as a stage does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size, fewer in SIZES.items():
            text = f"embed, {size} px: {{}} of the bare forward pass's images per second"
            compare(text, embed_pair(folder / str(size), args.images // fewer, size), args.rounds)
        compare("finetune: {} of a bare loop's steps per second", finetune_pair(folder, args.steps), args.rounds)


def library_ratio(count: int, size: int, rounds: int) -> float:
    """Images per second of `wl.embed` over those of bare forward passes, by the processor: the median over rounds."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        pair = library_pair(Path(name) / "photos", count, size)
        return statistics.median([seconds(pair[0])[0] / seconds(pair[1])[0] for _ in range(rounds + 1)][1:])


def compare(text: str, pair: tuple[Callable[[], None], Callable[[], None]], rounds: int) -> None:
    """Print the median over rounds of (seconds of the bare one) / (seconds of the stage), after one of warming up."""
    ratios = [seconds(pair[0]) / seconds(pair[1]) for _ in range(rounds + 1)][1:]
    for number, clock in enumerate(CLOCKS):
        values = sorted(ratio[number] for ratio in ratios)
        ratio = f"{statistics.median(values):.3f}"
        print(f"{text.format(ratio)} {clock} ({values[0]:.3f} to {values[-1]:.3f})", flush=True)


def seconds(work: Callable[[], None]) -> np.ndarray:
    """Time some work by each of `CLOCKS`."""
    began = np.array([clock() for clock in CLOCKS.values()])
    work()
    return np.array([clock() for clock in CLOCKS.values()]) - began


def library_pair(folder: Path, count: int, size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Forward passes alone, and `wl.embed` from files to arrays."""
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(64)]
    random = np.random.default_rng(0)
    for path in paths:
        coarse = Image.fromarray(random.integers(0, 256, (63, 84, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    compute, network = choose_device(), build_network(network_params(size), 1, seed=0)
    network.move(compute.device)
    inputs = network.transform.evaluation(torch.zeros(BATCH_SIZE, size, size, 3, dtype=torch.uint8).to(compute.device))
    photos = [paths[number % len(paths)] for number in range(count)]

    def bare() -> None:
        with torch.inference_mode(), compute.autocast():
            for _ in range(-(-count // BATCH_SIZE)):  # whole ones, as there
                logits = network.logits(inputs)
        logits.cpu()  # waits for the device

    return bare, lambda: wl.embed("efficientnet_lite0", photos, image_size=size) and None


def embed_pair(folder: Path, count: int, size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Forward passes alone, and the whole of embed from packed images to a finished store."""
    images = pack_random(folder / "images", count, size)
    write_random_checkpoint(folder / "weights", images)
    cell = open_cell(images, checked_checkpoints(folder / "weights", images), TapsParams(), PARAMS, seed=0)
    outs = (folder / f"out_{number}" for number in itertools.count())

    def embed() -> None:
        cell.write(next(outs), {"dataset": "noise", "model": "lite0", "fold": "0", "seed": 0})

    return lambda: pass_forward(cell, count), embed


def pass_forward(cell: Cell, count: int) -> None:
    """Pass as many images through the network, of one batch that is already on the device."""
    rows = cell.rows[: cell.params.batch_size]
    inputs = cell.embedder.inputs(rows, cell.images.read(rows))
    sizes = [cell.params.batch_size] * (count // cell.params.batch_size) + [count % cell.params.batch_size]
    with torch.inference_mode(), cell.embedder.compute.autocast():
        for size in filter(None, sizes):
            logits = cell.embedder.network.logits(inputs[:size])
    logits.cpu()  # waits for the device


def finetune_pair(folder: Path, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Training steps alone, on one batch that is already on the device, and those of the stage, without checkpoints."""
    values = {"schedule_epochs": None, "schedule_steps": 2 * steps, "steps": [steps], "keep": "all", "batch_size": 72}
    values |= {
        "learning_rate": 2e-4,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "augment": {"degrees": 10.0, "padding": 20},
    }
    params = FinetuneParams.model_validate(values)
    images = pack_noise(folder / "seen", {"train": 10 * params.batch_size, "test": 10}, 64).in_memory()
    network = build_network(network_params(64), len(images.seen), seed=0)
    training = FineTuning(network, images, params, 2 * steps, 0, choose_device())
    device = training.compute.device
    network.move(device)
    rows = images.rows("train")[:: len(images.rows("train")) // params.batch_size][: params.batch_size]
    inputs = network.transform.evaluation(torch.from_numpy(images.read(rows)).to(device))
    targets = torch.from_numpy(images.targets(rows)).to(device)
    optimizer = make_optimizer(network.module, params)

    def step_barely() -> None:
        network.module.train()
        for _ in range(steps):
            with training.compute.autocast():
                logits = network.logits(inputs)
            loss = functional.cross_entropy(logits.float(), targets)
            loss.backward()
            clip_grad_norm_(network.module.parameters(), params.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        loss.item()  # waits for the device

    return step_barely, lambda: training.run(lambda step: None) and None


if __name__ == "__main__":
    main()
