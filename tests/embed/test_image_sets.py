from pathlib import Path

import numpy as np
import pytest

from stages.embed.image_sets import available, sample_rows
from stages.embed.params import EmbedParams
from stages.shared.images.image_store import PackedImages
from stages.shared.runtime.errors import UserError
from tests.packed import SEEN, pack

VALUES = {
    "splits": ["test", "unseen"], "pooling": ["auto"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 6,
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
    names = [each.manifest.sample_id[sample_rows(each, "train", 5)].tolist() for each in (images, fewer)]
    assert names[0] == names[1]


def test_a_frozen_network_does_without_the_splits_that_a_dataset_lacks(images: PackedImages, tmp_path: Path):
    params = EmbedParams.model_validate(VALUES)
    assert (
        available(images, params, fold="0", frozen=True)
        == available(images, params, fold="0", frozen=False)
        == (params, [])
    )
    unseen = pack(tmp_path / "unseen", size=16, train=0, test=0)
    reduced, left_out = available(unseen, params, fold="0", frozen=True)
    assert (reduced.splits, reduced.train_per_class) == (["unseen"], 0)
    assert [phrase.split(",")[0] for phrase in left_out] == ["embed.splits", "embed.train_per_class"]
    with pytest.raises(
        UserError, match=r"embed\.splits asks for 'test', of which fold 0 of this dataset has no images"
    ):
        available(unseen, params, fold="0", frozen=False)
    with pytest.raises(UserError, match=r"embed\.splits asks for 'test'"):
        available(unseen, params.model_copy(update={"splits": ["test"]}), fold="0", frozen=True)
