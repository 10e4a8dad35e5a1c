"""The plan: counts, sizes and operations against independent computations."""

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from ruamel.yaml import YAML

from stages.commands.plan import (
    Images,
    cost,
    count_images,
    following,
    forward_flops,
    images_of,
    main,
    size,
    table,
    totals,
)
from stages.prepare.params import DATASET_PARAMS
from stages.shared.params import RunParams, parse

ROOT = Path(__file__).parents[2]
PARAMS, RAW = ROOT / "params.yaml", ROOT / "data" / "raw"


@pytest.mark.parametrize(
    ("dataset", "changes", "expected"),
    [
        ("calligraphy", {}, (9100, 2500, 5 * 500, 15)),
        ("calligraphy", {"unseen_count": 4}, (9100, 2500, 4 * 500, 16)),
        ("calligraphy", {"seen_classes": ["lqs", "mzd"], "train_total": 900}, (900, 2500, 5 * 500, 2)),
        ("calligraphy", {"train_total": None, "train": 90, "unseen": 70}, (15 * 90, 2500, 5 * 70, 15)),
        ("cifar100", {}, (10_000, 2000, 2500, 20)),
        ("cifar100", {"train_total": 1000, "test_total": 200}, (1000, 200, 2500, 20)),
        ("cifar100", {"unseen_count": 4}, (10_000, 2000, 4 * 500, 20)),
        ("cifar100", {"seen_classes": None, "test": 7, "unseen": None}, (95 * 500, 95 * 7, 2500, 95)),
    ],
)
def test_images_of_the_papers_datasets_are_known_without_a_download(
    dataset: str, changes: dict[str, Any], expected: tuple[int, ...]
):
    entry = YAML(typ="safe").load(PARAMS)["datasets"][dataset]
    params = parse(entry | changes, DATASET_PARAMS[dataset], where=dataset)
    assert count_images(RAW / dataset, params, 0, dataset) == Images(*expected)


@pytest.mark.parametrize("dataset", ["calligraphy", "cifar100"])
def test_images_that_lie_in_the_raw_folder_are_listed_and_counted_as_prepare_would(dataset: str, tmp_path: Path):
    for split, count in (("train", 6), ("test", 3)):
        for label in ("apple", "baby", "bear", "bed"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                (tmp_path / split / label / f"{number}.png").touch()
    entry = {"source": dataset, "image_size": 32, "seen_classes": ["apple", "baby"], "unseen_classes": ["bear", "bed"]}
    params = parse(entry | {"train_total": 9, "test_total": 5}, DATASET_PARAMS[dataset], where=dataset)
    assert count_images(tmp_path, params, 0, dataset) == Images(train=9, test=5, unseen=12, classes=2)
    classes = {"seen_classes": None, "unseen_classes": None, "unseen_count": 2}
    drawn = parse(entry | classes, type(params), where=dataset)
    assert count_images(tmp_path, drawn, 0, dataset) == Images(train=12, test=6, unseen=12, classes=2)


def test_images_of_hands_come_from_its_source():
    handwriting = images_of(PARAMS, RAW, "handwriting")
    assert (handwriting.train, handwriting.test, handwriting.unseen, handwriting.classes) == (
        15 * 120,
        15 * 40,
        5 * 100,
        15,
    )


def test_cost_of_a_network_equals_an_independent_count():
    images = images_of(PARAMS, RAW, "handwriting")
    found = cost(PARAMS, "efficientnet_lite0", images)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=15)
    state = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.checkpoints == 3 * state
    assert found.trained == 100 * 72
    extra = 15 * 100 + 12 * 15 * 10
    assert found.passed == 3 * 600 + 3 * (600 + 500) + extra
    widths = 32 + 16 + 24 + 40 + 80 + 112 + 192 + 320 + 1280
    row, pixels = widths * 4 + 15 * 4, 8 * 8 * 3 * 4
    assert found.embeddings == 1100 * (3 * row + pixels) + extra * (row + pixels)
    assert found.embed_memory == extra * row


def test_operations_of_a_convolution_and_a_product():
    with torch.device("meta"):
        layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 5))
    assert forward_flops(layer, 8) == 2 * (4 * 64 * 3 * 9) + 2 * (4 * 64 * 5)


def test_operations_of_a_network_whose_skeleton_has_memory(tmp_path: Path):
    params = YAML(typ="safe").load(PARAMS)
    network = {"library": "torchvision", "name": "regnet_y_400mf", "weights": {"source": "none"}, "image_size": 224}
    params["models"]["regnet"] = {"network": network, "taps": {"layers": "default"}}
    YAML(typ="safe").dump(params, tmp_path / "params.yaml")
    found = cost(tmp_path / "params.yaml", "regnet", Images(train=1800, test=600, unseen=500, classes=1000))
    assert found.parameters == 4_344_144  # torchvision's documentation
    operations = found.flops / (3 * found.trained + found.passed)
    assert operations == pytest.approx(2 * 0.40e9, rel=0.02)  # the same, where a multiplication with addition is one


def test_what_the_gpu_sustains_is_more_than_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["plan", "--tflops", "0"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--tflops: must be more than 0, found 0" in capsys.readouterr().err


def test_what_follows_from_a_changed_stage():
    run = RunParams(datasets=["a", "b"], models=["m", "n"], seeds=[0])
    assert following([], run) == set()
    assert following(["measure@a-m-0"], run) == {"measure@a-m-0", "aggregate"}
    after_prepare = {f"{stage}@b-{m}-0" for stage in ("finetune", "embed", "measure") for m in "mn"}
    assert following(["prepare@b"], run) == {"prepare@b", "aggregate"} | after_prepare


def test_totals_warn_when_the_disk_is_too_small():
    images = images_of(PARAMS, RAW, "handwriting")
    found = cost(PARAMS, "efficientnet_lite0", images)
    assert "warning" not in totals([found], 1, 15.0, ROOT)
    assert "finetune.keep: last" in totals([found] * 1000, 1000, 15.0, ROOT)
    assert "3.4M" in table([("handwriting", "efficientnet_lite0", images, found)], 1)
    assert (size(3 * 2**20), size(1.5 * 2**30)) == ("3 MiB", "1.5 GiB")
