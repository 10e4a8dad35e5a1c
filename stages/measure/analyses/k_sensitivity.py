"""K-means into other numbers of clusters than there are classes: how much hangs on knowing that number."""

from ...core.scores.agreement import nmi_with_chance
from ...core.scores.embedded_split import EmbeddedSplit
from ...core.scores.kmeans import cluster
from ...shared.embeddings.embeddings import Layer
from ..cell import Cell
from .result import AnalysisResult

STARTS, POLISHED = 15, 3
"""Largest numbers for other numbers of clusters than there are classes."""


def k_sensitivity(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Agreement of one layer's clusters with the classes for K - 2 ... K + 2 and 2 K clusters, for K the main score."""
    K, search = len(split.class_sizes), split.settings.search.capped(STARTS, POLISHED)
    rotated = None if search.single else split.rotated
    rows = []
    for clusters in cluster_counts(K, len(split.y)):
        labels = split.clusters if clusters == K else cluster(split.X, clusters, search, rotated=rotated).labels
        value, chance = nmi_with_chance(split.y, labels)
        rows.append({"clusters": clusters, "nmi": value, "ami": (value - chance) / (1 - chance)})
    return AnalysisResult(rows=rows)


def cluster_counts(K: int, N: int) -> list[int]:
    """Numbers of clusters around K, at least 2 and fewer than the N images, ascending."""
    return [clusters for clusters in sorted({*range(K - 2, K + 3), 2 * K}) if 2 <= clusters < N]
