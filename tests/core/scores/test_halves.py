import numpy as np
import pytest

from stages.core.scores.halves import complementary_halves, halves_seed
from stages.shared.runtime.errors import UserError


def test_pairs_are_complementary_and_every_class_is_split_evenly():
    labels = np.repeat(["a", "b", "c"], [20, 7, 2])
    halves = complementary_halves(labels, 12, seed=1)
    assert halves.shape == (12, 29)
    np.testing.assert_array_equal(halves[::2], ~halves[1::2])
    for label, sizes in {"a": {10}, "b": {3, 4}, "c": {1}}.items():
        assert set(halves[:, labels == label].sum(axis=1)) == sizes
    assert len({half.tobytes() for half in halves}) == 12


def test_all_images_are_equally_likely_to_be_in_a_half():
    halves = complementary_halves(np.repeat(["a", "b"], [9, 6]), 4000, seed=0)[::2]
    assert np.abs(halves.mean(axis=0) - 0.5).max() < 0.05
    together = np.mean(halves[:, 9] == halves[:, 10])
    assert together == pytest.approx(2 / 5, abs=0.04)  # of 5 others, 2 are in its half


def test_halves_depend_on_dataset_fold_and_images_alone():
    ids = ["x/1", "x/2", "y/1"]
    assert halves_seed("d", "0", ids) == halves_seed("d", "0", list(ids))
    others = {halves_seed("d", "1", ids), halves_seed("e", "0", ids), halves_seed("d", "0", ids[:2])}
    assert len(others | {halves_seed("d", "0", ids)}) == 4
    labels = np.repeat(["a", "b"], 10)
    np.testing.assert_array_equal(complementary_halves(labels, 4, 3), complementary_halves(labels, 4, 3))
    assert not np.array_equal(complementary_halves(labels, 4, 3), complementary_halves(labels, 4, 4))


def test_groups_stay_whole_and_classes_balanced():
    labels = np.array(list("ab") * 60)
    groups = np.repeat([f"writer {i}" for i in range(24)], 5)  # each with 2 or 3 images of either class
    halves = complementary_halves(labels, 20, seed=0, groups=groups)
    for group in np.unique(groups):
        assert (halves[:, groups == group] == halves[:, groups == group][:, :1]).all()
    for label in "ab":
        assert np.abs(halves[:, labels == label].sum(axis=1) - 30).max() <= 3
    assert len({half.tobytes() for half in halves}) == 20


def test_groups_of_unequal_sizes_are_dealt_evenly():
    groups = np.repeat(list("vwxyz"), [30, 10, 10, 5, 5])
    sizes = complementary_halves(np.repeat("a", 60), 40, seed=0, groups=groups).sum(axis=1)
    assert np.mean(np.abs(sizes - 30) <= 10) > 0.5


@pytest.mark.parametrize(
    ("labels", "groups", "missing"),
    [
        (["a", "a", "b"], None, "class 'b' must have at least two images"),
        (["a", "a", "b", "b"], ["u", "v", "w", "w"], "class 'b' must have at least two groups"),
    ],
)
def test_a_class_that_cannot_be_halved_is_named(labels, groups, missing):
    with pytest.raises(UserError, match=missing):
        complementary_halves(np.array(labels), 2, seed=0, groups=None if groups is None else np.array(groups))


def test_no_halves_are_an_empty_table():
    assert complementary_halves(np.array(["a", "b"]), 0, seed=0).shape == (0, 2)


def test_classes_of_two_images_have_no_halves():
    with pytest.raises(UserError, match="no class has three images"):
        complementary_halves(np.repeat(["a", "b", "c"], 2), 4, seed=0)
    assert complementary_halves(np.repeat(["a", "b", "c"], 2), 0, seed=0).shape == (0, 6)
