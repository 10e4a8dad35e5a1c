"""K-means from many starts at once against as many fits of scikit-learn: CPU seconds, and the least inertia of both.

    python -m tests.bench.kmeans
    python -m tests.bench.kmeans --embeddings data/embeddings/handwriting/efficientnet_lite0/*/*

Without stores, embeddings are synthetic; with stores, every embedding in them is searched and polished both ways.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from stages.core.scores.kmeans import Search, class_means, cluster, inertia_of, leading_columns, rotate
from stages.core.scores.lockstep import search
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.bench.measure_cost import correlated

CASES = ((200, 5, 5), (250, 5, 15), (500, 5, 50), (600, 15, 50), (2500, 20, 50), (5000, 100, 4))
"""Images, clusters, starts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, nargs="*", default=[], help="embedding stores")
    args = parser.parse_args()
    with threadpool_limits(1), config_context(assume_finite=True, skip_parameter_validation=True):
        if args.embeddings:
            compare_inertias(args.embeddings)
        else:
            print_seconds()


def print_seconds() -> None:
    """Time the search in the leading columns."""
    print("images  columns  clusters  starts  at once ms  scikit-learn ms  least inertia, relative")
    for images, clusters, starts in CASES:
        columns = leading_columns(clusters)
        few = np.ascontiguousarray(rotate(correlated(images, clusters, 320, 0)[0])[:, :columns])
        own, (_, inertia) = timed(search, few, clusters, Search(starts).seeds)
        theirs, fits = timed(plain_fits, few, clusters, starts)
        ratio = inertia.min() / min(fit.inertia_ for fit in fits) - 1
        print(
            f"{images:6d}  {columns:7d}  {clusters:8d}  {starts:6d}  {own:10.1f}  {theirs:15.1f}  {ratio:+.1e}",
            flush=True,
        )


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """CPU milliseconds of a call, the lesser of two, and its result."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        result = function(*arguments)
        seconds.append(time.process_time() - began)
    return 1000 * min(seconds), result


def plain_fits(X: Any, clusters: int, starts: int) -> list[KMeans]:
    """Fit scikit-learn's k-means from the same seeds."""
    return [KMeans(clusters, n_init=1, random_state=seed).fit(X) for seed in Search(starts).seeds]


def compare_inertias(stores: list[Path]) -> None:
    """Print by how much the least inertia differs in every embedding of some stores."""
    differences = []
    for path in stores:
        store = open_embeddings(path)
        for split in store.splits:
            clusters = len(set(store.labels(split)))
            for layer in store.layers:
                for step in store.steps if layer.depth >= 0 else store.steps[:1]:
                    rotated = rotate(store.features(layer, step, split))
                    found = cluster(rotated, clusters, Search(), rotated=rotated).inertia
                    difference = found / plain_inertia(rotated, clusters, Search()) - 1
                    differences.append(difference)
                    print(f"{path} {split} {layer.name} step {step}: {found:.6g}, {difference:+.1e}", flush=True)
    larger = sum(difference > 1e-6 for difference in differences)
    print(f"{len(differences)} embeddings: larger in {larger}, at most by {max(differences):.1e}", flush=True)


def plain_inertia(rotated: Any, clusters: int, how: Search) -> float:
    """Search and polish with scikit-learn alone."""
    few = np.ascontiguousarray(rotated[:, : leading_columns(clusters)])
    fits = sorted(plain_fits(few, clusters, how.starts), key=lambda fit: fit.inertia_)
    best = list({fit.labels_.tobytes(): fit.labels_ for fit in fits[::-1]}.values())[::-1][: how.polished]
    polished = [KMeans(clusters, init=class_means(rotated, own), n_init=1).fit(rotated) for own in best]
    return min(inertia_of(rotated, fit.labels_) for fit in polished)


if __name__ == "__main__":
    main()
