"""Networks that no machine could hold, or that would never be finished, stop before they fill memory."""

import resource
import time
from functools import partial
from typing import Any

import psutil
import pytest
from torch import nn

from stages.shared.networks.network import build_network, build_skeleton, limited_size
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError


def params(library: str, name: str, **config: object) -> NetworkParams:
    entry = {"library": library, "name": name, "weights": {"source": "none"}, "image_size": 32, "config": config}
    return NetworkParams.model_validate(entry)


@pytest.mark.parametrize(("most", "passes"), [(4 * (10 * 20 + 20), True), (4 * (10 * 20 + 20) - 1, False)])
def test_weights_are_counted_in_bytes(most: int, passes: bool) -> None:
    def build() -> None:
        with limited_size(most):
            nn.Linear(10, 20)

    if passes:
        build()
    else:
        with pytest.raises(UserError, match=r"must fit into the 0.0 GB of this machine's memory .* found 0.0 GB in 2"):
            build()


def test_buffers_and_the_number_of_tensors_count() -> None:
    with limited_size(tensors_limit=5):
        nn.BatchNorm1d(3)  # weight, bias, running mean and variance, number of batches
    with (
        pytest.raises(UserError, match=r"be at most 4 tensors, found .* in 5, and it is not finished"),
        limited_size(tensors_limit=4),
    ):
        nn.BatchNorm1d(3)
    with limited_size(tensors_limit=1):
        nn.Linear(1, 1, bias=False)  # what is None is none
    nn.Linear(10, 20)  # nothing is counted any more


HUGE = [
    ("timm", "swin_tiny_patch4_window7_224", {"embed_dim": 96_000, "window_size": 1}),
    ("torchvision", "resnet50", {"width_per_group": 1_000_000}),
    ("open_clip", "ViT-B-32", {"layers": 1_000_000, "width": 64, "head_width": 32}),
    ("transformers", "microsoft/resnet-50", {"hidden_sizes": [1_000_000] * 4}),
]
SLOW = (pytest.mark.slow, pytest.mark.long)
HUGE_AND_SLOW = [
    ("timm", "vit_tiny_patch16_224", {"embed_dim": 999_999}),
    ("timm", "vit_tiny_patch16_224", {"depth": 1_000_000, "embed_dim": 3}),
    ("torchvision", "mobilenet_v3_small", {"width_mult": 1e6}),
    ("transformers", "google/vit-base-patch16-224-in21k", {"num_hidden_layers": 1_000_000, "hidden_size": 12}),
]


@pytest.mark.parametrize(
    ("library", "name", "config"), [*HUGE, *(pytest.param(*each, marks=SLOW) for each in HUGE_AND_SLOW)]
)
def test_a_huge_network_is_one_message_before_it_fills_memory(library: str, name: str, config: dict[str, Any]) -> None:
    entry, began = params(library, name, **config), time.monotonic()
    for build in (partial(build_network, seed=0), build_skeleton):
        with pytest.raises(
            UserError, match=r"must fit into the|cannot be built and run on images of 32 px with config"
        ):
            build(entry, 2)
    assert time.monotonic() - began < 120
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak < psutil.virtual_memory().total / 2
