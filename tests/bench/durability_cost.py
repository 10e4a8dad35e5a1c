"""What it costs that nothing is lost and nothing damaged is read: kept work of fine-tuning, and the digests of a cell.

Fine-tuning with and without kept work is timed in turns, round after round, on noise, for a tiny network and for the
default grid's, in seconds of the processor; both write the same checkpoints. Work is kept at every checkpoint but the
first and last, and every half minute. Then the default network's checkpoints and embeddings are hashed.

    python -m tests.bench.durability_cost --images 1800 --rounds 5
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stages.embed.cell import open_cell
from stages.embed.loading import checked_checkpoints
from stages.embed.params import TapsParams
from stages.finetune.loop import FineTuning, ResumePoints
from stages.finetune.params import FinetuneParams
from stages.shared.embeddings.embedding_store import Stored, open_embeddings, write_store_digests
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.device import choose_device
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams, WeightsParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, open_checkpoints, write_checkpoint
from stages.shared.workflow.kept_work import KeptWork
from tests.bench.cells import PARAMS, network_params, pack_noise

SIZE, CELL = 64, ("noise", "net", "0", 0)
OF = dict(zip(("dataset", "model", "fold", "seed"), CELL, strict=True))
TINY = NetworkParams(
    library="timm", name="test_resnet.r160_in1k", weights=WeightsParams(source="none"), image_size=SIZE
)
NETWORKS = {"tiny": TINY, "default": network_params(SIZE)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1800, help="train images; 0.6 times as many are embedded")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    params = finetune_params(args.steps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = pack_as_default(folder / "images", args.images)
        for network, entry in NETWORKS.items():
            print_kept(network, *time_kept(folder / network, images, entry, params, args.rounds))
        print_digests(folder / "default", images)


def finetune_params(last: int) -> FinetuneParams:
    """Those of the default grid: three checkpoints."""
    values = {
        "steps": [0, last // 2, last], "keep": "all", "schedule_epochs": None, "schedule_steps": 2 * last,
        "learning_rate": 2e-4, "batch_size": 72, "weight_decay": 0.0, "clip_norm": 1.0,
        "augment": {"degrees": 10.0, "padding": 20},
    }  # fmt: skip
    return FinetuneParams.model_validate(values)


def pack_as_default(path: Path, train: int) -> PackedImages:
    """Write images of noise in the proportions of the default grid, and hold them in memory."""
    counts = {"train": train, "test": train // 3, "unseen": train * 5 // 18}
    return pack_noise(path, counts, SIZE).in_memory()


def time_kept(
    folder: Path, images: PackedImages, network: NetworkParams, params: FinetuneParams, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Time fine-tuning, its work not kept and kept, in turns; a first round is not counted.

    Returns:
        Seconds without, seconds with, and seconds of one point.
    """
    without, kept, points = [], [], []
    for _ in range(rounds + 1):
        without.append(train(folder / "not_kept", images, network, params, keep=False)[0])
        shutil.rmtree(folder, ignore_errors=True)
        seconds, point = train(folder / "kept", images, network, params, keep=True)
        kept.append(seconds)
        points.append(point)
    return without[1:], kept[1:], points[1:]


def train(
    folder: Path, images: PackedImages, entry: NetworkParams, params: FinetuneParams, *, keep: bool
) -> tuple[float, float]:
    """Fine-tune a new network from step 0 to the last; return its processor's seconds, and the last point's seconds."""
    network = build_network(entry, len(images.seen), seed=0)
    weights = folder / "weights"

    def save(step: int) -> None:
        info = CheckpointInfo(step, images.seen, entry.model_dump(), params.augment.model_dump())
        write_checkpoint(weights, network.module.state_dict(), info)

    training = FineTuning(network, images, params, 2 * params.steps[-1], 0, choose_device())
    points = ResumePoints(KeptWork(folder, {}), weights, print) if keep else None
    began = time.process_time()
    training.run(save, points)
    return time.process_time() - began, points._cost if points else 0.0


def print_kept(name: str, without: list[float], kept: list[float], points: list[float]) -> None:
    more = [100 * (b / a - 1) for a, b in zip(without, kept, strict=True)]
    print(
        f"{name} network: {statistics.median(without):.2f} s of fine-tuning, with its work kept "
        f"{statistics.median(kept):.2f} s: {statistics.median(more):+.1f} % (median of {len(more)} pairs, from "
        f"{min(more):+.1f} to {max(more):+.1f} %); one point takes {min(points):.3f} s",
        flush=True,
    )


def print_digests(folder: Path, images: PackedImages) -> None:
    """Hash what a cell hands on: its checkpoints, and its embeddings."""
    weights, out = folder / "kept" / "weights", folder / "embeddings"
    finish_checkpoints(weights, CELL)
    cell = open_cell(images, checked_checkpoints(weights, images, CELL), TapsParams(), PARAMS, seed=0)
    cell.write(out, OF)
    files = [path.name for path in cell.checkpoints.values()]
    timed: dict[str, tuple[Path, Callable[[], object]]] = {
        "checkpoints, written": (weights, lambda: finish_checkpoints(weights, CELL)),
        "checkpoints, checked": (weights, lambda: open_checkpoints(weights, CELL).check(*files)),
        "embeddings, written": (out, lambda: write_store_digests(out, OF)),
        "embeddings, checked": (out, lambda: check_store(out)),
    }
    for what, (path, work) in timed.items():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        print(f"digests of a cell's {what}: {1000 * shortest(work):.1f} ms for {size / 1e6:.1f} MB", flush=True)


def check_store(path: Path) -> None:
    source = open_embeddings(path).source
    assert isinstance(source, Stored)
    digests = source.digests
    digests.check(*digests.record.files)


def shortest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the shortest of some runs."""

    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return min(once() for _ in range(times))


if __name__ == "__main__":
    main()
