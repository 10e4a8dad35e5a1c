"""Images of a dataset, counted as prepare would choose them."""

from pathlib import Path
from typing import Any

import pytest

from stages.commands.plan.images import Images, count_images, images_of
from stages.prepare.params import parse_dataset
from tests.commands.edited import COMMITTED, ROOT, config

RAW = ROOT / "data" / "raw"


@pytest.mark.parametrize(
    ("dataset", "changes", "expected"),
    [
        ("calligraphy", {}, (9100, 2500, 5 * 500, 15, 5)),
        ("calligraphy", {"unseen_count": 4}, (9100, 2500, 4 * 500, 16, 4)),
        ("calligraphy", {"seen_classes": ["lqs", "mzd"], "train_total": 900}, (900, 2500, 5 * 500, 2, 5)),
        ("calligraphy", {"train_total": None, "train": 90, "unseen": 70}, (15 * 90, 2500, 5 * 70, 15, 5)),
        ("calligraphy", {"unseen_classes": "all", "unseen": 300}, (0, 0, 20 * 300, 0, 20)),
        ("cifar100", {"unseen_classes": "all", "unseen": None}, (0, 0, 100 * 600, 0, 100)),
        ("cifar100", {}, (10_000, 2000, 2500, 20, 5)),
        ("cifar100", {"train_total": 1000, "test_total": 200}, (1000, 200, 2500, 20, 5)),
        ("cifar100", {"unseen_count": 4}, (10_000, 2000, 4 * 500, 20, 4)),
        ("cifar100", {"seen_classes": None, "test": 7, "unseen": None}, (95 * 500, 95 * 7, 2500, 95, 5)),
    ],
)
def test_images_of_the_papers_datasets_are_known_without_a_download(
    dataset: str, changes: dict[str, Any], expected: tuple[int, ...]
):
    params = parse_dataset(COMMITTED["datasets"][dataset] | changes, dataset)
    assert count_images(RAW / dataset, params, 0, dataset) == {"0": Images(*expected)}


@pytest.mark.parametrize(
    ("dataset", "changes", "expected"),
    [
        ("calligraphy", {}, (9100, 2500, 0, 20)),
        ("cifar100", {}, (12_500, 2500, 0, 25)),
        ("cifar100", {"train_total": 1000}, (1000, 2500, 0, 25)),
    ],
)
def test_the_unseen_classes_of_other_folds_are_seen_in_fold_all(dataset, changes, expected):
    params = parse_dataset(COMMITTED["datasets"][dataset] | changes, dataset)
    found = count_images(RAW / dataset, params, 0, dataset, ["3", "all"])
    assert found["all"] == Images(*expected)
    assert found["3"].unseen == 2500


@pytest.mark.parametrize("dataset", ["calligraphy", "cifar100"])
def test_images_that_lie_in_the_raw_folder_are_listed_and_counted_as_prepare_would(dataset: str, tmp_path: Path):
    for split, count in (("train", 6), ("test", 3)):
        for label in ("apple", "baby", "bear", "bed"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                (tmp_path / split / label / f"{number}.png").touch()
    entry = {"source": dataset, "image_size": 32, "seen_classes": ["apple", "baby"], "unseen_classes": ["bear", "bed"]}
    params = parse_dataset(entry | {"train_total": 9, "test_total": 5}, dataset)
    assert count_images(tmp_path, params, 0, dataset) == {
        "0": Images(train=9, test=5, unseen=12, classes=2, unseen_classes=2)
    }
    drawn = parse_dataset(entry | {"seen_classes": None, "unseen_classes": None, "unseen_count": 2}, dataset)
    few = Images(train=12, test=6, unseen=12, classes=2, unseen_classes=2)
    whole = Images(train=24, test=12, unseen=0, classes=4)
    assert count_images(tmp_path, drawn, 0, dataset, ["0", "1", "all"]) == {"0": few, "1": few, "all": whole}


def test_images_of_handwriting_come_from_its_source():
    found = images_of(config({"run.folds": [0, "all", 2]}), RAW, "handwriting")
    assert found == {
        Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15, unseen_classes=5): ["0", "2"],
        Images(train=20 * 120, test=20 * 40, unseen=0, classes=20): ["all"],
    }


def test_prepared_images_are_those_of_all_folds():
    (fold,) = images_of(config({}), RAW, "handwriting")
    assert fold.prepared > fold.train + fold.test + fold.unseen
    assert Images(3, 2, 1, 1, 1).prepared == 6
