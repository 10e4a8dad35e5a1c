"""The uses of features, and the score that chooses the layer for each."""

from collections.abc import Collection, Mapping

from stages.shared.tables.scores import Score, Use

LEADING: dict[Use, tuple[str, ...]] = {
    "classifier": ("probe_accuracy", "few_shot_accuracy_5", "few_shot_accuracy_1"),
    "retrieval": ("map_at_r", "r_precision", "nn1_accuracy", "knn_purity"),
    "discovery": ("nmi", "ami", "ari", "cluster_accuracy", "silhouette"),
    "detection": ("ood_auroc_knn", "ood_auroc_mahalanobis"),
}
"""A use and its scores, of which the first that was measured leads (docs/scores.md#uses)."""


def leading_scores(measured: Collection[str], main_metric: str, catalogue: Mapping[str, Score]) -> dict[Use, str]:
    """Return the leading score of every use that some score was measured for; the main score leads its own use.

    Args:
        measured: the scores that have a best layer.
        main_metric: the score of the findings.
        catalogue: the facts of every score.
    """
    leading = {use: next((name for name in names if name in measured), None) for use, names in LEADING.items()}
    chosen = {use: name for use, name in leading.items() if name is not None}
    return chosen | ({catalogue[main_metric].use: main_metric} if main_metric in measured else {})
