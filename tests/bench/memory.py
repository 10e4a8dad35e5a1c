"""Peak memory of embed and of measure at N and at 4 N images: bounded by a batch and a shard, so it should not grow.

N is a shard's number of images. Each stage runs as a process of its own, on noise, with EfficientNet-Lite0 at 32 px.

    python -m tests.bench.memory --images 4096
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from stages.shared.embeddings.embedding_store import SAMPLES_PER_SHARD
from tests.bench.cells import PARAMS, network_params, pack_random, write_random_checkpoint
from tests.bench.measure_cost import MEASURE
from tests.measure.synthetic import write_pictures

SIZE = 32
SCORES = {"metrics": ["nmi", "knn_purity", "nn1_accuracy"], "kmeans": {"starts": 1, "polished": 1, "seed": 0}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=SAMPLES_PER_SHARD)
    args = parser.parse_args()
    counts = (args.images, 4 * args.images)
    with tempfile.TemporaryDirectory() as folder:
        peaks = [measure(Path(folder) / str(count), count) for count in counts]
    for stage in ("embed", "measure"):
        small, large = (peak[stage] for peak in peaks)
        print(
            f"{stage}: {small:.0f} MiB at {counts[0]} images, {large:.0f} MiB at {counts[1]}: {large / small:.2f} times"
        )


def measure(folder: Path, count: int) -> dict[str, float]:
    """Run both stages on `count` images; peak resident memory of each in MiB."""
    images = pack_random(folder / "images", count, SIZE)
    write_random_checkpoint(folder / "weights", images)
    write_params(folder / "params.yaml")
    cell = ["--dataset", "noise", "--model", "lite0", "--fold", "0", "--seed", "0"]
    cell += ["--params", str(folder / "params.yaml")]
    paths = {name: str(folder / name) for name in ("images", "weights", "embeddings", "thumbnails", "measures")}
    embed = ["--prepared", paths["images"], "--weights", paths["weights"], "--out", paths["embeddings"]]
    write_pictures(folder / "thumbnails", images.manifest["sample_id"][:200], "noise")
    score = ["--embeddings", paths["embeddings"], "--thumbnails", paths["thumbnails"], "--out", paths["measures"]]
    return {"embed": peak_mib("embed", *cell, *embed), "measure": peak_mib("measure", *cell, *score, "--workers", "1")}


def write_params(path: Path) -> None:
    content: dict[str, object] = {key: {} for key in ("run", "datasets", "prepare", "finetune", "aggregate")}
    content["finetune"] = {"steps": [0], "keep": "all"}
    content["models"] = {"lite0": {"network": network_params(SIZE).model_dump(), "taps": {"layers": "default"}}}
    YAML(typ="safe").dump({**content, "embed": PARAMS.model_dump(), "measure": MEASURE | SCORES}, path)


def peak_mib(stage: str, *arguments: str) -> float:
    process = subprocess.Popen([sys.executable, "-m", f"stages.{stage}", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{stage} failed")
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
