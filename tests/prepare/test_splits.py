from collections import Counter

import pytest

from stages.prepare.candidates import check_candidates
from stages.prepare.folds import Fold, choose_unseen
from stages.prepare.params import FolderParams
from stages.prepare.splits import check_sizes, plan_folds
from stages.shared.runtime.errors import UserError


def params(**values):
    return FolderParams(source="folder", image_size=8, **values)


def first_fold(candidates, params, seed):
    return plan_folds(candidates, params, seed).splits["0"]


def ids(candidates):
    return [c.sample_id for c in candidates]


def labels(candidates):
    return Counter(c.label for c in candidates)


@pytest.fixture
def unsplit(make_candidates):
    return make_candidates({label: {None: 10} for label in "abcde"})


@pytest.fixture
def split(make_candidates):
    return make_candidates({label: {"train": 6, "test": 4} for label in "abcde"})


def test_a_fraction_of_each_seen_class_becomes_test_images(unsplit):
    splits = first_fold(unsplit, params(test_fraction=0.3, unseen_classes=["d", "e"]), 0)
    assert labels(splits["train"]) == {"a": 7, "b": 7, "c": 7}
    assert labels(splits["test"]) == {"a": 3, "b": 3, "c": 3}
    assert labels(splits["unseen"]) == {"d": 10, "e": 10}
    assert not set(ids(splits["train"])) & set(ids(splits["test"]))


def test_unseen_images_are_the_train_images_of_their_class(split):
    splits = first_fold(split, params(unseen_classes=["d", "e"]), 0)
    assert {c.split for c in splits["unseen"]} == {"train"}
    assert labels(splits["unseen"]) == {"d": 6, "e": 6}
    assert {c.split for c in splits["test"]} == {"test"}


def test_unseen_images_may_be_test_images_where_there_are_no_others(make_candidates):
    data = make_candidates(
        {"a": {"train": 2, "test": 2}, "b": {"train": 2, "test": 2}, "c": {"test": 3}, "d": {"test": 3}}
    )
    splits = first_fold(data, params(unseen_classes=["c", "d"]), 0)
    assert labels(splits["unseen"]) == {"c": 3, "d": 3}


def test_limits_count_per_class_and_split(split):
    splits = first_fold(split, params(unseen_classes=["d", "e"], train=5, test=2, unseen=3), 0)
    assert labels(splits["train"]) == {"a": 5, "b": 5, "c": 5}
    assert labels(splits["test"]) == {"a": 2, "b": 2, "c": 2}
    assert labels(splits["unseen"]) == {"d": 3, "e": 3}


def test_a_smaller_limit_takes_a_subset(split):
    few, more = (first_fold(split, params(unseen_classes=["d", "e"], train=n), 0) for n in (2, 4))
    assert set(ids(few["train"])) < set(ids(more["train"]))


def test_totals_are_drawn_over_all_seen_classes(split):
    splits = first_fold(split, params(unseen_classes=["d", "e"], train_total=16, test_total=11), 0)
    assert (len(splits["train"]), len(splits["test"]), len(splits["unseen"])) == (16, 11, 12)
    assert set(labels(splits["train"])) == {"a", "b", "c"}


def test_the_seed_alone_decides(unsplit):
    wanted = params(test_fraction=0.3, unseen_count=2, train=4)
    first = first_fold(unsplit, wanted, 0)
    again = first_fold(unsplit[::-1], wanted, 0)
    assert {s: ids(first[s]) for s in first} == {s: ids(again[s]) for s in again}


@pytest.mark.parametrize("name", ["train", "test", "unseen"])
def test_a_limit_draws_any_images_of_a_class_and_others_by_another_seed(make_candidates, name):
    data = make_candidates({label: {"train": 20, "test": 20} for label in "abcd"})
    limited = params(unseen_classes=["c", "d"], **{name: 5})
    draws = [set(ids(first_fold(data, limited, seed)[name])) for seed in range(60)]
    everything = set(ids(first_fold(data, params(unseen_classes=["c", "d"]), 0)[name]))
    assert set().union(*draws) == everything  # one image is missed by all draws with a probability of 0.75^60
    assert len({frozenset(draw) for draw in draws}) == 60


def test_classes_are_drawn_from_independently(make_candidates):
    data = make_candidates({label: {None: 20} for label in "abcd"})
    splits = first_fold(data, params(test_fraction=0.25, unseen_classes=["c", "d"], train=5), 0)
    for split in ("test", "train"):
        positions = {label: {i.rpartition("/")[2] for i in ids(splits[split]) if f"/{label}/" in i} for label in "ab"}
        assert positions["a"] != positions["b"]


def test_each_split_is_sorted_by_label_and_id(unsplit):
    splits = first_fold(unsplit[::-1], params(test_fraction=0.3, unseen_classes=["a", "e"]), 0)
    for chosen in splits.values():
        assert chosen == sorted(chosen, key=lambda c: (c.label, c.sample_id))


def test_unseen_classes_are_drawn_by_their_own_seed(unsplit):
    draws = {(choose_unseen(unsplit, params(unseen_count=2, unseen_seed=s), 0)) for s in range(20)}
    assert all(len(draw) == 2 for draw in draws)
    assert len(draws) > 5  # of 10 possible pairs
    same = choose_unseen(unsplit, params(unseen_count=2, unseen_seed=3), 99)
    assert same == choose_unseen(unsplit, params(unseen_count=2, unseen_seed=3), 0)


def test_drawn_unseen_classes_spare_the_named_seen_ones(unsplit):
    drawn = choose_unseen(unsplit, params(unseen_count=2, seen_classes=["a", "b", "c"]), 0)
    assert drawn == ("d", "e")


def test_data_may_name_their_unseen_classes(make_candidates):
    seen = {label: {"train": 3, "test": 2} for label in "ab"}
    data = make_candidates({**seen, "c": {"unseen": 4}, "d": {"unseen": 5}})
    splits = first_fold(data, params(), 0)
    assert labels(splits["unseen"]) == {"c": 4, "d": 5}
    with pytest.raises(UserError, match="leave out `unseen_classes`"):
        first_fold(data, params(unseen_classes=["c", "d"]), 0)
    with pytest.raises(UserError, match="leave out `unseen_classes` and `unseen_count`"):
        first_fold(data, params(unseen_count=2), 0)


@pytest.mark.parametrize("limit", [None, 7])
def test_all_classes_may_be_unseen_with_every_image_that_they_have(make_candidates, limit):
    data = make_candidates({"a": {"train": 6, "test": 4}, "b": {"test": 8}, "c": {None: 9, "unseen": 1}})
    values = {"train": 50, "test_total": 100, "test_fraction": 0.5}  # of seen classes, of which there are none
    plan = plan_folds(data, params(unseen_classes="all", unseen=limit, **values), 0)
    assert list(plan.splits) == ["0"]
    splits = plan.splits["0"]
    assert (splits["train"], splits["test"]) == ([], [])
    assert labels(splits["unseen"]) == {"a": limit or 10, "b": limit or 8, "c": limit or 10}


def test_one_class_is_too_few_also_where_all_are_unseen(make_candidates):
    with pytest.raises(UserError, match=r"at least 2 unseen classes, found 1 \(a\)"):
        first_fold(make_candidates({"a": {None: 9}}), params(unseen_classes="all"), 0)


def test_names_stand_in_the_place_of_a_draw(unsplit):
    assert choose_unseen(unsplit, params(unseen_classes=["a", "e"], unseen_count=3), 0) == ("a", "e")


def test_seen_classes_leave_out_the_others(split):
    splits = first_fold(split, params(unseen_classes=["d", "e"], seen_classes=["a", "b"]), 0)
    assert set(labels(splits["train"])) == {"a", "b"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "unseen_classes is missing.*a, b, c, d, e"),
        ({"unseen_classes": ["d", "f"]}, "unseen_classes: class 'f' is not in the data"),
        ({"unseen_classes": ["d", "e"], "seen_classes": ["a", "x"]}, "seen_classes: class 'x' is not in the data"),
        ({"unseen_count": 6}, "unseen_count must be at most .* 5; found 6"),
        ({"unseen_classes": ["d"]}, r"at least 2 unseen classes, found 1 \(d\)"),
        ({"unseen_classes": ["b", "c", "d", "e"]}, r"at least 2 seen classes, found 1 \(a\)"),
        (
            {"unseen_classes": ["d", "e"], "train": 7},
            r"train: every class must have 7 train images, found 'a' \(6\), 'b' \(6\)",
        ),
        (
            {"unseen_classes": ["d", "e"], "unseen": 7},
            r"unseen: every class must have 7 unseen images, found 'd' \(6\)",
        ),
        ({"unseen_classes": ["d", "e"], "test_total": 13}, "test_total must be at most .* 12; found 13"),
        ({"unseen_classes": ["d", "e"], "test_fraction": 0.5}, "test_fraction: the data have test images"),
        (
            {"unseen_classes": ["d", "e"], "train_total": 1},
            r"every class must have at least 1 train image\(s\), found '.' \(0\), '.' \(0\);",
        ),
    ],
)
def test_impossible_splits_are_explained(split, values, message):
    with pytest.raises(UserError, match=message):
        first_fold(split, params(**values), 0)


def test_an_unknown_class_lists_the_nearest(make_candidates):
    data = make_candidates({label: {None: 3} for label in ("horse", "cat", "dog", "cow")})
    with pytest.raises(UserError, match="did you mean 'horse'"):
        first_fold(data, params(unseen_classes=["hose", "cat"], test_fraction=0.5), 0)


def test_a_short_class_may_give_what_it_has(make_candidates):
    data = make_candidates({"a": {None: 4}, "b": {None: 20}, "c": {None: 3}, "d": {None: 20}})
    wanted = {"unseen_classes": ["c", "d"], "test_fraction": 0.5, "train": 5, "unseen": 10}
    with pytest.raises(
        UserError, match=r"every class must have 5 train images, found 'a' \(2\);.*on_short_class: keep"
    ):
        first_fold(data, params(**wanted), 0)
    splits = first_fold(data, params(**wanted, on_short_class="keep"), 0)
    assert labels(splits["train"]) == {"a": 2, "b": 5}
    assert labels(splits["unseen"]) == {"c": 3, "d": 10}


def test_all_short_classes_are_named_and_may_be_left_out(make_candidates):
    counts = {"a": 9, "b": 2, "c": 9, "d": 1, "e": 9, "f": 9}
    data = make_candidates({label: {None: count} for label, count in counts.items()})
    wanted = {"unseen_classes": ["e", "f"], "test_fraction": 0.5}
    with pytest.raises(UserError, match=r"at least 2 test image\(s\), found 'd' \(0\), 'b' \(1\);.*`min_images`"):
        first_fold(data, params(**wanted), 0)
    plan = plan_folds(data, params(**wanted, min_images=3), 0)
    assert plan.left_out == {"b": 2, "d": 1}
    assert plan.folds[0][0].seen == ("a", "c")
    assert {candidate.label for candidate in plan.packed} == set("acef")
    whole = make_candidates({label: {None: 9} for label in "acef"})
    ids = [[{c.sample_id for c in images} for images in splits.values()] for splits in plan.splits.values()]
    alone = plan_folds(whole, params(**wanted), 0).splits.values()
    assert ids == [[{c.sample_id for c in images} for images in splits.values()] for splits in alone]


def test_data_without_test_images_need_a_fraction(unsplit):
    with pytest.raises(UserError, match="no test images of seen classes; give `test_fraction`"):
        first_fold(unsplit, params(unseen_classes=["d", "e"]), 0)


def test_a_class_that_comes_seen_and_unseen_is_refused(make_candidates):
    data = make_candidates({"a": {"train": 3, "test": 2}, "b": {"train": 3, "unseen": 2}, "c": {"unseen": 2}})
    with pytest.raises(UserError, match="class 'b' must be seen or unseen, not both"):
        first_fold(data, params(), 0)


@pytest.mark.parametrize("counts", [{"a": {"train": 3, "test": 1}}, {"a": {"train": 3}}, {"a": {"test": 3}}])
def test_a_class_too_small_to_score_is_refused(make_candidates, counts):
    rest = {label: {"train": 3, "test": 3} for label in "bcd"}
    with pytest.raises(UserError, match=r"at least . (train|test) image\(s\), found 'a' \([01]\);"):
        first_fold(make_candidates({**counts, **rest}), params(unseen_classes=["c", "d"]), 0)


def test_check_sizes_sees_a_class_that_lost_all_its_images(make_candidates):
    data = make_candidates({label: {"train": 3} for label in "ab"})
    unseen = make_candidates({label: {"unseen": 3} for label in "cd"})
    with pytest.raises(UserError, match=r"at least 2 test image\(s\), found 'a' \(0\), 'b' \(0\);"):
        check_sizes({"train": data, "test": [], "unseen": unseen}, Fold("0", ("a", "b"), ("c", "d")), all_unseen=False)


def test_ids_must_differ(unsplit):
    check_candidates(unsplit)
    with pytest.raises(UserError, match="None/a/0"):
        check_candidates([*unsplit, unsplit[0]])
