"""The preset that judges the paper's findings: the literal one with other folds, k-means, scores and checkpoints."""

import re

HEAD = """\
# The paper's networks and pixels, judged: cp docs/presets/paper-judged.yaml params.yaml && dvc repro
# Written by `make docs` from paper.yaml, from which it differs in run.folds, finetune.steps, measure.metrics,
# measure.extra and measure.kmeans. Folds 0 to 3 and many k-means starts give intervals over classes, so the verdict
# can decide whether deeper is better (ii) and, among networks that are accurate alike, whether accuracy implies
# generalization (i). Fold 0 is the paper's choice of unseen classes.
"""

CHANGES = {
    "  # the paper's unseen classes\n  folds: [0]\n": "  # the paper's unseen classes first\n  folds: [0, 1, 2, 3]\n",
    "  steps: [0, 100, 200, 300, 400, 500]\n": "  steps: [0, 500]\n",
    "  metrics: [nmi, knn_purity, nn1_accuracy, probe_accuracy, accuracy]\n": (
        "  metrics: [nmi, knn_purity, nn1_accuracy, map_at_r, probe_accuracy, accuracy]\n"
    ),
    "    metrics: [ami, ari, cluster_accuracy, silhouette, r_precision, map_at_r, few": (
        "    metrics: [ami, ari, cluster_accuracy, silhouette, r_precision, few"
    ),
    "  kmeans: {starts: 1, polished: 1, seed: 42} # the paper's single start\n": (
        "  kmeans: {starts: 50, polished: 5, seed: 42}\n"
    ),
}
"""What stands in the literal preset -> what stands in the other."""


def judged(literal: str) -> str:
    """Return the text of paper-judged.yaml from that of paper.yaml.

    Raises:
        ValueError: a line that differs is not in the literal preset exactly once.
    """
    text = HEAD + re.sub(r"\A(#.*\n)+", "", literal)
    for before, after in CHANGES.items():
        if text.count(before) != 1:
            raise ValueError(f"paper.yaml must have {before!r} once, found {text.count(before)}")
        text = text.replace(before, after)
    return text
