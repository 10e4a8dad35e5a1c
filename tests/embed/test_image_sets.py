from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.embed.corruptions import corrupt
from stages.embed.image_sets import (
    ImageSet,
    available,
    change_pixels,
    last_step_sets,
    remaining_batches,
    sample_rows,
    samples_of,
)
from stages.embed.params import EmbedParams
from stages.shared.images.image_store import PackedImages
from stages.shared.runtime.errors import UserError
from tests.packed import SEEN, pack

VALUES = {
    "splits": ["test", "unseen"], "pooling": ["auto"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 6,
    "corruptions": {"kinds": ["blur", "rotation"], "severities": [1, 3], "per_class": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return pack(tmp_path_factory.mktemp("packed") / "d", size=16, train=20)


@pytest.mark.parametrize("per_class", [1, 7, 20, 100])
def test_a_sample_has_so_many_images_of_each_class_and_of_its_split_alone(images: PackedImages, per_class: int):
    rows = sample_rows(images, "train", per_class)
    drawn = images.manifest.iloc[rows]
    assert drawn.split.unique().tolist() == ["train"]
    assert drawn.label.value_counts().to_dict() == dict.fromkeys(SEEN, min(per_class, 20))
    assert (np.diff(rows) > 0).all()


def test_a_larger_sample_keeps_the_smaller_and_neither_is_the_first_rows(images: PackedImages):
    small, large = sample_rows(images, "train", 5), sample_rows(images, "train", 9)
    assert set(small) < set(large)
    train = images.manifest[images.manifest["split"] == "train"]
    for label, rows in train.groupby("label"):
        drawn = [row for row in small if images.manifest["label"][row] == label]
        assert drawn != rows.index[:5].tolist()
        assert drawn != rows.index[-5:].tolist()


def test_a_sample_does_not_depend_on_the_other_images(images: PackedImages, tmp_path: Path):
    fewer = pack(tmp_path / "fewer", size=16, train=20, test=2, unseen=1)
    for split in ("train",):
        names = [i.manifest.sample_id[sample_rows(i, split, 5)].tolist() for i in (images, fewer)]
        assert names[0] == names[1]


def test_sets_of_the_last_step_are_the_training_sample_and_the_same_images_in_every_kind(images: PackedImages):
    sets = last_step_sets(images, EmbedParams.model_validate(VALUES))
    assert [chosen.split for chosen in sets] == ["train", "blur_1", "blur_3", "rotation_1", "rotation_3"]
    assert [chosen.corruption for chosen in sets] == [None, ("blur", 1), ("blur", 3), ("rotation", 1), ("rotation", 3)]
    assert [len(chosen.rows) for chosen in sets] == [18, 6, 6, 6, 6]
    samples = samples_of(images, sets)
    assert samples.columns.tolist() == ["sample_id", "split", "label", "group"]
    grouped = replace(images, manifest=images.manifest.assign(group=images.manifest.sample_id.str[-1]))
    assert samples_of(grouped, sets).group.tolist() == samples.sample_id.str[-1].tolist()
    clean = images.manifest.iloc[sets[1].rows]
    assert set(clean.split) == {"test"}
    for split in ("blur_1", "blur_3", "rotation_1", "rotation_3"):
        found = samples[samples.split == split]
        assert found.sample_id.tolist() == clean.sample_id.tolist()
        assert found.label.tolist() == clean.label.tolist()


def test_nothing_asked_for_is_no_part(images: PackedImages):
    none = {"train_per_class": 0, "corruptions": {"kinds": [], "severities": [1], "per_class": 2}}
    assert last_step_sets(images, EmbedParams.model_validate({**VALUES, **none})) == []


def test_a_part_of_the_dataset_keeps_its_splits_and_pixels(images: PackedImages):
    rows = images.rows("test", "unseen")
    whole = ImageSet(rows)
    assert samples_of(images, [whole]).split.tolist() == images.manifest.split[rows].tolist()
    pixels = images.read(rows)
    assert change_pixels(images, whole, rows, pixels) is pixels


def test_pixels_of_a_corrupted_part_are_corrupted_by_the_ids_of_their_rows(images: PackedImages):
    rows = images.rows("test")
    chosen = ImageSet(rows, "noise_2", ("noise", 2))
    pixels = images.read(rows)
    whole = corrupt(pixels, images.manifest.sample_id[rows].tolist(), "noise", 2, fill=images.fill)
    np.testing.assert_array_equal(change_pixels(images, chosen, rows[3:7], pixels[3:7]), whole[3:7])


def test_a_frozen_network_does_without_the_splits_that_a_dataset_lacks(images: PackedImages, tmp_path: Path):
    params = EmbedParams.model_validate(VALUES)
    assert (
        available(images, params, fold="0", frozen=True)
        == available(images, params, fold="0", frozen=False)
        == (params, [])
    )
    unseen = pack(tmp_path / "unseen", size=16, train=0, test=0)
    reduced, left_out = available(unseen, params, fold="0", frozen=True)
    assert (reduced.splits, reduced.train_per_class, reduced.corruptions.kinds) == (["unseen"], 0, [])
    assert [phrase.split(",")[0] for phrase in left_out] == [
        "embed.splits",
        "embed.train_per_class",
        "embed.corruptions",
    ]
    with pytest.raises(
        UserError, match=r"embed\.splits asks for 'test', of which fold 0 of this dataset has no images"
    ):
        available(unseen, params, fold="0", frozen=False)
    with pytest.raises(UserError, match=r"embed\.splits asks for 'test'"):
        available(unseen, params.model_copy(update={"splits": ["test"]}), fold="0", frozen=True)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 20])
def test_remaining_batches_are_those_of_a_whole_run_with_a_row_that_is_not_on_disk(size: int):
    sets = [ImageSet(np.arange(7)), ImageSet(np.arange(100, 104), "train"), ImageSet(np.arange(5), "blur_1")]
    store_rows = [(image_set.split, row) for image_set in sets for row in image_set.rows.tolist()]
    whole = remaining_batches(sets, size, 0)
    for on_disk in range(len(store_rows) + 1):
        batches = remaining_batches(sets, size, on_disk)
        of_the_whole = whole[len(whole) - len(batches) :]
        assert [b.rows.tolist() for b in batches] == [b.rows.tolist() for b in of_the_whole]
        assert all(batch.rows_on_disk < len(batch.rows) for batch in batches)
        left = [(b.image_set.split, row) for b in batches for row in b.rows.tolist()[b.rows_on_disk :]]
        assert left == store_rows[on_disk:]
