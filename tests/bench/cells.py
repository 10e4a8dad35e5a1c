"""Synthetic cells for the benchmarks: random images and a network of random weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from stages.embed.params import EmbedParams
from stages.shared.images.image_store import MANIFEST_COLUMNS, PackedImages, open_images, write_fold, write_images
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams, WeightsParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint

CLASSES = 10
PARAMS = EmbedParams(
    splits=["test", "unseen"],
    pooling=["auto"],
    augment=False,
    baseline_size=8,
    dtype="float32",
    batch_size=128,
    train_per_class=0,
)


def network_params(size: int) -> NetworkParams:
    """The default grid's network, on images of `size` px."""
    return NetworkParams(
        library="timm", name="tf_efficientnet_lite0", weights=WeightsParams(source="none"), image_size=size
    )


def pack_random(path: Path, count: int, size: int) -> PackedImages:
    """Write `count` images of noise, half of them seen test images, half unseen."""
    return pack_noise(path, {"test": count // 2, "unseen": count - count // 2}, size)


def pack_noise(path: Path, counts: Mapping[str, int], size: int) -> PackedImages:
    """Write as many images of noise to each split; the classes of `unseen` are in no other."""
    random = np.random.default_rng(0)
    splits = [split for split, count in counts.items() for _ in range(count)]
    labels = [f"{'new' if split == 'unseen' else 'seen'}{i % CLASSES}" for i, split in enumerate(splits)]
    rows = [(f"id{i:07}", label, "", "", "") for i, label in enumerate(labels)]
    manifest = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)).assign(split=splits)
    manifest = manifest.sort_values(["label", "sample_id"], ignore_index=True)
    images = (random.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in rows)
    write_images(path, images, manifest[list(MANIFEST_COLUMNS)], dataset="noise", size=size, fill=255)
    write_fold(path, "0", manifest)
    return open_images(path, "0")


def write_random_checkpoint(folder: Path, images: PackedImages) -> None:
    """Write one checkpoint of the network with random weights."""
    params = network_params(images.size)
    network = build_network(params, len(images.seen), seed=0)
    info = CheckpointInfo(0, images.seen, params.model_dump(), {"degrees": 10.0, "padding": 20})
    write_checkpoint(folder, network.module.state_dict(), info)
    finish_checkpoints(folder, ("noise", "lite0", "0", 0))
