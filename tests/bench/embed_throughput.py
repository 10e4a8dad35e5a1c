"""Images per second of embed as a share of the bare forward pass: same network, batch, dtype and memory format.

Both are timed in turns, round after round, within this run; embed reads, transforms, pools, checks and writes.

    python -m tests.bench.embed_throughput --images 2048 --rounds 5
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch

from stages.embed.cell import Cell, open_cell
from stages.embed.params import TapsParams
from tests.bench.cells import PARAMS, network_params, pack_random, write_random_checkpoint

SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ratio = measure(Path(folder), args.images, args.rounds)
    print(f"embed: {ratio:.3f} of the bare forward pass's images per second")


def measure(folder: Path, count: int, rounds: int) -> float:
    """Median over rounds of (seconds of the bare forward pass) / (seconds of embed), after one round of warming up."""
    images = pack_random(folder / "images", count, SIZE)
    write_random_checkpoint(folder / "weights", images)
    cell = open_cell(images, network_params(SIZE), TapsParams(), PARAMS, weights=folder / "weights", steps=[0], seed=0)
    ratios = []
    for number in range(rounds + 1):
        bare, full = seconds_bare(cell, count), seconds_embed(cell, folder / "out")
        note = " (warming up: not counted)" if number == 0 else ""
        print(f"round {number}: bare {count / bare:.0f}, embed {count / full:.0f} images per second{note}", flush=True)
        ratios.append(bare / full)
    return statistics.median(ratios[1:])


def seconds_bare(cell: Cell, count: int) -> float:
    """Time of the forward passes alone, on one batch that is already on the device."""
    rows = cell.rows[: cell.params.batch_size]
    inputs = cell.embedder.inputs(rows, cell.images.read(rows))
    sizes = [cell.params.batch_size] * (count // cell.params.batch_size) + [count % cell.params.batch_size]
    began = time.perf_counter()
    with torch.inference_mode(), cell.embedder.accelerator.autocast():
        for size in filter(None, sizes):
            logits = cell.embedder.network.logits(inputs[:size])
    logits.cpu()  # waits for the device
    return time.perf_counter() - began


def seconds_embed(cell: Cell, out: Path) -> float:
    """Time of the whole of embed, from packed images to a finished store."""
    began = time.perf_counter()
    cell.write(out, {"dataset": "noise", "model": "lite0", "fold": "0", "seed": 0})
    elapsed = time.perf_counter() - began
    shutil.rmtree(out)
    return elapsed


if __name__ == "__main__":
    main()
