import pytest

from stages.prepare.candidates import Candidate
from stages.prepare.duplicates import DecodedImage, resolve_duplicates
from stages.shared.runtime.errors import UserError


def image(name, split, label, content):
    candidate = Candidate(name, label, None, f"raw/{name}", lambda: b"")
    return DecodedImage(candidate, split, "file", content, 0)


CLEAN = [image("1", "train", "a", "x"), image("2", "test", "a", "y"), image("3", "unseen", "b", "z")]
TRAIN_TEST = [*CLEAN, image("4", "test", "a", "x")]
TWO_CLASSES = [*CLEAN, image("4", "train", "c", "x")]
WITHIN = [*CLEAN, image("4", "unseen", "b", "z"), image("5", "train", "a", "x"), image("6", "train", "a", "x")]


def names(images):
    return [i.candidate.sample_id for i in images]


@pytest.mark.parametrize("policy", ["error", "drop", "keep"])
def test_nothing_happens_without_copies(policy):
    stay, counts = resolve_duplicates(CLEAN, policy)
    assert stay == CLEAN
    assert (counts.groups, counts.dropped) == (0, 0)


@pytest.mark.parametrize(("images", "fault"), [(TRAIN_TEST, "two splits"), (TWO_CLASSES, "two classes")])
def test_copies_that_falsify_a_score_are_named(images, fault):
    with pytest.raises(UserError, match=rf"{fault}: raw/1 \(train, a\) and raw/4 .*on_duplicate: drop"):
        resolve_duplicates(images, "error")


def test_copies_within_a_split_and_class_are_counted():
    stay, counts = resolve_duplicates(WITHIN, "error")
    assert stay == WITHIN
    assert counts.within_split == {"train": 1, "test": 0, "unseen": 1}
    assert (counts.between_classes, counts.between_splits) == (0, 0)


def test_keep_counts_every_kind():
    _, counts = resolve_duplicates([*TRAIN_TEST, image("5", "train", "c", "z")], "keep")
    assert (counts.between_classes, counts.between_splits, counts.dropped) == (1, 1, 0)


def test_drop_leaves_the_test_copy_and_no_ambiguous_one():
    stay, counts = resolve_duplicates(TRAIN_TEST, "drop")
    assert names(stay) == ["2", "3", "4"]
    assert counts.dropped == 1
    stay, counts = resolve_duplicates(TWO_CLASSES, "drop")
    assert names(stay) == ["2", "3"]
    assert counts.dropped == 2
    stay, _ = resolve_duplicates(WITHIN, "drop")
    assert names(stay) == ["1", "2", "3"]
