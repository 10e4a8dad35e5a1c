"""The folds of datasets that are yet to be downloaded, against what prepare makes of candidates of equal numbers."""

import pytest

from stages.commands.folds import DOWNLOADS, DatasetFolds
from stages.prepare.candidates import Candidate
from stages.prepare.folds import choose_folds
from stages.prepare.params import parse_dataset
from stages.shared.runtime.errors import UserError
from tests.commands.edited import COMMITTED


@pytest.mark.parametrize(
    ("dataset", "changes"),
    [
        ("calligraphy", {}),
        ("calligraphy", {"unseen_classes": None, "unseen_count": 9}),
        ("calligraphy", {"folds": 2}),
        ("calligraphy", {"unseen_classes": "all"}),
        ("cifar100", {"folds": 5}),
        ("cifar100", {"seen_classes": ["apple", "baby", "bear", "bed", "bee", "beetle"]}),
    ],
)
def test_a_download_has_the_folds_that_prepare_makes(dataset, changes):
    entry = COMMITTED["datasets"][dataset] | changes
    params = parse_dataset(entry, dataset)
    named = list({*(params.seen_classes or ()), *(() if params.all_unseen else params.unseen_classes or ())})
    labels = named + [f"class{i}" for i in range(DOWNLOADS[dataset][0] - len(named))]
    images = [Candidate(f"{split}/{label}", label, split, "", bytes) for label in labels for split in ("train", "test")]
    made = choose_folds(images, params, seed=3)
    found = DatasetFolds.of_download(params)
    assert found.names == [fold.name for fold in made]
    assert (found.seen, found.unseen) == (len(made[0].seen), len(made[0].unseen))


@pytest.mark.parametrize(
    ("fold", "changes", "message"),
    [
        ("4", {}, r"4 numbered folds \(0, 1, 2, 3, all\), since its 20 classes hold 4 disjoint choices of 5; take the"),
        (
            "2",
            {"folds": 2},
            r"2 numbered folds \(0, 1, all\), since its `folds` is 2: set its `folds` to 3; take the fold",
        ),
        ("5", {"unseen_count": 2}, r"4 numbered folds .*, since at most 4 are made by default: set its `folds` to 6;"),
        ("all", {"unseen_classes": "all"}, r"1 numbered fold \(0\), since all classes are unseen; take the"),
    ],
)
def test_a_missing_fold_is_named_with_the_reason_and_the_remedy(fold, changes, message):
    params = parse_dataset({"source": "calligraphy", "image_size": 64, **changes}, "brush")
    with pytest.raises(UserError, match=rf"run\.folds: 'brush' of run\.datasets has no fold {fold}; it has {message}"):
        DatasetFolds.of_download(params).refuse_lacking("brush", ["0", fold], params)
