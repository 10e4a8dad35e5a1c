"""How scores are ordered and spelled out in tables and figures."""

from collections.abc import Iterable

METRIC_NAMES = {
    "nmi": "NMI",
    "ami": "AMI",
    "ari": "ARI",
    "knn_purity": "k-NN purity",
    "nn1_accuracy": "1-NN accuracy",
    "probe_accuracy": "linear probe accuracy",
    "cluster_accuracy": "cluster accuracy",
    "silhouette": "silhouette",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "few_shot_accuracy_1": "1-shot accuracy",
    "few_shot_accuracy_5": "5-shot accuracy",
    "ood_auroc_knn": "OOD AUROC (k-NN)",
    "ood_fpr95_knn": "OOD FPR95 (k-NN)",
    "ood_auroc_mahalanobis": "OOD AUROC (Mahalanobis)",
    "ood_fpr95_mahalanobis": "OOD FPR95 (Mahalanobis)",
    "intrinsic_dimension": "intrinsic dimension",
    "collapse": "collapse",
}


def metric_name(metric: str) -> str:
    """Spell out a score; one that is not listed keeps its own name, underscores as spaces."""
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def metric_rank(metric: str) -> tuple[int, str]:
    """Sort key: listed scores in the order of `METRIC_NAMES`, then others by name."""
    names = list(METRIC_NAMES)
    return (names.index(metric) if metric in METRIC_NAMES else len(names), metric)


def short_names(layers: Iterable[str], limit: int = 18) -> list[str]:
    """Shorten layer names for an axis: drop the dotted prefix they share, cut the middle of what is still too long."""
    names = [name.partition("@")[0] for name in layers]
    parts = [name.split(".") for name in names]
    shared = 0
    while all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return [shorten(".".join(p[shared:]), limit) for p in parts] if len(names) > 1 else [shorten(names[0], limit)]


def shorten(text: str, limit: int) -> str:
    """Cut the middle of a text that has more than `limit` characters."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"
