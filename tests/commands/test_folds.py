"""Folds that a dataset which is yet to be downloaded lacks."""

import pytest

from stages.commands.folds import expected_images, refuse_lacking
from stages.prepare.params import parse_dataset
from stages.prepare.splits import plan_folds
from stages.shared.runtime.errors import UserError


@pytest.mark.parametrize(
    ("fold", "changes", "message"),
    [
        (
            "4",
            {},
            r"4 numbered folds \(0, 1, 2, 3\) and fold all, since its 20 classes hold 4 disjoint choices of 5; remove",
        ),
        (
            "2",
            {"folds": 2},
            r"2 numbered folds \(0, 1\) and fold all, since its `folds` is 2: set its `folds` to 3; remove the fold",
        ),
        ("5", {"unseen_count": 2}, r"4 numbered folds .*, since at most 4 are made by default: set its `folds` to 6;"),
        ("all", {"unseen_classes": "all"}, r"1 numbered fold \(0\), since all classes are unseen; remove the"),
    ],
)
def test_a_missing_fold_is_named_with_the_reason_and_the_remedy(fold, changes, message):
    params = parse_dataset({"source": "calligraphy", "image_size": 64, **changes}, "brush")
    plan = plan_folds(expected_images(params), params, seed=3)
    with pytest.raises(UserError, match=rf"run\.folds: 'brush' in run\.datasets has no fold {fold}; it has {message}"):
        refuse_lacking(plan, "brush", ["0", fold], params)
