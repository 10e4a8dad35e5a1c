"""Plan the work of the current grid: what would run, how many images pass through which network, memory, disk and time.

Networks are built without weights or memory, so that a plan needs neither downloads nor a GPU.

    python -m stages.commands.plan
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stages.embed.layers import baseline_layers, pooled_layers
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.taps.find import find_taps
from stages.finetune.params import FinetuneParams, schedule_length
from stages.prepare.params import DatasetParams, PrepareParams, read_dataset
from stages.prepare.source_file import has_only_source_file
from stages.prepare.sources import SOURCES
from stages.prepare.splits import assign_splits
from stages.shared.console import run_main
from stages.shared.embedding_writer import SAMPLES_PER_SHARD
from stages.shared.networks.build import build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.params import RunParams, read_entry, read_run, read_section

STAGES = ("prepare", "finetune", "embed", "measure", "aggregate")
DOWNLOADS = {"calligraphy": (20, 0, 0), "cifar100": (100, 500, 100)}
"""Sources that download: number of classes, and of train and test images in each (0: not the same in every class)."""

BYTES = {"float32": 4, "float16": 2}
GIB = 2**30


@dataclass(frozen=True)
class Images:
    """How many images a dataset has by split, and how many seen classes."""

    train: int
    test: int
    unseen: int
    classes: int


@dataclass(frozen=True)
class Cost:
    """What one network costs on one dataset, for one seed.

    Attributes:
        parameters: of the network with its head.
        trained: images that pass forward and backward; passed: forward only, in tests and embedding.
        flops: floating-point operations of all passes (a backward pass counts as two forward passes).
        checkpoints, embeddings: bytes on disk, embeddings before compression.
        training_memory: bytes of weights, gradients and AdamW's two moments, without activations.
        embed_memory: bytes of the shards being written.
    """

    parameters: int
    trained: int
    passed: int
    flops: float
    checkpoints: int
    embeddings: int
    training_memory: int
    embed_memory: int


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("raw", type=Path, nargs="?", default=Path("data/raw"), help="the folder of the raw datasets")
    parser.add_argument(
        "--tflops", type=float, default=15.0, help="what the GPU is assumed to sustain, in 1e12 operations/s"
    )
    args = parser.parse_args()
    if not args.tflops > 0:
        parser.error(f"--tflops: must be more than 0, found {args.tflops:g}")
    run = read_run(args.params)
    if args.params == Path("params.yaml"):  # the one that DVC reads
        print(stages_to_run(run))
    images = {name: images_of(args.params, args.raw, name) for name in run.datasets}
    rows = [(d, m, images[d], cost(args.params, m, images[d])) for d in run.datasets for m in run.models]
    print(table(rows, len(run.seeds)))
    print(totals([c for *_, c in rows], len(run.seeds), args.tflops, Path()))


def images_of(path: Path, raw: Path, dataset: str) -> Images:
    """Count the images of one dataset of the grid."""
    params, seed = read_dataset(path, dataset), read_section(path, "prepare", PrepareParams).seed
    return count_images(raw / dataset, params, params.root_seed(seed), dataset)


def stages_to_run(run: RunParams) -> str:
    """Ask DVC which stages changed, add what follows from them, and count them by stage."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return f"stages: unknown, since `dvc status` failed: {done.stderr.strip().splitlines()[-1]}"
    stale = following(json.loads(done.stdout), run)
    counts = [f"{sum(name.split('@')[0] == stage for name in stale)} {stage}" for stage in STAGES]
    return f"stages that would run, or come from the cache: {', '.join(counts)}"


def following(changed: Iterable[str], run: RunParams) -> set[str]:
    """Add to changed stages, as DVC names them, all that depend on them."""
    stale = set(changed)
    for dataset in run.datasets:
        for cell in (f"{dataset}-{model}-{seed}" for model in run.models for seed in run.seeds):
            before = f"prepare@{dataset}" in stale
            for stage in STAGES[1:4]:
                before = before or f"{stage}@{cell}" in stale
                stale |= {f"{stage}@{cell}"} if before else set()
    return stale | ({"aggregate"} if stale else set())


def count_images(raw: Path, params: DatasetParams, seed: int, dataset: str) -> Images:
    """Count a dataset's images by split, as listing its files gives; none is decoded.

    Of a dataset that is yet to be downloaded, what its entry asks for is counted, where that says enough.

    Raises:
        UserError: the raw data are missing, or the splits cannot be made from them.
    """
    if params.source in DOWNLOADS and has_only_source_file(raw) and (asked := asked_for(params)):
        return asked
    with ExitStack() as resources:
        listing = SOURCES[params.source](raw, params, seed, resources)
        splits = assign_splits(listing.candidates, params, seed, dataset)
    classes = len({c.label for c in splits["train"]})
    return Images(len(splits["train"]), len(splits["test"]), len(splits["unseen"]), classes)


def asked_for(params: DatasetParams) -> Images | None:
    """Count what an entry asks for of a source in `DOWNLOADS`; None where the files alone would tell."""
    classes, train, test = DOWNLOADS[params.source]
    unseen = len(params.unseen_classes or ()) or params.unseen_count or 0
    seen = len(params.seen_classes or ()) or classes - unseen
    images = Images(
        train=params.train_total or seen * (params.train or train),
        test=params.test_total or seen * (params.test or test),
        unseen=unseen * (params.unseen or train),
        classes=seen,
    )
    return images if images.train and images.test and images.unseen else None


def cost(path: Path, model: str, images: Images) -> Cost:
    """Work out what one network costs on one dataset, from its true layers and parameters.

    Raises:
        UserError: the network cannot be built.
    """
    entry = read_entry(path, "models", model, NetworkParams, part="network")
    finetune, embed = read_section(path, "finetune", FinetuneParams), read_section(path, "embed", EmbedParams)
    network = build_skeleton(entry, images.classes)
    taps = find_taps(network, entry, read_entry(path, "models", model, TapsParams, part="taps"))
    widths = [layer.layer.width for layer in pooled_layers(taps, embed.pooling)]
    schedule_length(finetune, images.train, epochs=entry.epochs)
    steps, saved = finetune.steps, finetune.steps if finetune.keep == "all" else finetune.steps[-1:]
    trained = min(steps[-1] * finetune.batch_size, steps[-1] * images.train)
    embedded, extra = sum(getattr(images, split) for split in embed.splits), last_step_images(embed, images)
    passed = len(steps) * images.test + len(saved) * embedded + extra
    weights = sum(t.numel() * t.element_size() for t in network.module.state_dict().values())
    parameters = sum(p.numel() for p in network.module.parameters())
    row = sum(widths) * BYTES[embed.dtype] + images.classes * 4
    pixels = sum(layer.width for layer in baseline_layers(embed.baseline_size)) * BYTES[embed.dtype]
    return Cost(
        parameters=parameters,
        trained=trained,
        passed=passed,
        flops=forward_flops(network.module, entry.image_size) * (3 * trained + passed),
        checkpoints=weights * len(saved),
        embeddings=embedded * (row * len(saved) + pixels) + extra * (row + pixels),
        training_memory=4 * 4 * parameters,
        embed_memory=min(max(embedded, extra), SAMPLES_PER_SHARD) * row,
    )


def last_step_images(embed: EmbedParams, images: Images) -> int:
    """Count the images that pass at the last checkpoint alone; fewer do if some classes have less than is asked for."""
    train = min(images.train, images.classes * embed.train_per_class)
    test = min(images.test, images.classes * embed.corruptions.per_class)
    return train + test * len(embed.corruptions.kinds) * len(embed.corruptions.severities)


def forward_flops(module: nn.Module, size: int) -> float:
    """Count the floating-point operations of one image's forward pass, on the device of the weights."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(torch.zeros(1, 3, size, size, device=next(module.parameters()).device))
    return float(counter.get_total_flops())


def table(rows: Sequence[tuple[str, str, Images, Cost]], seeds: int) -> str:
    """Lay out one line per dataset and network, for one seed."""
    header = (
        "dataset      model                          params  trained  forward   PFLOP   weights     store    memory"
    )
    lines = [
        f"{d:<12} {m:<28} {c.parameters / 1e6:>7.1f}M {c.trained:>8,} {c.passed:>8,} {c.flops / 1e15:>7.2f} "
        f"{size(c.checkpoints):>9} {size(c.embeddings):>9} {size(max(c.training_memory, c.embed_memory)):>9}"
        for d, m, _, c in rows
    ]
    return "\n".join(
        [
            "",
            header,
            *lines,
            f"For one seed of {seeds}. memory: weights and optimizer, or shards; activations come on top.",
            "",
        ]
    )


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


if __name__ == "__main__":
    run_main(main)
