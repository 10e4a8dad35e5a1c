"""The plan: counts, sizes and operations against independent computations."""

from pathlib import Path

import timm
import torch

from stages.plan import cost, count_images, following, forward_flops, images_of, size, table, totals
from stages.prepare.params import read_dataset
from stages.shared.params import RunParams

ROOT = Path(__file__).parents[1]
PARAMS, RAW = ROOT / "params.yaml", ROOT / "data" / "raw"


def test_images_of_the_papers_datasets_are_known_without_a_download(tmp_path: Path):
    calligraphy = count_images(tmp_path, read_dataset(PARAMS, "calligraphy"), 0, "calligraphy")
    cifar100 = count_images(tmp_path, read_dataset(PARAMS, "cifar100"), 0, "cifar100")
    assert (calligraphy.train, calligraphy.test, calligraphy.unseen, calligraphy.classes) == (9100, 2500, 2500, 15)
    assert (cifar100.train, cifar100.test, cifar100.unseen, cifar100.classes) == (10_000, 2000, 2500, 20)


def test_images_of_hands_come_from_its_source():
    hands = images_of(PARAMS, RAW, "hands")
    assert (hands.train, hands.test, hands.unseen, hands.classes) == (15 * 120, 15 * 40, 5 * 100, 15)


def test_cost_of_a_network_equals_an_independent_count():
    images = images_of(PARAMS, RAW, "hands")
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


def test_what_follows_from_a_changed_stage():
    run = RunParams(datasets=["a", "b"], models=["m", "n"], seeds=[0])
    assert following([], run) == set()
    assert following(["measure@a-m-0"], run) == {"measure@a-m-0", "aggregate"}
    after_prepare = {f"{stage}@b-{m}-0" for stage in ("finetune", "embed", "measure") for m in "mn"}
    assert following(["prepare@b"], run) == {"prepare@b", "aggregate"} | after_prepare


def test_totals_warn_when_the_disk_is_too_small():
    images = images_of(PARAMS, RAW, "hands")
    found = cost(PARAMS, "efficientnet_lite0", images)
    assert "warning" not in totals([found], 1, 15.0, ROOT)
    assert "finetune.keep: last" in totals([found] * 1000, 1000, 15.0, ROOT)
    assert "3.4M" in table([("hands", "efficientnet_lite0", images, found)], 1)
    assert (size(3 * 2**20), size(1.5 * 2**30)) == ("3 MiB", "1.5 GiB")
