"""The cost of a network against independent counts."""

import pytest
import timm
import torch

from stages.commands.plan.cost import cost, forward_flops
from stages.commands.plan.images import Images
from tests.commands.edited import config


def test_cost_of_a_network_equals_an_independent_count():
    found = cost(config({}), "efficientnet_lite0", Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15))
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


def test_a_frozen_network_is_embedded_once_and_not_trained():
    images = Images(train=15 * 120, test=15 * 40, unseen=5 * 100, classes=15)
    found = cost(config({"models.efficientnet_lite0.network.frozen": True}), "efficientnet_lite0", images)
    body = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    assert found.parameters == sum(p.numel() for p in body.parameters())
    assert found.checkpoints == sum(t.numel() * t.element_size() for t in body.state_dict().values())
    assert (found.trained, found.training_memory) == (0, 0)
    assert found.passed == 600 + 500 + 15 * 100 + 12 * 15 * 10


def test_operations_of_a_convolution_and_a_product():
    with torch.device("meta"):
        layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 5))
    assert forward_flops(layer, 8) == 2 * (4 * 64 * 3 * 9) + 2 * (4 * 64 * 5)


def test_operations_of_a_network_whose_skeleton_has_memory():
    network = {"library": "torchvision", "name": "regnet_y_400mf", "weights": {"source": "none"}, "image_size": 224}
    params = config({"models.regnet": {"network": network, "taps": {"layers": "default"}}})
    found = cost(params, "regnet", Images(train=1800, test=600, unseen=500, classes=1000))
    assert found.parameters == 4_344_144  # torchvision's documentation
    operations = found.flops / (3 * found.trained + found.passed)
    assert operations == pytest.approx(2 * 0.40e9, rel=0.02)  # the same, where a multiplication with addition is one
