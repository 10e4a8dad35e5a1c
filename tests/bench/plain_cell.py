"""What a cell does, as a straightforward script of one process: train, embed and score one network, and no more.

It reads `{train,test,unseen}/<class>/*.png`, and writes weights, embeddings and a table of scores.

    python -m tests.bench.plain_cell RAW OUT --steps 500 --checkpoints 6
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional

LAYERS = ("bn1", *(f"blocks.{i}" for i in range(7)), "bn2")
BATCH, RATE = 72, 2e-4

Split = tuple[Tensor, NDArray[np.int64]]
"""(N, 3, S, S) float32 images, normalized, and (N,) classes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--checkpoints", type=int, default=6)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    torch.manual_seed(0)
    train, test, unseen = (read_split(args.raw / split) for split in ("train", "test", "unseen"))
    network = timm.create_model("tf_efficientnet_lite0", num_classes=int(train[1].max()) + 1)
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0)
    rows = []
    for step in range(args.steps + 1):
        if step % (args.steps // (args.checkpoints - 1)) == 0:
            torch.save(network.state_dict(), args.out / f"step_{step}.pt")
            rows += scores(network, {"test": test, "unseen": unseen}, step, args.out)
        if step < args.steps:
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / args.steps)
            train_step(network, optimizer, train)
    pd.DataFrame(rows, columns=["step", "split", "layer", "metric", "value"]).to_csv(args.out / "scores.csv")


def read_split(folder: Path) -> Split:
    files = sorted(folder.glob("*/*.png"))
    images = torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files]))
    _, classes = np.unique([file.parent.name for file in files], return_inverse=True)
    return (images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5, classes


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, train: Split) -> None:
    """Take one optimizer step on a random batch, rotated by up to ten degrees over a white border."""
    rows = torch.randperm(len(train[1]))[:BATCH]
    angles = torch.deg2rad(torch.rand(BATCH) * 20 - 10)
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros(BATCH)
    turns = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    images = functional.pad(train[0][rows], [6] * 4, value=1.0)
    size = train[0].shape[-1]
    grid = functional.affine_grid(turns * (size / images.shape[-1]), [BATCH, 3, size, size], align_corners=False)
    turned = functional.grid_sample(images, grid, mode="nearest", align_corners=False)
    network.train()
    logits = network(turned.contiguous(memory_format=torch.channels_last))
    functional.cross_entropy(logits, torch.from_numpy(train[1])[rows]).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def scores(network: nn.Module, splits: dict[str, Split], step: int, out: Path) -> list[tuple[object, ...]]:
    """Embed and score both splits: NMI of k-means, purity of nearest neighbours, and the network's own accuracy."""
    rows: list[tuple[object, ...]] = []
    for split, (images, classes) in splits.items():
        layers, logits = embed(network, images)
        if step == 0:
            layers["pixels"] = (
                functional.interpolate(images, (8, 8), mode="bilinear", antialias=True).flatten(1).numpy()
            )
        np.savez(out / f"{split}_{step}.npz", **layers, logits=logits)
        if split == "test":
            rows.append((step, split, "", "accuracy", (logits.argmax(1) == classes).mean()))
        for layer, X in layers.items():
            clusters = KMeans(int(classes.max()) + 1, n_init=1, random_state=42).fit_predict(X)
            neighbours = int(np.bincount(splits["unseen"][1]).max())
            nearest = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(X).kneighbors()[1]
            rows.append((step, split, layer, "nmi", normalized_mutual_info_score(classes, clusters)))
            rows.append((step, split, layer, "knn_purity", (classes[nearest] == classes[:, None]).mean()))
    return rows


@torch.inference_mode()
def embed(network: nn.Module, images: Tensor) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Average every layer's output over space: {layer: (N, D)}, (N, K)."""
    network.eval()
    kept: dict[str, list[Tensor]] = {layer: [] for layer in LAYERS}
    hooks = [
        network.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: kept[layer].append(output.mean((2, 3)))
        )
        for layer in LAYERS
    ]
    logits = torch.cat([network(batch.contiguous(memory_format=torch.channels_last)) for batch in images.split(128)])
    for hook in hooks:
        hook.remove()
    return {layer: torch.cat(parts).numpy() for layer, parts in kept.items()}, logits.numpy()


if __name__ == "__main__":
    main()
