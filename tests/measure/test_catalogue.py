"""What every score of the catalogue must satisfy, and hand-worked cases of each."""

import numpy as np
import pytest

from stages.measure.catalogue import METRICS, NAMES, accuracy
from tests.measure.synthetic import blobs, embedded

every_score = pytest.mark.parametrize("name", METRICS)
DEPENDS_ON_ORDER = {"nmi", "probe_accuracy"}  # k-means++ draws, and folds, go by position
DEPENDS_ON_SCALE: set[str] = set()


@pytest.fixture(scope="module")
def data():
    return blobs([20, 25, 15], 7, spread=2)


def score(name, X, y, **changes):
    return METRICS[name](embedded(X, y, **changes))


def test_names_are_the_function_names():
    assert [f.__name__ for f in METRICS.values()] == list(METRICS)
    assert NAMES == ("nmi", "knn_purity", "nn1_accuracy", "probe_accuracy", "accuracy")


@every_score
def test_values_lie_between_zero_and_the_ceiling(name, data):
    found = score(name, *data)
    assert 0 < found.chance < found.value <= found.ceiling <= 1


@every_score
def test_the_value_is_the_mean_of_the_images_contributions(name, data):
    found = score(name, *data)
    if found.per_image is None:
        assert name == "nmi"
        return
    assert found.per_image.shape == (60,)
    assert found.value == pytest.approx(found.per_image.mean(), abs=1e-12)


@every_score
def test_renaming_the_classes_changes_nothing(name, data):
    X, y = data
    assert score(name, X, np.array([2, 0, 1])[y]).value == pytest.approx(score(name, X, y).value, abs=1e-12)


@every_score
def test_the_order_of_images_does_not_matter(name, data):
    """Up to rounding for neighbours; for k-means and folds, which draw by position, only where classes are apart."""
    X, y = data if name not in DEPENDS_ON_ORDER else blobs([20, 25, 15], 7, spread=0.2)
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


@every_score
def test_separated_classes_reach_the_ceiling(name):
    X, y = blobs([20, 20, 20], 5, spread=0.01)
    found = score(name, X, y)
    assert found.value == pytest.approx(found.ceiling)


@every_score
def test_noise_is_near_chance(name):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(600, 6)).astype(np.float32), np.repeat(np.arange(4), 150)
    found = score(name, X, y)
    assert found.value == pytest.approx(found.chance, abs=0.05)


@every_score
def test_constant_embeddings_score_without_failing(name):
    y = np.repeat([0, 1, 2], [4, 6, 5])
    found = score(name, np.full((15, 3), 0.7, np.float32), y)
    expected = {
        "nmi": 0,  # one cluster
        "knn_purity": (4 * 3 + 6 * 2)
        / 6
        / 15,  # the 6 lowest other indices: 3 of class 0's own, 2 of class 1's, none of class 2's
        "nn1_accuracy": 4 / 15,  # index 0, and for itself 1: both of class 0
        "probe_accuracy": 6 / 15,  # always the largest class
    }
    assert found.value == pytest.approx(expected[name])


@every_score
def test_l2_makes_scores_blind_to_length(name, data):
    X, y = data
    lengths = np.random.default_rng(1).choice([0.25, 1.0, 4.0], size=(60, 1)).astype(np.float32)
    found = score(name, X * lengths, y, normalize="l2")
    assert found.value == pytest.approx(score(name, X, y, normalize="l2").value, abs=1e-9)
    assert found.value != pytest.approx(score(name, X * lengths, y).value, abs=1e-3)


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


def test_nmi_is_that_of_the_start_of_least_inertia():
    X, y = blobs([20, 20, 20, 20], 3, spread=0.8, seed=4)
    split = embedded(X, y, starts=8)
    inertias = [c.inertia for c in split.clusterings]
    found = METRICS["nmi"](split)
    assert found.value == split.start_nmi[int(np.argmin(inertias))]
    assert len(set(split.start_nmi)) > 1
    assert found.start_sd == pytest.approx(np.std(split.start_nmi, ddof=1))


def test_one_start_has_no_spread(data):
    assert np.isnan(score("nmi", *data, starts=1).start_sd)


def test_probe_chance_is_the_largest_class(data):
    assert score("probe_accuracy", *data).chance == 25 / 60


def test_accuracy_by_hand():
    logits = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 5], [1, 0, 5]], np.float32)
    heads, labels = np.array(["ant", "bee", "cat"]), np.array(["ant", "cat", "cat", "cat"])
    found = accuracy(logits, heads, labels)
    assert found.per_image.tolist() == [True, False, True, True]
    assert (found.value, found.chance, found.ceiling) == (0.75, 0.75, 1.0)
