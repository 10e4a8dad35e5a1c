"""A network with its batch normalizations folded computes what it computes without, to rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from stages.embed.embedder import Embedder, layer_embeddings, pooled_layers
from stages.embed.folding import FoldedNorms
from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.shared.networks.device import choose_device
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams, WeightsParams


def conv() -> nn.Conv2d:
    return nn.Conv2d(3, 3, 3, padding=1)


def norm(**options: bool) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(3, **options)
    shuffle(module)
    return module.eval()


def shuffle(module: nn.Module) -> None:
    """Give every batch normalization statistics and weights that are not the first ones, which change nothing."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            for tensor in (child.weight, child.bias, child.running_mean, child.running_var):
                if tensor is not None:
                    nn.init.uniform_(tensor, 0.5, 2)


def outputs(run: Callable[[Tensor], Any], images: Tensor) -> tuple[int, Any, Any]:
    """Return how many norms were folded, and what the network returns with them folded and without."""
    with torch.inference_mode():
        norms = FoldedNorms(lambda: run(torch.zeros_like(images[:1])))
        with norms:
            found = run(images)
        return len(norms), found, run(images)


IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("library", "name", "count"),
    [
        ("timm", "tf_efficientnet_lite0", 49),  # all it has; their modules hold the activation too
        ("timm", "test_vit", 0),
        ("torchvision", "resnet18", 20),
        ("torchvision", "densenet121", 59),  # of 121; the others read what is joined, or pooled
    ],
)
def test_every_layer_is_what_it_is_without(library: Any, name: str, count: int):
    entry = NetworkParams(library=library, name=name, weights=WeightsParams(source="none"), image_size=64)
    network = build_network(entry, 5, seed=0)
    layers = pooled_layers(find_taps(network, entry, TapsParams()), ["auto"])
    shuffle(network.module.eval().double())
    images = torch.rand(3, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with layer_embeddings(network, layers) as embed:
        folded, found, expected = outputs(embed, images)
    assert folded == count
    assert list(found) == list(expected)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_a_checkpoint_that_is_loaded_next_is_folded_anew():
    entry = NetworkParams(library="torchvision", name="resnet18", weights=WeightsParams(source="none"), image_size=32)
    network = build_network(entry, 5, seed=0)
    network.module.eval()
    embedder = Embedder(network, [], logits=True, rotation=None, compute=choose_device())
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    for _ in range(2):
        shuffle(network.module)
        with embedder.running() as embed:
            found = embed(np.arange(3), pixels)["logits"]
        with torch.inference_mode():
            expected = network.logits(embedder.inputs(np.arange(3), pixels)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3)
        assert not np.array_equal(found, expected)  # it was folded


def test_what_a_hook_reads_stays_as_it_is():
    network = nn.Sequential(conv(), norm(), conv(), norm())
    read = []
    network[0].register_forward_hook(lambda module, inputs, output: read.append(output.mean((2, 3))))
    count, found, expected = outputs(network, IMAGES)
    assert count == 1
    torch.testing.assert_close(found, expected)
    assert torch.equal(read[-1], read[-2])


def test_nothing_is_folded_where_the_two_are_not_one():
    first, second, shared = conv(), conv(), norm()
    normed = weight_norm(conv())
    batch = nn.BatchNorm2d(3, track_running_stats=False).eval()
    networks: list[Callable[[Tensor], Tensor]] = [
        lambda x: (y := first(x)) + shared(y),  # which reads the convolution's output too
        lambda x: shared(first(first(x))),  # one convolution twice
        lambda x: shared(second(shared(first(x)))),  # one normalization twice
        lambda x: shared(functional.conv2d(x, weight=first.weight, bias=first.bias)),  # arguments by their names
        lambda x: shared(functional.conv2d(x, first.weight)),
        nn.Sequential(normed, norm()),  # weights that are computed at each pass
        nn.Sequential(conv(), batch),  # with the statistics of the batch
        nn.Sequential(conv(), nn.ReLU(), norm()),
    ]
    for network in networks:
        count, found, expected = outputs(network, IMAGES)
        assert count == 0
        assert torch.equal(found, expected)


def test_a_bias_and_a_norm_without_weights_are_folded():
    network = nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), norm(affine=False), conv(), norm())
    count, found, expected = outputs(network, IMAGES)
    assert count == 2
    torch.testing.assert_close(found, expected)
