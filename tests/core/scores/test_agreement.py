from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from stages.core.scores.agreement import (
    adjusted_mutual_information,
    adjusted_rand_index,
    assigned_classes,
    chance_of_assignment,
    mean_agreement,
    nmi_with_chance,
    normalized_mutual_information,
)
from stages.core.scores.kmeans import Search, cluster
from tests.measure.synthetic import blobs


@pytest.mark.parametrize("score", [adjusted_mutual_information, adjusted_rand_index])
def test_parts_of_one_image_each_are_the_same_whatever_their_order(score):
    assert score(np.array([2, 0, 1]), np.array([0, 1, 2], np.int32)) == 1
    assert score(np.array([0, 1, 1]), np.array([1, 0, 0], np.int32)) == 1
    assert score(np.array([0, 1, 2]), np.array([0, 0, 0], np.int32)) == 0


def test_mean_agreement_is_scikit_learns_with_the_first():
    random = np.random.default_rng(2)
    first, other = random.integers(0, 4, (2, 60)).astype(np.int32)
    near = np.where(random.random(60) < 0.8, first, other).astype(np.int32)
    renamed = np.array([3, 0, 1, 2], np.int32)
    found = mean_agreement([first, renamed[first], near, renamed[near], other])
    values = [1, *(adjusted_mutual_info_score(first, labels) for labels in (near, near, other))]
    assert found == pytest.approx(np.mean(values))
    assert np.isnan([mean_agreement([first]), mean_agreement([np.zeros(5, np.int32)] * 2)]).all()


def test_nmi_of_hand_worked_cases():
    classes = np.array([0, 0, 1, 1])
    assert normalized_mutual_information(classes, np.array([5, 5, 2, 2], np.int32)) == pytest.approx(1)
    assert normalized_mutual_information(classes, np.array([0, 1, 0, 1], np.int32)) == pytest.approx(0)
    assert normalized_mutual_information(classes, np.zeros(4, np.int32)) == 0
    # clusters {a}, {a, b, b}: I = H(3/4, 1/4) - 3/4 H(1/3, 2/3), over the mean of ln 2 and H(3/4, 1/4)
    h = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    information = np.log(2) - 0.75 * -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    expected = information / ((np.log(2) + h) / 2)
    assert normalized_mutual_information(classes, np.array([0, 1, 1, 1], np.int32)) == pytest.approx(expected)


def test_nmi_of_clusters_that_are_the_classes_is_one_and_no_more():
    for sizes in ([8, 8, 8, 8], [10, 10], [3, 5, 7], [20] * 15, [1, 2, 97]):
        y = np.repeat(np.arange(len(sizes)), sizes)
        found = normalized_mutual_information(y, y.astype(np.int32))
        assert 1 - 1e-12 < found <= 1


@pytest.mark.parametrize(("classes", "clusters"), [(2, 6), (3, 3), (3, 4), (6, 2)])
def test_nmi_of_independent_partitions_is_zero_and_no_less(classes, clusters):
    y, labels = np.repeat(np.arange(classes), clusters), np.tile(np.arange(clusters, dtype=np.int32), classes)
    assert 0 <= normalized_mutual_information(y, labels) < 1e-12


def test_chance_is_the_mean_nmi_of_shuffled_labels():
    random = np.random.default_rng(0)
    y, labels = random.integers(0, 4, 60), random.integers(0, 4, 60).astype(np.int32)
    shuffled = [normalized_mutual_info_score(y, random.permutation(labels)) for _ in range(1000)]
    _, chance = nmi_with_chance(y, labels)
    assert chance == pytest.approx(np.mean(shuffled), abs=4 * np.std(shuffled) / np.sqrt(1000))
    assert chance > 0.03


def test_chance_and_nmi_together_give_the_adjusted_score():
    X, y = blobs([15, 25, 10], 4, spread=2)
    labels = cluster(X, 3, Search(1)).labels
    value, chance = nmi_with_chance(y, labels)
    assert (value - chance) / (1 - chance) == pytest.approx(adjusted_mutual_info_score(y, labels))


def test_chance_of_a_single_cluster_is_zero():
    assert nmi_with_chance(np.array([0, 1, 1]), np.zeros(3, np.int32)) == (0, 0)


@pytest.mark.parametrize("clusters", [3, 4, 5])
def test_the_assignment_is_the_best_of_all(clusters):
    random = np.random.default_rng(clusters)
    y, labels = random.permutation(np.arange(50) % 4), random.integers(0, clusters, 50).astype(np.int32)
    targets = [*range(4), -1]
    slow = max(np.mean(np.array(given)[labels] == y) for given in permutations(targets, clusters))
    assert (assigned_classes(y, labels) == y).mean() == pytest.approx(slow)


def test_an_assignment_by_hand():
    y, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([7, 7, 4, 4, 4, 7], np.int32)
    assert assigned_classes(y, labels).tolist() == [0, 0, 1, 1, 1, 0]  # class 2 gets no cluster
    y, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 2, 2, 2], np.int32)
    assert assigned_classes(y, labels).tolist() == [-1, 0, 0, 1, 1, 1]  # cluster 0 gets no class


def test_chance_of_the_assignment_is_the_mean_over_shuffled_labels():
    random = np.random.default_rng(0)
    y, labels = random.integers(0, 4, 60), random.integers(0, 4, 60).astype(np.int32)
    shuffled = [(assigned_classes(y, s) == y).mean() for s in (random.permutation(labels) for _ in range(1000))]
    chance = chance_of_assignment(y, labels)
    assert chance == pytest.approx(np.mean(shuffled), abs=4 * np.std(shuffled) / np.sqrt(200))
    assert chance > 0.3
    assert chance_of_assignment(y, random.permutation(labels)) == chance
    assert chance_of_assignment(y, np.zeros(60, np.int32)) == np.bincount(y).max() / 60


def test_empty_clusters_change_neither_nmi_nor_chance():
    y, labels = np.repeat([0, 1, 2], 8), np.tile([0, 1], 12).astype(np.int32)
    labels[:6] = 0
    gap = np.where(labels == 1, 4, labels).astype(np.int32)
    assert normalized_mutual_info_score(y, labels) > 0
    assert normalized_mutual_information(y, gap) == pytest.approx(normalized_mutual_info_score(y, labels))
    assert nmi_with_chance(y, gap) == nmi_with_chance(y, labels)
