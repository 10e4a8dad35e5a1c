"""The grid's datasets before a run: raw folders that are there, classes with images enough."""

from pathlib import Path
from typing import Any

import pytest

from stages.commands.check.datasets import check_classes, check_raw
from stages.commands.config import Config
from stages.prepare.sources import SOURCES
from stages.shared.console import UserError
from stages.shared.params import RunParams
from tests.commands.edited import config

MINE = RunParams(datasets=["mine"], models=["m"], seeds=[0])


def write_images(raw: Path, per_class: int) -> None:
    for label in "abcd":
        (raw / "mine" / label).mkdir(parents=True)
        for number in range(per_class):
            (raw / "mine" / label / f"{number}.png").touch()


def mine(changes: dict[str, Any]) -> Config:
    entry = {"source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"]}
    return config({"datasets.mine": entry, "run.datasets": ["mine"], **changes})


def test_classes_of_ones_own_images_are_counted_before_training(tmp_path: Path):
    write_images(tmp_path / "small", 8)
    write_images(tmp_path / "large", 13)  # 5 of them are test images
    with pytest.raises(UserError, match=r"datasets\.mine: .*folds, 5, in the split 'test', found 3 of class 'a'; add"):
        check_classes(mine({}), tmp_path / "small")
    check_classes(mine({}), tmp_path / "large")
    without = {"measure.metrics": ["nmi"], "measure.analyses": ["class_subsets"]}
    check_classes(mine(without), tmp_path / "small")


def test_splits_that_ones_own_images_do_not_give_are_named_before_training(tmp_path: Path):
    write_images(tmp_path, 20)
    with pytest.raises(UserError, match=r"datasets\.mine\.unseen_classes: class 'e' is not in the data"):
        check_classes(mine({"datasets.mine.unseen_classes": ["c", "e"]}), tmp_path)


def test_what_would_be_downloaded_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for source in ("calligraphy", "cifar100", "torchvision"):
        monkeypatch.delitem(SOURCES, source)
    for dataset in ("calligraphy", "cifar100"):
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / "source.json").write_text("{}")
    (tmp_path / "public").mkdir()
    public = {"source": "torchvision", "name": "EuroSAT", "image_size": 64}
    grid = ["calligraphy", "cifar100", "public"]
    check_classes(config({"datasets.public": public, "run.datasets": grid}), tmp_path)


def test_an_empty_raw_folder_is_named(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"mine: must hold images, found nothing"):
        check_raw(tmp_path, MINE)


def test_a_missing_raw_folder_says_how_to_provide_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"run.datasets names 'mine'; copy your images there, or link to them: ln -s"):
        check_raw(tmp_path, MINE)


def test_a_dangling_link_is_named(tmp_path: Path):
    (tmp_path / "mine").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"is a link to .*gone, which does not exist"):
        check_raw(tmp_path, MINE)
