"""Sets of classes: which classes a frozen network is scored on at once, and what the images of the others stand for."""

import pandas as pd
import pytest

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import FolderParams
from stages.prepare.splits import plan_folds
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError


def params(**values):
    return FolderParams(source="folder", image_size=8, **{"unseen_count": 2, **values})


@pytest.fixture
def unsplit(make_candidates):
    return make_candidates({label: {None: 10} for label in "abcdefghijk"})


@pytest.mark.parametrize("changes", [{}, {"folds": 2}, {"folds": 5}, {"unseen_seed": 3}, {"unseen_count": 11}])
def test_sets_are_the_unseen_classes_of_folds(unsplit, changes):
    sets = plan_folds(unsplit, params(unseen_classes="all", test_fraction=0.3, **changes), 0)
    assert list(sets.splits) == ["0"]
    if changes.get("unseen_count") == 11:
        assert sets.sets == (tuple("abcdefghijk"),)
        return
    folds = plan_folds(unsplit, params(test_fraction=0.3, **changes), 0)
    assert list(sets.sets) == [fold.unseen for fold, _ in folds.folds if fold.unseen]
    assert len(sets.sets) == changes.get("folds", 4)


def test_images_of_other_sets_are_divided_as_those_of_seen_classes(unsplit):
    plan = plan_folds(unsplit, params(unseen_classes="all", test_fraction=0.3), 0)
    of_all = plan_folds(unsplit, params(test_fraction=0.3), 0).splits["all"]
    assert plan.seen_as == {c.sample_id: split for split in ("train", "test") for c in of_all[split]}
    limited = plan_folds(unsplit, params(unseen_classes="all", test_fraction=0.3, unseen=5), 0)
    counts = pd.Series(limited.seen_as).groupby(lambda name: name.split("/")[1]).value_counts().unstack()
    assert (set(counts["train"]), set(counts["test"])) == ({3}, {2})


def test_test_images_of_the_data_stay_test_images_and_without_any_there_are_none(make_candidates):
    data = make_candidates({label: {"train": 6, "test": 4} for label in "abcd"})
    plan = plan_folds(data, params(unseen_classes="all"), 0)
    assert plan.seen_as == {c.sample_id: c.split for c in data}
    with pytest.raises(UserError, match="test_fraction: the data have test images"):
        plan_folds(data, params(unseen_classes="all", test_fraction=0.3), 0)
    undivided = make_candidates({label: {None: 6} for label in "abcd"})
    plan = plan_folds(undivided, params(unseen_classes="all"), 0)
    assert (len(plan.sets), plan.seen_as) == (2, {})


def test_without_a_number_all_classes_are_scored_at_once(unsplit):
    plan = plan_folds(unsplit, params(unseen_classes="all", unseen_count=None), 0)
    assert (plan.sets, plan.seen_as) == ((), {})


def test_the_table_of_the_fold_says_which_set_an_image_is_of_and_what_it_is_in_others(make_folder, tmp_path):
    raw = make_folder(dict.fromkeys("abcde", 5))
    entry = params(unseen_classes="all", test_fraction=0.4, unseen=4)
    prepare_dataset(raw, tmp_path / "out", entry, 0, "mine", 10**6)
    manifest = open_images(tmp_path / "out", "0").manifest
    assert len(manifest) == 20
    assert manifest.groupby("label")["set"].unique().map(tuple).value_counts().to_dict() == {
        ("0",): 2, ("1",): 2, ("",): 1
    }  # fmt: skip
    assert set(manifest["split"]) == {"unseen"}
    assert manifest.groupby("label")["seen_as"].value_counts().unstack().to_dict("list") == {
        "test": [2] * 5, "train": [2] * 5
    }  # fmt: skip
