"""Names of the scores and scopes in words, what each number is, over what it is a mean, and what intervals are of.

Other classes: if other classes of this domain were drawn, as many left out at a time, and the network trained again on
the rest. Other images: of these classes, with these trained networks. A score without an entry has its own name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stages.aggregate.curves import MEAN, Name, Scores
from stages.aggregate.inference.network_data import NetworkData
from stages.aggregate.scope import BOTH, PROVEN, Scope, is_proven
from stages.aggregate.tables.summary import Level, SummaryRow
from stages.aggregate.words.formatting import joined, plural
from stages.shared.tables.scores import Normalize

NAMES = {
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
    "rankme": "RankMe / min(N, D)",
    "participation_ratio": "participation ratio / D",
    "alpha_req": "alpha-ReQ",
    "start_agreement": "agreement of k-means starts",
    "cluster_silhouette": "silhouette of k-means clusters",
    "accuracy": "accuracy",
}
"""Of scores, in tables and figures."""

DEFINITIONS = {
    "nmi": "Agreement of the true classes with as many k-means clusters of the embeddings, 0 to 1: mutual information "
    "over the mean of both entropies.",
    "ami": "NMI corrected for chance: 0 is the agreement of random clusters, 1 perfect.",
    "ari": "Share of pairs of images on which classes and k-means clusters agree, corrected for chance: 0 is chance, "
    "1 perfect.",
    "knn_purity": "Share of an image's k nearest neighbours that have its class, averaged over images; k is the size "
    "of the largest class.",
    "nn1_accuracy": "Share of images whose nearest neighbour has their class.",
    "probe_accuracy": "Share of images that a linear classifier on the embeddings gets right, none of which it was "
    "fitted on.",
    "cluster_accuracy": "Share of images whose k-means cluster is the one assigned to their class, under the best "
    "one-to-one assignment.",
    "silhouette": "How much closer an image lies to its own class than to the nearest other one, from -1 to 1, "
    "averaged over images.",
    "r_precision": "Share of right images among the R nearest to an image, R being all others of its class, averaged "
    "over images.",
    "map_at_r": "R-precision that weighs order: right neighbours count more the nearer they are.",
    "few_shot_accuracy_1": "Share of images that get their class from the nearest of up to 5 classes, each known from "
    "one image.",
    "few_shot_accuracy_5": "Share of images that get their class from the nearest of up to 5 class means, each of 5 "
    "images.",
    "ood_auroc_knn": "How well the distance to the nearest training images tells unseen from seen classes: 0.5 is "
    "chance, 1 perfect.",
    "ood_fpr95_knn": "Share of unseen images taken for seen ones at the distance to training images that keeps 95 % "
    "of the seen ones.",
    "ood_auroc_mahalanobis": "How well the Mahalanobis distance to the training classes tells unseen from seen "
    "classes: 0.5 is chance, 1 perfect.",
    "ood_fpr95_mahalanobis": "Share of unseen images taken for seen ones at the Mahalanobis distance that keeps 95 % "
    "of the seen ones.",
    "intrinsic_dimension": "Dimension of the manifold that the embeddings fill, whatever their classes.",
    "collapse": "Variance within classes over variance between class means: 0 where every class is a single point.",
    "rankme": "Effective rank of the embeddings over the largest one possible.",
    "participation_ratio": "Number of dimensions among which the variance is spread, over all dimensions.",
    "alpha_req": "Exponent with which the eigenvalues of the covariance decay: high where few directions hold the "
    "variance.",
    "start_agreement": "Agreement of single k-means starts with the best of them: high where clusters are distinct.",
    "cluster_silhouette": "Silhouette of the k-means clusters, without any label.",
    "accuracy": "Share of test images of the seen classes for which the network's own head ranks the right class "
    "first.",
}
"""What the number of a score is, in one sentence for who has not read docs/scores.md."""


LOWER = " (lower is better)"
"""Follows the name of a score of which that is so."""


ROWS: dict[Normalize, str] = {"none": "rows as they are stored", "l2": "rows of length 1"}
"""Of which rows of the embeddings a score is."""


def metric_name(metric: str) -> str:
    """Spell out a score; one that is not listed by its own name, underscores as spaces."""
    return NAMES.get(metric, metric.replace("_", " "))


SCOPES: dict[Scope, str] = {
    "classes": "for other unseen classes",
    "images": "for other images of these classes",
}
"""A scope and its words in a sentence about frozen networks; the wider one first."""

SHORT: dict[Scope, str] = {"classes": "other classes", "images": "other images"}
"""A scope's words beside a number."""

LEVELS: dict[Level, str] = {"chance": "chance", "raw_pixels": "raw pixels"}
"""What a layer must beat, in words."""

NO_INTERVAL = "no interval of a proven level (docs/uncertainty.md)"

FEW_FOLDS = {
    1: "One choice of unseen classes cannot tell how others would come out.",
    2: "Two folds tell too little for an interval over other classes.",
}
FEW_CLASSES = (
    "Scores that are fitted again have intervals over other classes only where all folds have equally many, four or "
    "more (docs/scores.md#refits)."
)


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
    """What one or two folds, or few classes, cannot tell, of rows of means over folds; nothing where intervals do."""
    means = [row for row in rows if row.fold == MEAN]
    told = {(row.dataset, row.model) for row in means if row.ci_classes_low is not None}
    few = min((row.n_folds for row in means if (row.dataset, row.model) not in told), default=0)
    refitted = [row for row in means if row.n_folds > max(FEW_FOLDS) and row.ci_images_low is not None]
    known = {row.dataset for row in refitted if "classes" in row.intervals | row.leads}
    classes = any(row.dataset not in known and row.unseen_sd != 0 for row in refitted)  # 0: folds do not differ
    return FEW_FOLDS.get(few, FEW_CLASSES * classes)


def explain(rows: Sequence[SummaryRow]) -> list[str]:
    """Explain the numbers of a summary, in Markdown, a text for each kind of number."""
    proven = {scope: joined([NAMES[metric] for metric in PROVEN if is_proven(metric, scope)]) for scope in BOTH}
    few = few_folds(rows)
    return [
        "*Accuracy* is that of a fine-tuned network on test images of the seen classes.",
        "*Seen* and *unseen* are the best of any layer, on test images of the seen classes and on images of the unseen "
        "classes, which were held out here (the weights that networks came with may have known them). They have "
        "different numbers of classes: compare layers, not the two splits.",
        "*Best layer* is the one that is best on unseen (of the mean over seeds and folds), counted from 1 at the "
        "input. It is chosen and scored on the same images, so that *unseen* is too good; the table of uses corrects "
        "that.",
        f"*{SHORT['classes'].capitalize()}* and *{SHORT['images']}* are intervals of *unseen*, as of a layer that was "
        "named beforehand: of other classes of this domain, as many left out at a time and the network trained again; "
        f"and of these classes with these trained networks.{' ' + few if few else ''}",
        f"Their level of 95 % is proven over other classes of {proven['classes']}, over other images of "
        f"{proven['images']}.",
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores.",
    ]


def scope_of(rows: Sequence[SummaryRow]) -> str:
    """At which step scores were taken, and over what they are means."""
    averages = Averages(max(row.n_folds for row in rows), max(row.n_seeds for row in rows))
    spread = averages.spread if averages.vary else "so no spread is known"
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}: {averages.words}, {spread}."


def at_last_step(steps: Iterable[int]) -> str:
    """At which step scores were taken: `step 100`, or where networks differ `the last step (0 or 100)`."""
    known = sorted(set(steps))
    return f"step {known[0]}" if len(known) == 1 else f"the last step ({' or '.join(map(str, known))})"


@dataclass(frozen=True)
class Averages:
    """Over how many folds of unseen classes, and seeds of each, values are means."""

    n_folds: int
    n_seeds: int

    @property
    def vary(self) -> bool:
        """Whether values have a standard deviation."""
        return self.n_folds > 1 or self.n_seeds > 1

    @property
    def words(self) -> str:
        """Return it for a caption."""
        seeds = f"{self.n_seeds} seeds" if self.n_seeds > 1 else "one seed"
        return f"mean of {self.n_folds} folds, {seeds} each" if self.n_folds > 1 else self.vary * "mean of " + seeds

    @property
    def spread(self) -> str:
        """Return what bars or bands of one standard deviation, or numbers behind ±, are."""
        return f"± 1 standard deviation over {'folds' if self.n_folds > 1 else 'seeds'} (ddof = 1)"


def closing_note(scores: Scores, measured: Mapping[Name, NetworkData]) -> str:
    """For the closing line: what has no intervals and which curves have no best layer; may be nothing."""
    networks = {"/".join(name): network for name, network in measured.items()}
    without = {
        "no images.parquet, so no intervals of accuracy": [name for name, data in networks.items() if not data.images],
        "nothing fitted again, so no intervals": [name for name, data in networks.items() if data.refits.empty],
        "no finite value": scores.without_best,
    }
    return "".join(f" ({what}: {_few(names)})" for what, names in without.items() if names)


def _few(names: Sequence[str], shown: int = 3) -> str:
    """Name a few, and count the others."""
    return ", ".join([*names[:shown], *([f"{len(names) - shown} more"] if len(names) > shown else [])])


def versions_notice(differing: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Say that cells were made with several versions of libraries; empty where they were not.

    Args:
        differing: library -> version -> names of cells.
    """
    found = [
        f"{library} " + joined([f"{version} ({_cells(names)})" for version, names in versions.items()])
        for library, versions in differing.items()
    ]
    made = "Cells were made with several versions of libraries, which may move their scores"
    return f"{made}: {'; '.join(found)}. `dvc repro -f` computes all of them with today's." if found else ""


def _cells(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else plural(len(names), "cell")
