"""Groups: images that no split may tear apart."""

from dataclasses import replace

import pytest
from sklearn.model_selection import StratifiedGroupKFold

from stages.prepare.groups import draw_groups, group_by_name
from stages.prepare.params import FolderParams
from stages.prepare.splits import plan_folds
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.seeding import child_seed


def params(**values):
    return FolderParams(source="folder", image_size=8, unseen_classes=["d", "e"], **values)


@pytest.fixture
def writers(make_candidates):
    """Five classes of 20 images, written by ten writers, two images of each class by each."""
    data = make_candidates({label: {None: 20} for label in "abcde"})
    return [replace(c, group=f"w{int(c.sample_id.rpartition('/')[2]) % 10}") for c in data]


def test_a_pattern_reads_the_group_off_the_path(make_candidates):
    data = make_candidates({"a": {None: 3}})
    grouped = group_by_name(data, r"/(\d+)$")
    assert [c.group for c in grouped] == ["0", "1", "2"]
    with pytest.raises(UserError, match="must find a group in every image's path, found none in 'None/a/0'"):
        group_by_name(data, r"/([x]+)")
    with pytest.raises(UserError, match="one pair of parentheses, found 0"):
        group_by_name(data, r"/\d+")
    with pytest.raises(UserError, match=r"group: must be a regular expression, found '\('"):
        group_by_name(data, "(")


def test_no_group_is_in_train_and_in_test(writers):
    plan = plan_folds(writers, params(test_fraction=0.2), 0)
    for splits in plan.splits.values():
        train, test = ({c.group for c in splits[split]} for split in ("train", "test"))
        assert not train & test
        assert len(test) == 2  # of ten writers
    shares = {label: sum(c.label == label for c in plan.splits["0"]["test"]) for label in "abc"}
    assert shares == {"a": 4, "b": 4, "c": 4}
    other = plan_folds(writers, params(test_fraction=0.2), 3)
    assert {c.group for c in other.splits["0"]["test"]} != {c.group for c in plan.splits["0"]["test"]}


@pytest.mark.parametrize(("fraction", "expected"), [(0.25, 3), (0.3, 3), (0.4, 4), (0.6, 6), (0.7, 7), (0.8, 8)])
def test_the_share_of_groups_is_the_one_that_was_asked_for(writers, fraction, expected):
    test = plan_folds(writers, params(test_fraction=fraction), 0).splits["0"]["test"]
    assert len({c.group for c in test}) == expected


@pytest.mark.parametrize("parts", [2, 3, 4, 5, 10])
def test_a_share_of_one_part_is_the_first_of_as_many(writers, parts):
    labels, groups = [c.label for c in writers], [c.group for c in writers]
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=child_seed(7, "test groups"))
    _, test = next(splitter.split(labels, labels, groups))
    assert draw_groups(writers, 1 / parts, 7) == {writers[i].sample_id for i in test}


def test_classes_of_few_groups_have_about_the_share_each(make_candidates):
    data = make_candidates({label: {None: 18} for label in "abcde"})
    data = [replace(c, group=f"{c.label}{int(c.sample_id.rpartition('/')[2]) % 6}") for c in data]
    test = plan_folds(data, params(test_fraction=0.35), 0).splits["0"]["test"]
    assert {label: len({c.group for c in test if c.label == label}) for label in "abc"} == {"a": 2, "b": 2, "c": 2}


def test_a_group_that_comes_in_train_and_in_test_is_refused(make_candidates):
    data = make_candidates({label: {"train": 3, "test": 3} for label in "abcde"})
    with pytest.raises(UserError, match="images of one group must be in one split, found group 'w'"):
        plan_folds([replace(c, group="w") for c in data], params(), 0)


def test_too_few_groups_for_the_fraction(writers):
    with pytest.raises(UserError, match="at least 20 groups"):
        plan_folds(writers, params(test_fraction=0.05), 0)
