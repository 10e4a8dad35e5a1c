"""Names of the scores, and which of their values are better.

It imports nothing, so that params.yaml is checked in a second; `metrics` has the functions.
"""

from typing import Literal

Better = Literal["higher", "lower", "neither"]
"""`neither`: the score describes an embedding without ranking it."""

LAYER_SCORES: dict[str, Better] = {
    "nmi": "higher",
    "ami": "higher",
    "ari": "higher",
    "cluster_accuracy": "higher",
    "silhouette": "higher",
    "knn_purity": "higher",
    "nn1_accuracy": "higher",
    "r_precision": "higher",
    "map_at_r": "higher",
    "few_shot_accuracy_1": "higher",
    "few_shot_accuracy_5": "higher",
    "probe_accuracy": "higher",
    "intrinsic_dimension": "neither",
    "collapse": "lower",
    "rankme": "neither",
    "participation_ratio": "neither",
    "alpha_req": "neither",
    "start_agreement": "neither",
    "cluster_silhouette": "neither",
}
"""Scores of one layer's embedding of one split."""

HEAD_SCORES: dict[str, Better] = {"accuracy": "higher"}
"""Scores of the network's own head on the seen classes."""

BETTER = LAYER_SCORES | HEAD_SCORES

LABEL_FREE = (
    *("intrinsic_dimension", "rankme", "participation_ratio", "alpha_req"),
    *("start_agreement", "cluster_silhouette"),
)
"""Scores that see no class; those of clusters take the number of classes as known."""

FROM_CLUSTERS = ("nmi", "ami", "ari", "cluster_accuracy")
"""Scores of a k-means clustering."""

REFITTED = (
    *FROM_CLUSTERS,
    *("knn_purity", "nn1_accuracy", "silhouette", "r_precision", "map_at_r"),
    *("few_shot_accuracy_1", "few_shot_accuracy_5", "collapse"),
)
"""Scores that `measure.refits` may fit again: those whose refits are cheap."""

PROBE = "probe_accuracy"
"""The score of the linear probe, which is fitted at its own steps only."""
