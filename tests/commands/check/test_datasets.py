"""The grid's datasets before a run: raw folders that are there, classes with images enough."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stages.commands.check.datasets import check_classes, check_folds, check_raw, check_seen
from stages.commands.config import Config
from stages.prepare.sources import SOURCES
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams
from tests.commands.edited import COMMITTED, ROOT, config

MINE = RunParams(datasets=["mine"], models=["m"], folds=[0], seeds=[0])


def write_images(raw: Path, per_class: int) -> None:
    for label in "abcd":
        (raw / "mine" / label).mkdir(parents=True)
        for number in range(per_class):
            (raw / "mine" / label / f"{number}.png").touch()


def mine(changes: dict[str, Any]) -> Config:
    entry = {"source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"]}
    return config({"datasets.mine": entry, "run.datasets": ["mine"], "finetune.schedule_epochs": 100, **changes})


def test_classes_of_ones_own_images_are_counted_before_training(tmp_path: Path):
    write_images(tmp_path / "small", 8)
    write_images(tmp_path / "large", 13)  # 5 of them are test images
    with pytest.raises(
        UserError, match=r"datasets\.mine: .*folds, 5, in the split 'test', found 'a' \(3\), 'b' \(3\); add"
    ):
        check_classes(mine({}), tmp_path / "small")
    assert [note[:16] for note in check_classes(mine({}), tmp_path / "large")] == ["datasets.mine: o"]
    without = {"measure.metrics": ["nmi"], "measure.analyses": ["k_sensitivity"]}
    check_classes(mine(without), tmp_path / "small")


def test_splits_that_ones_own_images_do_not_give_are_named_before_training(tmp_path: Path):
    write_images(tmp_path, 20)
    with pytest.raises(UserError, match=r"datasets\.mine: unseen_classes: class 'e' is not in the data"):
        check_classes(mine({"datasets.mine.unseen_classes": ["c", "e"]}), tmp_path)


def test_what_would_be_downloaded_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for source in ("calligraphy", "cifar100", "torchvision"):
        monkeypatch.delitem(SOURCES, source)
    for dataset in ("calligraphy", "cifar100"):
        shutil.copytree(ROOT / "data" / "raw" / dataset, tmp_path / dataset)
    (tmp_path / "public").mkdir()
    public = {"source": "torchvision", "name": "EuroSAT", "image_size": 64}
    grid = ["calligraphy", "cifar100", "public"]
    check_classes(config({"datasets.public": public, "run.datasets": grid}), tmp_path)


@pytest.mark.parametrize(
    ("dataset", "changes"),
    [
        ("calligraphy", {"repository": "--upload-pack=touch PWNED;", "commit": "."}),
        ("calligraphy", {"commit": "a" * 40 + "\n"}),
        ("cifar100", {"url": "file:///etc/passwd"}),
    ],
)
def test_a_source_file_that_names_another_kind_of_download_is_refused(tmp_path, monkeypatch, dataset, changes):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "data" / "raw" / dataset, tmp_path / dataset)
    source = tmp_path / dataset / "source.json"
    source.write_text(json.dumps(json.loads(source.read_text()) | changes))
    message = rf"datasets\.{dataset}: .*source\.json: {next(iter(changes))}: .*, found .*; restore it"
    with pytest.raises(UserError, match=message):
        check_classes(config({"run.datasets": [dataset]}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [dataset]


def test_only_the_folds_of_the_grid_need_images_enough(tmp_path: Path):
    """In fold 1 classes c and d are the seen ones; `all` needs every class."""
    write_images(tmp_path, 13)
    for path in (tmp_path / "mine" / "c").glob("[0-5].png"):
        path.unlink()
    check_classes(mine({}), tmp_path)
    for folds in ([0, 1], [0, "all"]):
        with pytest.raises(UserError, match=r"datasets\.mine: .*in the split 'test', found 'c' \(3\);"):
            check_classes(mine({"run.folds": folds}), tmp_path)


@pytest.mark.parametrize(
    ("folds", "changes", "message"),
    [
        (
            [0, 2],
            {},
            r"'mine' of run\.datasets has no fold 2; it has 2 numbered folds \(0, 1, all\), since its 4 classes",
        ),
        (
            [1],
            {"datasets.mine.folds": 1},
            r"no fold 1; .* 1 numbered fold \(0, all\), since its `folds` is 1: set its `f",
        ),
    ],
)
def test_a_fold_that_ones_own_images_do_not_give_is_named_with_the_reason(tmp_path, folds, changes, message):
    write_images(tmp_path, 13)
    with pytest.raises(UserError, match=message):
        check_classes(mine({"run.folds": folds, **changes}), tmp_path)


def test_fold_all_needs_train_and_test_images_of_every_class(tmp_path: Path):
    for split, labels in (("train", "ab"), ("test", "ab"), ("unseen", "cd")):
        for label in labels:
            (tmp_path / "mine" / split / label).mkdir(parents=True)
            for number in range(6):
                (tmp_path / "mine" / split / label / f"{number}.png").touch()
    changes = {"datasets.mine": {"source": "folder", "image_size": 32}}
    check_classes(mine(changes), tmp_path)
    reason = (
        r"no fold all; it has 1 numbered fold \(0\), since the data name their unseen classes in a split of their own"
    )
    with pytest.raises(UserError, match=reason):
        check_classes(mine(changes | {"run.folds": [0, "all"]}), tmp_path)


def test_an_empty_raw_folder_is_named(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"mine: must hold images, found nothing"):
        check_raw(tmp_path, MINE)


def test_a_missing_raw_folder_says_how_to_provide_it(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"run.datasets names 'mine', found nothing; copy your images there, or link to"
    ):
        check_raw(tmp_path, MINE)


def test_a_dangling_link_is_named(tmp_path: Path):
    (tmp_path / "mine").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"found a link to .*gone, which does not exist"):
        check_raw(tmp_path, MINE)


def test_a_pipe_among_raw_data_is_refused_without_opening_it(tmp_path: Path):
    write_images(tmp_path, 2)
    os.mkfifo(tmp_path / "mine" / "a" / "3.png")
    with pytest.raises(UserError, match=r"mine/a/3\.png: must be a regular file, found a named pipe; remove it"):
        check_raw(tmp_path, MINE)


FROZEN = {f"models.{model}.network.frozen": True for model in COMMITTED["run"]["models"]}


def test_all_classes_are_unseen_only_beside_networks_that_are_measured_as_they_are(tmp_path: Path):
    changes = {"datasets.mine.unseen_classes": "all"}
    message = r"datasets\.mine\.unseen_classes: `all` leaves no class to fine-tune on, which 'efficientnet_lite0' of"
    with pytest.raises(UserError, match=message):
        check_seen(mine(changes))
    check_seen(mine(changes | FROZEN))
    another = {"run.models": ["efficientnet_lite0", "efficientnet_lite0_scratch"]}
    with pytest.raises(UserError, match="which 'efficientnet_lite0_scratch' of"):
        check_seen(mine(changes | FROZEN | another))
    check_seen(mine({}))


def test_limits_and_counts_of_seen_classes_do_not_matter_where_all_are_unseen(tmp_path: Path):
    write_images(tmp_path, 6)
    changes = {"datasets.mine.unseen_classes": "all", "datasets.mine.test": 2, **FROZEN}
    check_folds(mine(changes))
    check_classes(mine(changes), tmp_path)
    with pytest.raises(UserError, match=r"datasets\.mine\.unseen: must be at least measure\.probe\.folds, 5, found 4"):
        check_folds(mine(changes | {"datasets.mine.unseen": 4}))


def test_training_that_outlasts_its_schedule_is_named(tmp_path: Path):
    write_images(tmp_path, 13)  # 8 train images of each of two classes: an epoch is one batch
    changes = {"finetune.steps": [0, 50], "finetune.schedule_epochs": 49}
    with pytest.raises(UserError, match=r"datasets\.mine: finetune\.steps: .* 49 optimizer steps .* found 50; lower"):
        check_classes(mine(changes), tmp_path)
    check_classes(mine(changes | {"finetune.schedule_epochs": 50}), tmp_path)
    check_classes(mine(changes | FROZEN), tmp_path)


def test_all_files_that_are_no_images_are_named_by_what_they_hold(tmp_path: Path):
    write_images(tmp_path, 13)
    for name in ("a/notes.txt", "b/clip.mp4"):
        (tmp_path / "mine" / name).write_text("not an image")
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "b" / "no_ending", "PNG")
    with pytest.raises(UserError, match=r"datasets\.mine: .*found 2 that cannot be read: a/notes\.txt .*, b/clip\.mp4"):
        check_classes(mine({}), tmp_path)
    check_classes(mine({"datasets.mine.on_bad_image": "skip"}), tmp_path)


def test_classes_that_are_left_out_are_counted(tmp_path: Path):
    write_images(tmp_path, 13)
    for number in range(4):
        (tmp_path / "mine" / "e").mkdir(exist_ok=True)
        (tmp_path / "mine" / "e" / f"{number}.png").touch()
    with pytest.raises(UserError, match=r"in the split 'test', found 'e' \(2\); add .*`min_images`"):
        check_classes(mine({}), tmp_path)
    notes = check_classes(mine({"datasets.mine.min_images": 13}), tmp_path)
    assert "datasets.mine: left out for want of images: 'e' (4)" in notes
