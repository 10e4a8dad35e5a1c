"""What every score of the catalogue must satisfy, and hand-worked cases of each."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from stages.core.scores import arrays, geometry
from stages.core.scores.agreement import assigned_classes
from stages.core.scores.catalogue import LAYER_SCORES, SCORES, LayerScore, accuracy, needs_of
from stages.core.scores.embedded_split import EmbeddedSplit
from stages.core.scores.kmeans import Search
from stages.core.scores.neighbours import chance_order
from stages.shared.workflow.seeding import child_seed
from tests.measure.synthetic import blobs, embedded, settings

every_score = pytest.mark.parametrize("name", LAYER_SCORES)
RANKING = [name for name, score in LAYER_SCORES.items() if score.better != "neither"]
LABEL_FREE = [name for name, score in LAYER_SCORES.items() if score.better == "neither"]
CLUSTERED = {"nmi", "ami", "ari", "cluster_accuracy", "start_agreement", "cluster_silhouette"}
DEPENDS_ON_ORDER = {*CLUSTERED, "probe_accuracy", "few_shot_accuracy_1", "few_shot_accuracy_5"}
"""K-means++ draws, folds and episodes go by position."""


@pytest.fixture(scope="module")
def data():
    return blobs([20, 25, 15], 12, spread=2)


def score(name, X, y, **changes):
    return LAYER_SCORES[name].score(embedded(X, y, **changes))


def test_names_are_the_function_names():
    for name, entry in LAYER_SCORES.items():
        if not name.startswith("few_shot_accuracy_"):
            assert entry.compute.__name__ == name
    assert LAYER_SCORES["few_shot_accuracy_5"].compute.keywords == {"shots": 5}


@pytest.mark.parametrize("facts", [{"better": "higher", "low": 0, "high": 1}, {"better": "higher", "use": "retrieval"}])
def test_an_entry_without_limits_or_use_is_refused(facts):
    with pytest.raises(TypeError, match="missing"):
        LayerScore(LAYER_SCORES["nmi"].compute, **facts)


@every_score
def test_values_and_chance_levels_lie_within_the_limits(name, data):
    found, entry = score(name, *data), LAYER_SCORES[name]
    levels = [level for level in (found.value, found.chance, found.ceiling) if not np.isnan(level)]
    assert all(entry.low <= level <= entry.high for level in levels)


@pytest.mark.parametrize("name", RANKING)
def test_values_lie_between_chance_and_the_ceiling(name, data):
    found = score(name, *data)
    if SCORES[name].better == "lower":
        assert found.ceiling < found.value < found.chance
    else:
        assert -0.1 < found.chance < found.value <= found.ceiling <= 1


@pytest.mark.parametrize("name", LABEL_FREE)
def test_a_score_that_ranks_nothing_has_neither_chance_nor_ceiling(name, data):
    found = score(name, *data)
    assert np.isnan([found.chance, found.ceiling]).all()
    least, most = {"intrinsic_dimension": (1, 12), "alpha_req": (0.3, 3)}.get(name, (0, 1))
    assert least < found.value < most


@pytest.mark.parametrize("name", LABEL_FREE)
def test_a_score_that_sees_no_class_knows_the_number_of_classes_alone(name, data):
    X, _ = data
    dealt = [np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [30, 20, 10])) for seed in (0, 1)]
    assert score(name, X, dealt[0]).value == score(name, X, dealt[1]).value == score(name, *data).value


@every_score
def test_the_value_is_the_mean_of_the_images_contributions(name, data):
    found = score(name, *data)
    if found.per_image is None:
        assert not LAYER_SCORES[name].per_image
        return
    assert LAYER_SCORES[name].per_image or name in ("intrinsic_dimension", "collapse")  # the images' influence
    assert found.per_image.shape == (60,)
    assert found.value == pytest.approx(found.per_image.mean(), abs=1e-12)
    assert found.left_out == 0


@every_score
def test_renaming_the_classes_changes_nothing(name, data):
    X, y = data
    assert score(name, X, np.array([2, 0, 1])[y]).value == pytest.approx(score(name, X, y).value, abs=1e-12)


@every_score
def test_the_order_of_images_does_not_matter(name, data):
    """Up to rounding for neighbours; for what draws by position, only where classes are apart."""
    X, y = data if name not in DEPENDS_ON_ORDER else blobs([20, 25, 15], 7, spread=0.05)
    order = np.random.default_rng(5).permutation(len(y))
    found, shuffled = score(name, X, y), score(name, X[order], y[order])
    assert shuffled.value == pytest.approx(found.value, abs=1e-9)
    if found.per_image is not None:
        assert np.allclose(shuffled.per_image, found.per_image[order])


@every_score
@pytest.mark.parametrize("factor", [2.0**-10, 2.0**12])
def test_the_scale_of_the_embedding_does_not_matter(name, data, factor):
    X, y = data
    assert score(name, (X * factor).astype(np.float32), y).value == pytest.approx(score(name, X, y).value, abs=1e-9)


@pytest.mark.parametrize("name", RANKING)
def test_separated_classes_reach_the_ceiling(name):
    X, y = blobs([20, 20, 20], 5, spread=0.001)
    found = score(name, X, y)
    assert found.value == pytest.approx(found.ceiling, abs=0.01)


@pytest.mark.parametrize("name", RANKING)
def test_noise_is_near_chance(name):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(600, 6)).astype(np.float32), np.repeat(np.arange(4), 150)
    found = score(name, X, y)
    wide = {"rel": 0.5} if name == "collapse" else {"abs": 0.05}  # of 3 x 6 independent deviations of class means
    assert found.value == pytest.approx(found.chance, **wide)


@every_score
def test_constant_embeddings_score_without_failing(name):
    y = np.repeat([0, 1, 2], [4, 6, 5])
    found = score(name, np.full((15, 3), 0.7, np.float32), y)
    matches = [(y[[j for j in chance_order(15, i) if j != i]] == y[i]) for i in range(15)]  # all are equally near
    nearest = [own[: own.sum()] for own in matches]
    expected = {
        "nmi": 0,  # one cluster
        "ami": 0,
        "ari": 0,
        "cluster_accuracy": 6 / 15,  # the one cluster goes to the largest class
        "silhouette": 0,
        "knn_purity": np.mean([own[:6].mean() for own in matches]),
        "nn1_accuracy": np.mean([own[0] for own in matches]),
        "r_precision": np.mean([own.mean() for own in nearest]),
        "map_at_r": np.mean([np.mean(own * np.cumsum(own) / np.arange(1, len(own) + 1)) for own in nearest]),
        "probe_accuracy": 6 / 15,  # always the largest class
        "few_shot_accuracy_5": np.nan,  # one class has more than five images
        "intrinsic_dimension": np.nan,
        "collapse": np.nan,
        "rankme": 1 / 3,  # one direction of three
        "participation_ratio": np.nan,
        "alpha_req": np.nan,
        "start_agreement": np.nan,
        "cluster_silhouette": np.nan,
    }
    if name == "few_shot_accuracy_1":  # always the first way of the episode, which each class is in a third of them
        assert found.value == pytest.approx(1 / 3, abs=0.05)
    else:
        assert found.value == pytest.approx(expected[name], nan_ok=True)


def test_blocks_and_company_do_not_change_a_score(data, monkeypatch):
    X, y = data
    alone = {name: score(name, X, y) for name in LAYER_SCORES if name not in DEPENDS_ON_ORDER}
    monkeypatch.setattr(arrays, "ROWS_PER_BLOCK", 7)
    monkeypatch.setattr(geometry, "FEATURES_PER_BLOCK", 2)
    split = EmbeddedSplit(X, y, settings(y), needs=needs_of(LAYER_SCORES))
    together = {name: metric.score(split) for name, metric in LAYER_SCORES.items()}
    for name, expected in alone.items():
        found = together[name]
        assert found.value == pytest.approx(expected.value, rel=1e-12), name
        assert found.per_image is None or np.allclose(found.per_image, expected.per_image), name


def test_knn_purity_by_hand():
    """Points 0, 1 | 3, 7, 8 with k = 3: shares 1/3, 1/3 | 2/3, 2/3, 2/3 of ceilings 1/3 and 2/3."""
    X, y = np.array([[0], [1], [3], [7], [8]], np.float32), np.array([0, 0, 1, 1, 1])
    found = score("knn_purity", X, y)
    # neighbours: 0: 1 3 7; 1: 0 3 7; 3: 1 0 7; 7: 8 3 1; 8: 7 3 1
    assert found.per_image == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert found.ceiling == pytest.approx((2 * 1 / 3 + 3 * 2 / 3) / 5)
    assert found.chance == pytest.approx((2 * 1 + 3 * 2) / 5 / 4)


def test_k_is_at_most_all_others():
    X = blobs([4], 2)[0]
    found = score("knn_purity", X, np.array([0, 0, 0, 1]), neighbours=3)
    assert found.per_image == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])


def test_a_class_of_one_image_counts_as_wrong_and_lowers_the_ceiling():
    X, y = np.array([[0], [1], [2], [9]], np.float32), np.array([0, 0, 0, 1])
    nearest = score("nn1_accuracy", X, y)
    assert nearest.per_image.tolist() == [True, True, True, False]
    assert nearest.ceiling == 3 / 4
    assert score("knn_purity", X, y, neighbours=2).ceiling == 3 / 4


def test_nmi_is_that_of_the_least_inertia():
    X, y = blobs([20, 20, 20, 20], 3, spread=0.8, seed=4)
    split = embedded(X, y, search=Search(8, 5))
    every = [normalized_mutual_info_score(y, each.labels) for each in split.clusterings]
    assert LAYER_SCORES["nmi"].score(split).value == pytest.approx(every[0])
    assert len(set(every)) > 1


def test_a_single_start_is_the_papers(data):
    X, y = data
    labels = KMeans(n_clusters=3, random_state=42, n_init="auto").fit(X).labels_
    assert score("nmi", X, y, search=Search(1, 1, 42)).value == pytest.approx(normalized_mutual_info_score(y, labels))


def test_probe_chance_is_the_largest_class(data):
    assert score("probe_accuracy", *data).chance == 25 / 60


def test_accuracy_by_hand():
    logits = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 5], [1, 0, 5]], np.float32)
    heads, labels = np.array(["ant", "bee", "cat"]), np.array(["ant", "cat", "cat", "cat"])
    found = accuracy(logits, heads, labels)
    assert found.per_image.tolist() == [True, False, True, True]
    assert (found.value, found.chance, found.ceiling) == (0.75, 0.75, 1.0)


def test_corrected_scores_are_scikit_learns_of_the_same_clusters(data):
    X, y = data
    split = embedded(X, y)
    labels = split.clusters
    assert LAYER_SCORES["ami"].score(split).value == pytest.approx(adjusted_mutual_info_score(y, labels), rel=1e-12)
    assert LAYER_SCORES["ari"].score(split).value == pytest.approx(adjusted_rand_score(y, labels), rel=1e-12)
    nmi = LAYER_SCORES["nmi"].score(split)
    assert LAYER_SCORES["ami"].score(split).value == pytest.approx((nmi.value - nmi.chance) / (1 - nmi.chance))


def test_cluster_accuracy_is_that_of_the_same_clusters(data):
    split = embedded(*data)
    found = LAYER_SCORES["cluster_accuracy"].score(split)
    assert found.value == (assigned_classes(split.y, split.clusters) == split.y).mean()


def test_a_class_of_one_image_is_never_retrieved():
    X, y = np.array([[0], [1], [2], [9]], np.float32), np.array([0, 0, 0, 1])
    for name in ("r_precision", "map_at_r"):
        found = score(name, X, y)
        assert found.per_image.tolist() == [1, 1, 1, 0]
        assert found.ceiling == 3 / 4


@pytest.mark.parametrize("company", [(), ("neighbours",), ("neighbours", "class_distances"), ("class_distances",)])
def test_the_clusters_silhouette_is_scikit_learns(company, data):
    X, y = data
    split = EmbeddedSplit(X, y, settings(y), needs={*needs_of(["cluster_silhouette"]), *company})
    found, own = LAYER_SCORES["cluster_silhouette"].score(split), LAYER_SCORES["silhouette"].score(split)
    assert found.value == pytest.approx(silhouette_score(X.astype(np.float64), split.clusters), abs=1e-9)
    assert own.value == pytest.approx(silhouette_score(X.astype(np.float64), y), abs=1e-9)


def test_starts_agree_as_plain_fits_of_the_leading_columns_do():
    X, y = blobs([20, 20, 20, 20], 30, spread=0.8, seed=4)
    split = embedded(X, y, search=Search(6, 2, 7))
    few = split.rotated[:, :16]
    fits = [KMeans(4, n_init=1, random_state=child_seed(7, "kmeans", start)).fit(few) for start in range(6)]
    best, *others = sorted(fits, key=lambda fit: fit.inertia_)
    expected = np.mean([adjusted_mutual_info_score(best.labels_, other.labels_) for other in others])
    assert score("start_agreement", X, y, search=Search(6, 2, 7)).value == pytest.approx(expected)
    assert expected < 0.999
    assert score("start_agreement", *blobs([20, 20, 20], 5, spread=0.001), search=Search(6, 2)).value == 1


def test_a_single_start_agrees_with_nothing(data):
    assert np.isnan(score("start_agreement", *data, search=Search(1, 1, 42)).value)


def test_silhouettes_chance_is_that_of_shuffled_classes(data):
    X, y = data
    split = embedded(X, y)
    slow = [silhouette_score(X.astype(np.float64), dealt) for dealt in split.shuffled_y]
    assert len(slow) == 20
    assert LAYER_SCORES["silhouette"].score(split).chance == pytest.approx(np.mean(slow), abs=1e-9)
    random = np.random.default_rng(1)
    shuffled = [silhouette_score(X.astype(np.float64), random.permutation(y)) for _ in range(100)]
    assert np.mean(slow) == pytest.approx(np.mean(shuffled), abs=4 * np.std(shuffled) / 20**0.5)
    assert np.mean(shuffled) < 0


def test_silhouettes_chance_has_the_same_shuffles_for_every_layer():
    (X, y), (other, _) = blobs([9, 7, 5], 3), blobs([9, 7, 5], 8, seed=1)
    first, second = embedded(X, y).shuffled_y, embedded(other, y).shuffled_y
    assert np.array_equal(first, second)
    assert (np.sort(first) == np.sort(y)).all()
    assert len(np.unique(first, axis=0)) == 20
