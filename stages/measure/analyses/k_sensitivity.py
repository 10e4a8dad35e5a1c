"""K-means into other numbers of clusters than there are classes: how much hangs on knowing that number."""

import numpy as np

from stages.measure.analyses.found import Found
from stages.measure.cell import Cell
from stages.measure.clustering import chance_of_nmi, cluster, normalized_mutual_information
from stages.measure.layer import EmbeddedSplit
from stages.shared.embeddings import Layer

STARTS = 3
"""Largest number of k-means starts for each number of clusters; the one of least inertia counts."""


def k_sensitivity(cell: Cell, layer: Layer, split: EmbeddedSplit) -> Found:
    """Agreement of one layer's clusters with the classes for K - 2 ... K + 2 and 2 K clusters."""
    settings = split.settings
    rows = []
    for clusters in cluster_counts(len(split.class_sizes), len(split.y)):
        starts = cluster(split.X, clusters, starts=min(STARTS, settings.starts), seed=settings.kmeans_seed)
        labels = starts[int(np.argmin([start.inertia for start in starts]))].labels
        value, chance = normalized_mutual_information(split.y, labels), chance_of_nmi(split.y, labels)
        rows.append({"clusters": clusters, "nmi": value, "ami": (value - chance) / (1 - chance)})
    return Found(tables={"k_sensitivity": rows})


def cluster_counts(K: int, N: int) -> list[int]:
    """Numbers of clusters around K, at least 2 and fewer than the N images, ascending."""
    return [clusters for clusters in sorted({*range(K - 2, K + 3), 2 * K}) if 2 <= clusters < N]
