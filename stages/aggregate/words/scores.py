"""Names of the scores and scopes in words, what each number is, and what the intervals of a table or a chart are of.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks. A score without an entry has its own name.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.aggregate.curves import MEAN
from stages.aggregate.scope import Scope, is_proven
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import joined


@dataclass(frozen=True)
class ScoreWords:
    """The words for one score.

    Attributes:
        name: in tables and figures.
        definition: what its number is, in one sentence for who has not read docs/scores.md; empty where not listed.
    """

    name: str
    definition: str = ""


SCORE_WORDS = {
    "nmi": ScoreWords(
        "NMI",
        "Agreement of the true classes with as many k-means clusters of the embeddings, 0 to 1: mutual information "
        "over the mean of both entropies.",
    ),
    "ami": ScoreWords("AMI", "NMI corrected for chance: 0 is the agreement of random clusters, 1 perfect."),
    "ari": ScoreWords(
        "ARI",
        "Share of pairs of images on which classes and k-means clusters agree, corrected for chance: 0 is chance, "
        "1 perfect.",
    ),
    "knn_purity": ScoreWords(
        "k-NN purity",
        "Share of an image's k nearest neighbours that have its class, averaged over images; k is the size of the "
        "largest class.",
    ),
    "nn1_accuracy": ScoreWords("1-NN accuracy", "Share of images whose nearest neighbour has their class."),
    "probe_accuracy": ScoreWords(
        "linear probe accuracy",
        "Share of images that a linear classifier on the embeddings gets right, none of which it was fitted on.",
    ),
    "cluster_accuracy": ScoreWords(
        "cluster accuracy",
        "Share of images whose k-means cluster is the one assigned to their class, under the best one-to-one "
        "assignment.",
    ),
    "silhouette": ScoreWords(
        "silhouette",
        "How much closer an image lies to its own class than to the nearest other one, from -1 to 1, averaged over "
        "images.",
    ),
    "r_precision": ScoreWords(
        "R-precision",
        "Share of right images among the R nearest to an image, R being all others of its class, averaged over images.",
    ),
    "map_at_r": ScoreWords("MAP@R", "R-precision that weighs order: right neighbours count more the nearer they are."),
    "few_shot_accuracy_1": ScoreWords(
        "1-shot accuracy",
        "Share of images that get their class from the nearest of up to 5 classes, each known from one image.",
    ),
    "few_shot_accuracy_5": ScoreWords(
        "5-shot accuracy",
        "Share of images that get their class from the nearest of up to 5 class means, each of 5 images.",
    ),
    "ood_auroc_knn": ScoreWords(
        "OOD AUROC (k-NN)",
        "How well the distance to the nearest training images tells unseen from seen classes: 0.5 is chance, 1 "
        "perfect.",
    ),
    "ood_fpr95_knn": ScoreWords(
        "OOD FPR95 (k-NN)",
        "Share of unseen images taken for seen ones at the distance to training images that keeps 95 % of the seen "
        "ones.",
    ),
    "ood_auroc_mahalanobis": ScoreWords(
        "OOD AUROC (Mahalanobis)",
        "How well the Mahalanobis distance to the training classes tells unseen from seen classes: 0.5 is chance, "
        "1 perfect.",
    ),
    "ood_fpr95_mahalanobis": ScoreWords(
        "OOD FPR95 (Mahalanobis)",
        "Share of unseen images taken for seen ones at the Mahalanobis distance that keeps 95 % of the seen ones.",
    ),
    "intrinsic_dimension": ScoreWords(
        "intrinsic dimension", "Dimension of the manifold that the embeddings fill, whatever their classes."
    ),
    "collapse": ScoreWords(
        "collapse", "Variance within classes over variance between class means: 0 where every class is a single point."
    ),
    "rankme": ScoreWords("RankMe / min(N, D)", "Effective rank of the embeddings over the largest one possible."),
    "participation_ratio": ScoreWords(
        "participation ratio / D", "Number of dimensions among which the variance is spread, over all dimensions."
    ),
    "alpha_req": ScoreWords(
        "alpha-ReQ",
        "Exponent with which the eigenvalues of the covariance decay: high where few directions hold the variance.",
    ),
    "start_agreement": ScoreWords(
        "agreement of k-means starts",
        "Agreement of single k-means starts with the best of them: high where clusters are distinct.",
    ),
    "cluster_silhouette": ScoreWords(
        "silhouette of k-means clusters", "Silhouette of the k-means clusters, without any label."
    ),
    "accuracy": ScoreWords(
        "accuracy",
        "Share of test images of the seen classes for which the network's own head ranks the right class first.",
    ),
}


LOWER = " (lower is better)"
"""Follows the name of a score of which that is so."""


def score_words(metric: str) -> ScoreWords:
    """The words for a score; of one that is not listed its own name, underscores as spaces."""
    return SCORE_WORDS.get(metric) or ScoreWords(metric.replace("_", " "))


def metric_name(metric: str) -> str:
    """Spell out a score."""
    return score_words(metric).name


SCOPES: dict[Scope, str] = {
    "classes": "for other unseen classes",
    "images": "for other images of these classes",
}
"""A scope and its words in a sentence about frozen networks; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number."""

NO_INTERVAL = "no interval of a proven level (docs/uncertainty.md)"

FEW_FOLDS = {
    1: "One choice of unseen classes cannot tell how others would come out.",
    2: "Two folds tell too little for an interval over other classes.",
}


def scope_words(metric: str, scope: Scope) -> str:
    """Name a scope beside a statement, and say where its level is not proven."""
    return f"{SHORT[scope]}{'' if is_proven(metric, scope) else ', no proven level'}"


def scope_sentence(scope: Scope, step: int) -> str:
    """A scope's words in a sentence about networks that were trained for so many steps; of frozen ones 0."""
    return SCOPES[scope] + " and retraining" * (scope == "classes" and step > 0)


def explain_intervals(what: str, shown: Iterable[tuple[str, str, Scope | None]], step: int) -> str:
    """Explain what intervals are of, and of which their level is not proven; nothing where there are none.

    Args:
        what: shows them, `[ ]` for example.
        shown: the name, the score and the scope of each interval; None: there is none.
        step: the last of their networks.
    """
    shown = list(shown)
    told: list[str] = []
    for scope in SCOPES:
        own = {name: is_proven(metric, scope) for name, metric, its in shown if its == scope}
        unproven = [name for name, proven in own.items() if not proven]
        whose = f"{joined(list(own))}: " if told and own else ""
        level, exception = "95 % " * any(own.values()), f" ({joined(unproven)}: not proven)" if unproven else ""
        told += [f"{whose}{level}{scope_sentence(scope, step)}{exception}"] if own else []
    return f"{what}: {'; '.join(told)}." if told else ""


def explain_scopes(metric: str, step: int) -> str:
    """Explain what brackets beside the words of `SHORT` are, of networks with this last step."""
    levels = {scope: "95 %" if is_proven(metric, scope) else "no proven level" for scope in SCOPES}
    told = [f"{SHORT[scope]}: {scope_sentence(scope, step)} ({level})" for scope, level in levels.items()]
    return f"[ ] of {'; of '.join(told)}."


def few_folds(rows: Iterable[SummaryRow]) -> str:
    """What one or two folds cannot tell, of rows of means over folds; nothing of three or more."""
    return FEW_FOLDS.get(min(row.n_folds for row in rows if row.fold == MEAN), "")
