import numpy as np

from stages.core.scores.sampling import draw_images

LABELS = np.repeat(["rare", "common", "some"], [3, 40, 20])
IDS = [f"image {number}" for number in range(63)]


def test_images_are_drawn_class_by_class_and_all_of_a_smaller_one():
    rows = draw_images(LABELS, IDS, 23, 2)
    assert (np.diff(rows) > 0).all()
    assert dict(zip(*np.unique(LABELS[rows], return_counts=True), strict=True)) == {"common": 10, "rare": 3, "some": 10}
    np.testing.assert_array_equal(draw_images(LABELS, IDS, 63, 2), np.arange(63))


def test_the_draw_depends_on_names_and_not_on_order_and_more_keep_what_fewer_draw():
    names, mixed = np.array(IDS), np.random.default_rng(0).permutation(63)
    few = {*names[draw_images(LABELS, IDS, 20, 2)]}
    assert few == {*names[mixed][draw_images(LABELS[mixed], names[mixed].tolist(), 20, 2)]}
    assert few < {*names[draw_images(LABELS, IDS, 30, 2)]}
    assert few != {*names[:20]}


def test_every_class_has_as_many_as_it_needs():
    assert np.unique(LABELS[draw_images(LABELS, IDS, 10, 5)], return_counts=True)[1].tolist() == [5, 3, 5]


def test_a_class_s_first_images_are_of_different_groups():
    """With any of one group only, no image of the class would have a neighbour of its class in another group."""
    groups = np.where(np.arange(63) % 20 == 0, "few", "many")  # "rare": one of three, "common": two of forty
    groups[50] = "few"
    rows = draw_images(LABELS, IDS, 6, 2, groups)
    assert len(rows) == 6
    for label in np.unique(LABELS):
        assert sorted(groups[rows][LABELS[rows] == label]) == ["few", "many"]
    assert set(rows) < set(draw_images(LABELS, IDS, 12, 2, groups))
