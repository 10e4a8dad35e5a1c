import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score, roc_auc_score

from stages.aggregate.contributions import Contributions
from stages.aggregate.uncertainty.scorers import build_scorer, contributing_columns, strata

KEYS = [("x", "mean"), ("y", "max")]


@pytest.fixture
def images():
    """Two seeds, two embeddings, 12 seen and 20 unseen images."""
    rng = np.random.default_rng(3)
    labels = {"test": np.repeat(["b", "a"], 6), "unseen": np.repeat(["e", "c", "d", "f"], 5)}
    blocks = [
        {
            (7, split, *key): {
                "cluster": rng.integers(4, size=len(names)).astype(np.float32),
                "ood_knn": rng.random(len(names)).astype(np.float32),
                "nn1_accuracy": rng.random(len(names)).astype(np.float32),
            }
            for split, names in labels.items()
            for key in KEYS
        }
        for _ in range(2)
    ]
    return Contributions(labels, dict(enumerate(blocks)))


def once(scorer):
    return scorer.per_seed(np.ones((1, len(scorer.y)), np.float32))[0]


def test_the_columns_that_scores_need():
    assert contributing_columns(["nmi", "ood_fpr95_knn", "ami", "silhouette", "ood_auroc_mahalanobis"]) == [
        "cluster",
        "ood_knn",
        "silhouette",
        "ood_mahalanobis",
    ]


@pytest.mark.parametrize(
    ("metric", "score"),
    [("nmi", normalized_mutual_info_score), ("ami", adjusted_mutual_info_score), ("ari", adjusted_rand_score)],
)
def test_scores_of_clusters_are_those_of_scikit_learn(images, metric, score):
    labels = images.labels["unseen"]
    expected = [[score(labels, seed[7, "unseen", *key]["cluster"]) for key in KEYS] for seed in images.blocks.values()]
    assert once(build_scorer(images, metric, 7, "unseen", KEYS)) == pytest.approx(np.array(expected))


def test_most_scores_are_the_mean_of_their_own_column(images):
    expected = [[seed[7, "test", *key]["nn1_accuracy"].mean() for key in KEYS] for seed in images.blocks.values()]
    assert once(build_scorer(images, "nn1_accuracy", 7, "test", KEYS)) == pytest.approx(np.array(expected))


def test_a_score_that_is_not_listed_has_no_columns_and_no_scorer(images):
    assert contributing_columns(["of_tomorrow"]) == []
    assert build_scorer(images, "of_tomorrow", 7, "unseen", KEYS) is None


def test_unseen_images_are_separated_from_seen_ones_by_distance(images):
    scorer = build_scorer(images, "ood_auroc_knn", 7, "unseen", KEYS[1:])
    truth = np.repeat([0, 1], [12, 20])
    distances = [
        np.concatenate([seed[7, split, *KEYS[1]]["ood_knn"] for split in ("test", "unseen")])
        for seed in images.blocks.values()
    ]
    assert once(scorer)[:, 0] == pytest.approx([roc_auc_score(truth, d) for d in distances])
    assert len(np.unique(scorer.y)) == 6


def test_a_score_without_contributions_has_no_scorer(images):
    assert build_scorer(images, "silhouette", 7, "unseen", KEYS) is None
    assert build_scorer(images, "ood_auroc_mahalanobis", 7, "unseen", KEYS) is None
    assert build_scorer(images, "ood_auroc_knn", 7, "test", KEYS) is None


def test_an_image_without_a_cluster_leaves_its_layer_unscored(images):
    images.blocks[0][7, "unseen", *KEYS[0]]["cluster"][3] = np.nan
    values = once(build_scorer(images, "nmi", 7, "unseen", KEYS))
    assert np.isnan(values).tolist() == [[True, False], [False, False]]


def test_strata_number_the_classes_by_name():
    assert strata(np.array(["b", "a", "b"])).tolist() == [1, 0, 1]
