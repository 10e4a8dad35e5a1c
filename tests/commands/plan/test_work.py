"""Images of a dataset, counted as prepare would choose them; a network's work against independent counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from stages.commands.folds import find_folds
from stages.commands.plan.cost import Images, count_images, work_of
from stages.embed.taps.tap import trace_forward
from tests.commands.edited import COMMITTED, ROOT, config

RAW = ROOT / "data" / "raw"


def count(raw: Path, dataset: str, changes: dict[str, Any], folds: Sequence[object] = (0,)) -> dict[str, Images]:
    entry = COMMITTED["datasets"][dataset] | changes
    params = config({f"datasets.{dataset}": entry, "run.folds": [*folds]})
    plan = find_folds(params, raw, dataset, counted=True)
    return {fold: count_images(plan, fold) for fold in params.run.folds}


@pytest.mark.parametrize(
    ("dataset", "changes", "expected"),
    [
        ("calligraphy", {}, (9100, 2500, 5 * 500, 15, 5)),
        ("calligraphy", {"seen_classes": ["lqs", "mzd"], "train_total": 900}, (900, 2500, 5 * 500, 2, 5)),
        ("calligraphy", {"train_total": None, "train": 90, "unseen": 70}, (15 * 90, 2500, 5 * 70, 15, 5)),
        ("calligraphy", {"unseen_classes": "all", "unseen": 300}, (0, 0, 20 * 300, 0, 20)),
        ("cifar100", {}, (10_000, 2000, 2500, 20, 5)),
        ("cifar100", {"seen_classes": None, "test": 7, "unseen": None}, (95 * 500, 95 * 7, 2500, 95, 5)),
    ],
)
def test_images_of_the_papers_datasets_are_known_without_a_download(
    dataset: str, changes: dict[str, Any], expected: tuple[int, ...]
):
    assert count(RAW, dataset, changes) == {"0": Images(*expected)}


def test_classes_in_sets_are_measured_set_by_set():
    sets = {"unseen_classes": "all", "unseen_count": 5, "unseen": 300, "test_fraction": None}
    images = count(RAW, "calligraphy", sets)["0"]
    assert (images.unseen, images.unseen_classes, images.sets) == (20 * 300, 20, 4)
    assert images.of_splits == {"unseen": (5 * 300, 5)}


@pytest.mark.parametrize(
    ("dataset", "changes", "expected"),
    [
        ("calligraphy", {}, (9100, 2500, 0, 20)),
        ("cifar100", {}, (12_500, 2500, 0, 25)),
    ],
)
def test_the_unseen_classes_of_other_folds_are_seen_in_fold_all(dataset, changes, expected):
    found = count(RAW, dataset, changes, [3, "all"])
    assert found["all"] == Images(*expected)
    assert found["3"].unseen == 2500


@pytest.mark.parametrize("dataset", ["calligraphy", "cifar100"])
def test_images_that_lie_in_the_raw_folder_are_listed_and_counted_as_prepare_would(dataset: str, tmp_path: Path):
    for split, number_of_images in (("train", 6), ("test", 3)):
        for label in ("apple", "baby", "bear", "bed"):
            (tmp_path / dataset / split / label).mkdir(parents=True)
            for number in range(number_of_images):
                (tmp_path / dataset / split / label / f"{number}.png").touch()
    entry = {"source": dataset, "image_size": 32, "seen_classes": ["apple", "baby"], "unseen_classes": ["bear", "bed"]}
    entry |= {"seed": 0, "unseen": None}
    assert count(tmp_path, dataset, entry | {"train_total": 9, "test_total": 5}) == {
        "0": Images(train=9, test=5, unseen=12, classes=2, unseen_classes=2)
    }
    drawn = entry | {"seen_classes": None, "unseen_classes": None, "unseen_count": 2}
    drawn |= {"train_total": None, "test_total": None}
    few = Images(train=12, test=6, unseen=12, classes=2, unseen_classes=2)
    whole = Images(train=24, test=12, unseen=0, classes=4)
    assert count(tmp_path, dataset, drawn, [0, 1, "all"]) == {"0": few, "1": few, "all": whole}


def test_images_of_handwriting_come_from_its_source():
    fold = Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15, unseen_classes=5)
    whole = Images(train=20 * 120, test=20 * 40, unseen=0, classes=20)
    assert count(RAW, "handwriting", {}, [0, "all", 2]) == {"0": fold, "all": whole, "2": fold}


def test_cost_of_a_network_equals_an_independent_count():
    found = work_of(config({}), "efficientnet_lite0", Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15))
    network = timm.create_model("tf_efficientnet_lite0", num_classes=15)
    state = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    extra = 15 * 100
    assert found.passed == 3 * (600 + 500) + extra
    widths = 32 + 16 + 24 + 40 + 80 + 112 + 192 + 320 + 1280
    row, pixels = widths * 4 + 15 * 4, 8 * 8 * 3 * 4
    assert found.disk == 3 * state + 1100 * (3 * row + pixels) + extra * (row + pixels)
    assert found.shards == state + extra * row


def test_a_frozen_network_is_embedded_once_and_has_no_head():
    images = Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15)
    found = work_of(config({"models.efficientnet_lite0.network.frozen": True}), "efficientnet_lite0", images)
    body = timm.create_model("tf_efficientnet_lite0", num_classes=0).state_dict()
    row, extra = sum(layer.width for layer in found.layers) * 4, 15 * 100
    weights = sum(t.numel() * t.element_size() for t in body.values())
    assert found.disk == weights + (1100 + extra) * (row + 8 * 8 * 3 * 4)
    assert found.passed == 600 + 500 + extra


def test_operations_of_a_convolution_and_a_product():
    with torch.device("meta"):
        layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 5))
    assert trace_forward(layer, 8).operations[""] == 4 * 64 * 3 * 9 + 4 * 64 * 5


def test_operations_of_a_network_whose_skeleton_has_memory():
    network = {"library": "torchvision", "name": "regnet_y_400mf", "weights": {"source": "none"}, "image_size": 224}
    params = config({"models.regnet": {"network": network, "taps": {"layers": "default"}}})
    found = work_of(params, "regnet", Images(train=1800, test=600, unseen=500, classes=1000))
    assert 2 * found.layers[-1].operations == pytest.approx(2 * 0.40e9, rel=0.02)  # as torchvision's documentation
