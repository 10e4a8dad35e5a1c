"""Folds: which classes are unseen, one disjoint choice after the other."""

import re

import pytest

from stages.prepare.folds import choose_folds
from stages.prepare.params import FolderParams
from stages.prepare.splits import plan_folds, without_dropped
from stages.shared.runtime.errors import UserError


def params(**values):
    return FolderParams(source="folder", image_size=8, **{"unseen_classes": ["b", "c"], **values})


@pytest.fixture
def split(make_candidates):
    return make_candidates({label: {"train": 6, "test": 4} for label in "abcdefg"})


def ids(candidates):
    return {c.sample_id for c in candidates}


def test_folds_are_disjoint_and_leave_the_first_choice_as_it_is(split):
    folds = choose_folds(split, params(), 0)
    assert [fold.name for fold in folds] == ["0", "1", "2", "all"]  # 7 classes hold 3 pairs
    assert folds[0].unseen == ("b", "c")
    drawn = [label for fold in folds[:3] for label in fold.unseen]
    assert len(set(drawn)) == len(drawn) == 6
    for fold in folds:
        assert sorted([*fold.seen, *fold.unseen]) == list("abcdefg")
    assert folds[3].unseen == ()


def test_at_most_four_by_default_and_as_many_as_asked_for(make_candidates):
    data = make_candidates({f"c{i:02}": {"train": 3, "test": 2} for i in range(20)})
    wanted = {"unseen_classes": ["c00", "c01"]}
    assert len(choose_folds(data, params(**wanted), 0)) == 5
    assert len(choose_folds(data, params(**wanted, folds=10), 0)) == 11
    assert len(choose_folds(data, params(**wanted, folds=1), 0)) == 2
    with pytest.raises(UserError, match=r"folds: must be at most 10, since 20 classes hold .* of 2, found 11"):
        choose_folds(data, params(**wanted, folds=11), 0)


def test_a_further_fold_changes_nothing_of_the_others_nor_of_what_is_packed(split):
    two, three = (plan_folds(split, params(folds=n, train=4, test=2, unseen=3), 0) for n in (2, 3))
    assert all(ids(two.splits[f][s]) == ids(three.splits[f][s]) for f in ("0", "1", "all") for s in two.splits[f])
    assert two.packed == three.packed


def test_the_seed_draws_the_further_folds(split):
    draws = {choose_folds(split, params(unseen_seed=seed), 0)[1].unseen for seed in range(20)}
    assert len(draws) > 3
    assert choose_folds(split, params(unseen_seed=3), 99) == choose_folds(split[::-1], params(unseen_seed=3), 1)


def test_named_seen_classes_and_the_unseen_ones_are_all_there_is(split):
    folds = choose_folds(split, params(seen_classes=["a", "d", "e"]), 0)
    assert [fold.name for fold in folds] == ["0", "1", "all"]
    assert folds[-1].seen == ("a", "b", "c", "d", "e")
    assert set(folds[1].unseen) <= {"a", "d", "e"}


def test_every_fold_has_the_images_of_its_classes(split):
    plan = plan_folds(split, params(), 0)
    for name, splits in plan.splits.items():
        fold = next(f for f in choose_folds(split, params(), 0) if f.name == name)
        assert {c.label for c in splits["train"]} == {c.label for c in splits["test"]} == set(fold.seen)
        assert {c.label for c in splits["unseen"]} == set(fold.unseen)
        assert all(c.split == "test" for c in splits["test"])
    assert ids(plan.packed) == ids(split)


def test_an_image_is_a_test_image_in_every_fold_that_has_seen_its_class(make_candidates):
    data = make_candidates({label: {None: 10} for label in "abcdef"})
    plan = plan_folds(data, params(test_fraction=0.3), 0)
    tests, trains = (
        set().union(*(ids(splits[split]) for splits in plan.splits.values())) for split in ("test", "train")
    )
    assert not tests & trains


def test_data_with_an_unseen_split_have_one_fold(make_candidates):
    seen = {label: {"train": 3, "test": 2} for label in "ab"}
    data = make_candidates({**seen, "c": {"unseen": 4}, "d": {"unseen": 5}})
    alone = FolderParams(source="folder", image_size=8)
    plan = plan_folds(data, alone, 0)
    assert list(plan.splits) == ["0"]
    assert plan.packed == sorted(data, key=lambda c: c.sample_id)
    with pytest.raises(UserError, match="folds: must be 1, found 2, since the data name their unseen classes"):
        plan_folds(data, alone.model_copy(update={"folds": 2}), 0)


def test_unseen_classes_without_test_images_stay_unseen(make_candidates):
    seen = {label: {"train": 3, "test": 2} for label in "adef"}
    data = make_candidates({**seen, "b": {"train": 4}, "c": {"train": 5}})
    assert list(plan_folds(data, params(), 0).splits) == ["0"]
    with pytest.raises(UserError, match="unseen class 'b' has no test images"):
        plan_folds(data, params(folds=2), 0)


def test_a_fold_that_nobody_asked_for_is_left_out_with_a_reason(make_candidates):
    many, few = {"train": 6, "test": 4}, {"train": 3, "test": 4}
    data = make_candidates({"a": many, "b": many, "c": many, "d": many, "e": few, "f": few})
    wanted = params(train=3, unseen=5)
    plan = plan_folds(data, wanted, 0)
    assert "0" in plan.splits
    assert "all" in plan.splits
    (failed,) = plan.not_made
    assert re.search(r"must have 5 unseen images, found '[ef]' \(3\)", plan.not_made[failed])
    assert without_dropped(plan, {c.sample_id for c in data}, wanted) == plan
    with pytest.raises(UserError, match=rf"fold {failed}: unseen: every class must have 5 unseen images"):
        plan_folds(data, params(train=3, unseen=5, folds=3), 0)
