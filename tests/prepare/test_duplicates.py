import pandas as pd
import pytest

from stages.prepare.duplicates import DuplicateCounts, resolve_duplicates
from stages.shared.runtime.errors import UserError


def image(name, split, label, content):
    return {"sample_id": name, "label": label, "source": f"raw/{name}", "split": split, "pixels_sha256": content}


def resolved(images, policy):
    return resolve_duplicates(pd.DataFrame(images), policy)


CLEAN = [image("1", "train", "a", "x"), image("2", "test", "a", "y"), image("3", "unseen", "b", "z")]
TRAIN_TEST = [*CLEAN, image("4", "test", "a", "x")]
TWO_CLASSES = [*CLEAN, image("4", "train", "c", "x")]
WITHIN = [*CLEAN, image("4", "unseen", "b", "z"), image("5", "train", "a", "x"), image("6", "train", "a", "x")]


def names(images):
    return list(images["sample_id"])


@pytest.mark.parametrize("policy", ["error", "drop", "keep"])
def test_nothing_happens_without_copies(policy):
    stay, counts = resolved(CLEAN, policy)
    assert stay.equals(pd.DataFrame(CLEAN))
    assert counts == DuplicateCounts(0, 0, {"train": 0, "test": 0, "unseen": 0}, 0)


@pytest.mark.parametrize(("images", "fault"), [(TRAIN_TEST, "two splits"), (TWO_CLASSES, "two classes")])
def test_copies_that_falsify_a_score_are_named(images, fault):
    with pytest.raises(UserError, match=rf"{fault}: raw/1 \(train, a\) and raw/4 .*on_duplicate: drop"):
        resolved(images, "error")


def test_copies_within_a_split_and_class_are_counted():
    stay, counts = resolved(WITHIN, "error")
    assert stay.equals(pd.DataFrame(WITHIN))
    assert counts.within_split == {"train": 1, "test": 0, "unseen": 1}
    assert (counts.between_classes, counts.between_splits) == (0, 0)


def test_keep_counts_every_kind():
    _, counts = resolved([*TRAIN_TEST, image("5", "train", "c", "z")], "keep")
    assert (counts.between_classes, counts.between_splits, counts.dropped) == (1, 1, 0)


def test_drop_leaves_the_test_copy_and_no_ambiguous_one():
    stay, counts = resolved(TRAIN_TEST, "drop")
    assert names(stay) == ["2", "3", "4"]
    assert counts.dropped == 1
    stay, counts = resolved(TWO_CLASSES, "drop")
    assert names(stay) == ["2", "3"]
    assert counts.dropped == 2
    stay, _ = resolved(WITHIN, "drop")
    assert names(stay) == ["1", "2", "3"]
