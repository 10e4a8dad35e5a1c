"""Every network that params.yaml names can be built as its entry says, and has the layers that it is known for."""

from pathlib import Path

import pytest

from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.shared.networks.network import build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.workflow.params import load, read_model_part

PARAMS = Path(__file__).parents[2] / "params.yaml"

LAYERS = {
    **dict.fromkeys(["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"], (9, 1280)),  # 7 stages
    **dict.fromkeys(["efficientnet_lite0_frozen", "efficientnet_lite0_scratch"], (9, 1280)),
    "swin_small_scratch": (5, 256),  # patches, 4 stages
    "resnet50": (5, 2048),
    "vit_b16": (13, 768),
    "swin_t": (5, 768),
    "pvt_tiny": (9, 512),
    "cvt21": (3, 384),
    "poolformer_s12": (4, 512),
    "convnextv2_t": (5, 768),
    **dict.fromkeys(["clip_vit_b32", "clip_vit_b16"], (13, 768)),  # tokens, 12 blocks
    "dinov2_vit_s14": (13, 384),
}
"""Number of layers, and the width of the last."""


def test_no_entry_is_left_out() -> None:
    assert set(LAYERS) == set(load(PARAMS)["models"])


@pytest.mark.parametrize("model", LAYERS)
def test_an_entry_has_its_layers(model: str) -> None:
    entry = read_model_part(PARAMS, model, "network", NetworkParams)
    network = build_skeleton(entry, 5)
    taps = find_taps(network, entry, read_model_part(PARAMS, model, "taps", TapsParams))
    assert (len(taps), taps[-1].width) == LAYERS[model]
    assert [tap.depth for tap in taps] == list(range(len(taps)))
    assert [tap.parameters for tap in taps] == sorted(tap.parameters for tap in taps)
    operations = [tap.operations for tap in taps]
    assert operations == sorted(operations)
    assert operations[0] >= 0
    assert len(taps) == 1 or operations[0] < operations[-1]
