from pathlib import Path

import pytest

from stages.prepare.class_folders import list_classes
from stages.shared.runtime.errors import UserError


class Names:
    where, hidden = Path("raw"), ()

    def __init__(self, *paths):
        self.paths = paths

    def content(self, path):
        return path.encode


def found(listing):
    return {c.sample_id: (c.label, c.split) for c in listing.candidates}


def test_class_folders():
    listing = list_classes(Names("cat/1.png", "dog/1.png"))
    assert found(listing) == {"cat/1.png": ("cat", None), "dog/1.png": ("dog", None)}
    assert listing.candidates[1].content() == b"dog/1.png"


def test_split_folders():
    listing = list_classes(Names("train/cat/1.png", "test/cat/1.png", "unseen/dog/1.png"))
    assert found(listing) == {
        "train/cat/1.png": ("cat", "train"),
        "test/cat/1.png": ("cat", "test"),
        "unseen/dog/1.png": ("dog", "unseen"),
    }


@pytest.mark.parametrize("paths", [("cat/1.png", "dog/1.png"), ("train/cat/1.png", "test/dog/1.png")])
def test_one_folder_around_all_is_left_out_of_ids(paths):
    wrapped = list_classes(Names("mine-1.0/LICENSE", *(f"mine-1.0/{path}" for path in paths)))
    assert found(wrapped) == found(list_classes(Names(*paths)))
    assert [c.source for c in wrapped.candidates] == [f"mine-1.0/{path}" for path in paths]
    assert wrapped.ignored == ("mine-1.0/LICENSE",)


def test_a_class_may_be_called_train():
    assert found(list_classes(Names("train/1.png", "bus/1.png"))) == {
        "train/1.png": ("train", None),
        "bus/1.png": ("bus", None),
    }


def test_files_in_no_class_folder_are_listed():
    assert list_classes(Names("README", "cat/1.png", "dog/1.png")).ignored == ("README",)
    assert list_classes(Names("train/labels.txt", "train/cat/1.png", "test/cat/1.png")).ignored == ("train/labels.txt",)


def test_folders_that_do_not_belong_are_refused():
    with pytest.raises(UserError, match="found val"):
        list_classes(Names("train/cat/1.png", "test/cat/1.png", "val/cat/1.png"))
    ignoring = list_classes(Names("train/cat/1.png", "test/cat/1.png", "train_20/cat/1.png"), others="ignore")
    assert list(found(ignoring)) == ["train/cat/1.png", "test/cat/1.png"]
    with pytest.raises(UserError, match=r"'cat/big/1.png' lies too deep"):
        list_classes(Names("cat/big/1.png", "dog/1.png"))


def test_images_without_class_folders_are_refused():
    with pytest.raises(UserError, match="found no class folder with images"):
        list_classes(Names("1.png", "2.png"))
