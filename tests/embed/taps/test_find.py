"""What is said of a tap: order, layout, width, parameters up to it; and module paths that are no layer."""

from typing import Any

import pytest
import torch
from torch import nn

from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.embed.taps.patterns import expand
from stages.embed.taps.tap import Tap, find_layout, prefix_at
from stages.shared.networks.network import Network, build_network, build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.transforms import Transform
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse

RESNET = {"library": "timm", "name": "resnet10t", "image_size": 32}
VIT = {
    "library": "timm",
    "name": "vit_tiny_patch16_224",
    "image_size": 64,
    "config": {"depth": 2, "embed_dim": 48, "num_heads": 3},
}
CVT = {
    "library": "transformers",
    "name": "microsoft/cvt-21",
    "image_size": 64,
    "config": {"embed_dim": [8, 12, 16], "num_heads": [1, 1, 2], "depth": [1, 2, 3]},
}


def params(entry: dict[str, Any]) -> NetworkParams:
    return NetworkParams.model_validate({"weights": {"source": "none"}, **entry})


def taps_of(entry: dict[str, Any], layers: Any = "default") -> list[Tap]:
    network = build_skeleton(params(entry), 3)
    return find_taps(network, params(entry), TapsParams(layers=layers))


def test_named_layers_come_in_order_of_execution() -> None:
    taps = taps_of(RESNET, ["global_pool", "layer3.0", "conv1.0", "layer1"])
    assert [(tap.path, tap.depth) for tap in taps] == [
        ("conv1.0", 0),
        ("layer1", 1),
        ("layer3.0", 2),
        ("global_pool", 3),
    ]
    assert [(tap.layout, tap.width) for tap in taps] == [("nchw", 24), ("nchw", 64), ("nchw", 256), ("vector", 512)]


def test_named_layers_of_a_vit_know_their_tokens() -> None:
    taps = {tap.path: tap for tap in taps_of(VIT, ["patch_embed", "norm_pre", "blocks.1.mlp.fc1", "fc_norm"])}
    found = {path: (tap.layout, tap.width, tap.prefix_tokens, tap.class_token) for path, tap in taps.items()}
    assert found == {
        "patch_embed": ("tokens", 48, 0, False),  # 4 x 4 patches; the class token joins them after it
        "norm_pre": ("tokens", 48, 1, True),
        "blocks.1.mlp.fc1": ("tokens", 192, 1, True),
        "fc_norm": ("vector", 48, 0, False),
    }


def test_a_module_that_holds_the_head_is_no_layer_of_a_frozen_network() -> None:
    entry = {"library": "torchvision", "name": "mobilenet_v3_small", "image_size": 32}
    assert taps_of(entry, ["features.0", "classifier"])[-1].layout == "vector"
    with pytest.raises(UserError, match=r"'classifier' is or holds the classification head \(classifier\.3\), which"):
        taps_of({**entry, "frozen": True}, ["features.0", "classifier"])


def test_timm_s_layers_without_a_module_are_passed_over() -> None:
    taps = taps_of({"library": "timm", "name": "tresnet_m", "image_size": 64})
    assert [tap.path for tap in taps] == ["body.layer1", "body.layer2", "body.layer3", "body.layer4"]


def test_of_several_outputs_the_map_is_taken() -> None:
    taps = taps_of(CVT, ["cvt.encoder.stages.2", "cvt.encoder.stages.2.layers.0"])
    found = [(tap.path.rpartition("stages.")[2], tap.item, tap.layout, tap.class_token) for tap in taps]
    assert found == [("2.layers.0", None, "tokens", True), ("2", 0, "nchw", False)]


def test_parameters_are_those_used_up_to_the_tap() -> None:
    network = build_network(params(VIT), 3, seed=0)
    module = network.module
    sizes = {
        name: sum(p.numel() for p in module.get_submodule(name).parameters()) for name in ("patch_embed", "blocks.0")
    }
    tokens = module.cls_token.numel() + module.pos_embed.numel()
    embedded, first, _ = find_taps(network, params(VIT), TapsParams())
    assert embedded.parameters == sizes["patch_embed"] + tokens
    assert first.parameters == embedded.parameters + sizes["blocks.0"]


def test_parameters_of_modules_that_never_run_count_with_the_one_around_them() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 4, 8, 8)  # 3 * 4 * 64 + 4 = 772
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)  # 3 * (16 + 4) + out_proj 20 = 80
            self.out = nn.Linear(4, 3)  # 15
            self.rests = nn.Linear(4, 100)  # never runs

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            tokens = self.embed(images).flatten(2).transpose(1, 2)
            return self.out(self.attention(tokens, tokens, tokens)[0].mean(1))

    network = Network(Attends(), ("out",), Transform(32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False))
    taps = find_taps(network, params(RESNET), TapsParams(layers=["embed", "attention", "out"]))
    assert [tap.parameters for tap in taps] == [772, 772 + 80, 772 + 80 + 15]
    assert [(tap.layout, tap.item) for tap in taps] == [("nchw", None), ("tokens", 0), ("vector", None)]
    embed, out = 4 * 4 * (3 * 8 * 8) * 4, 4 * 3  # 4 x 4 positions
    attention = 16 * 4 * 3 * 4 + 2 * (16 * 16 * 4) + 16 * 4 * 4  # projections; queries x keys, weights x values; out
    assert [tap.operations for tap in taps] == [embed, embed + attention, embed + attention + out]


@pytest.mark.parametrize(
    ("library", "name", "config", "patch", "D"),
    [
        ("timm", "vit_tiny_patch16_224", {"depth": 3, "embed_dim": 48, "num_heads": 3}, 16, 48),
        ("torchvision", "vit_b_32", None, 32, 768),
        ("open_clip", "ViT-B-32", {"layers": 3, "width": 64, "head_width": 32}, 32, 64),
        ("transformers", "google/vit-base-patch16-224-in21k", {"num_hidden_layers": 3}, 16, 768),
    ],
)
def test_operations_of_a_vit_count_attention_on_every_device(
    library: str, name: str, config: dict[str, Any] | None, patch: int, D: int
) -> None:
    entry = {"library": library, "name": name, "image_size": 64, "config": config}
    taps = find_taps(build_network(params(entry), 3, seed=0), params(entry), TapsParams())
    T = (64 // patch) ** 2 + 1
    patches, block = (T - 1) * (3 * patch**2) * D, T * D * 3 * D + 2 * T * T * D + T * D * D + 2 * T * D * 4 * D
    assert [tap.operations for tap in taps] == [patches + depth * block for depth in range(len(taps))]
    assert taps_of(entry) == taps
    assert torch.backends.mha.get_fastpath_enabled()


def test_operations_of_a_known_network() -> None:
    taps = taps_of({"library": "timm", "name": "tf_efficientnet_lite0", "image_size": 224})
    assert taps[-1].operations == pytest.approx(0.4e9, rel=0.05)  # as published
    assert taps[0].operations == 112 * 112 * 32 * 3 * 3 * 3  # the stem, stride 2


def test_a_network_with_a_parameter_among_its_activations_is_counted() -> None:
    siglip = {"library": "timm", "name": "vit_base_patch16_siglip_224", "image_size": 32, "config": {"depth": 1}}
    network = build_network(params(siglip), 3, seed=0)  # its pooling takes a parameter for its query
    assert find_taps(network, params(siglip), TapsParams()) == taps_of(siglip)


def test_a_skeleton_has_the_same_taps_as_the_network() -> None:
    for entry in (RESNET, VIT, CVT):
        network = build_network(params(entry), 3, seed=0)
        assert find_taps(network, params(entry), TapsParams()) == taps_of(entry)


def test_the_dry_pass_leaves_the_network_as_it_was() -> None:
    network = build_network(params(RESNET), 3, seed=0)
    module = network.module
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.train()
    module.layer1.eval()
    module.conv1.requires_grad_(False)
    find_taps(network, params(RESNET), TapsParams())
    assert module.training
    assert not module.layer1.training
    untrained = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert untrained == {f"conv1.{name}" for name, _ in module.conv1.named_parameters()}
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())


def test_hooks_are_removed_when_the_pass_fails() -> None:
    network = build_network(params(VIT), 3, seed=0)
    with pytest.raises(AssertionError):
        find_taps(network, params({**VIT, "image_size": 32}), TapsParams())
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in network.module.modules())


def test_a_module_that_never_runs_is_refused() -> None:
    with pytest.raises(UserError, match=r"pvt\.encoder\.block must run once in a forward pass, runs 0 times"):
        taps_of({"library": "transformers", "name": "Zetatech/pvt-tiny-224", "image_size": 64}, ["pvt.encoder.block"])


def test_a_module_that_runs_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"layer1\.0\.relu must run once in a forward pass, runs 2 times"):
        taps_of({"library": "torchvision", "name": "resnet18", "image_size": 32}, ["layer1.0.relu"])


def test_an_output_that_is_no_layer_is_refused() -> None:
    swin = {
        "library": "torchvision",
        "name": "swin_t",
        "image_size": 32,
    }
    assert taps_of(swin, ["features.1.0.attn"])[0].layout == "nhwc"
    windows = {
        "library": "timm",
        "name": "swin_tiny_patch4_window7_224",
        "image_size": 64,
        "config": {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
    }
    with pytest.raises(UserError, match=r"for B = 2 images must be .*found \[\(32, 16, 16\)\]"):
        taps_of(windows, ["layers.0.blocks.0.attn"])  # windows: 2 x 16 of them, 16 tokens, 16 features


def test_a_network_whose_layers_the_library_does_not_name_asks_for_them() -> None:
    with pytest.raises(UserError, match=r"list them: taps: \{layers: \[module paths\]\}"):
        taps_of({"library": "timm", "name": "coat_lite_tiny", "image_size": 64})


def test_a_repeated_path_is_refused_with_the_parameters() -> None:
    with pytest.raises(UserError, match=r"models\.mine\.taps: .*layers must not repeat a path"):
        parse({"layers": ["layer1", "layer1"]}, TapsParams, where="models.mine.taps")
    with pytest.raises(UserError, match=r"models\.mine\.taps\.layers"):
        parse({"layers": "all"}, TapsParams, where="models.mine.taps")


@pytest.mark.parametrize(
    ("shape", "channels_last", "expected"),
    [
        ((2, 8), False, "vector"),
        ((2, 50, 8), False, "tokens"),
        ((2, 8, 4, 4), True, "nchw"),
        ((2, 4, 4, 8), False, "nhwc"),
        ((2, 8, 1, 1), True, "nchw"),
        ((2, 1, 1, 8), False, "nhwc"),
        ((2, 4, 4, 4), False, "nchw"),
        ((2, 4, 4, 4), True, "nhwc"),
    ],
)
def test_layouts(shape: tuple[int, ...], channels_last: bool, expected: str) -> None:
    assert find_layout(torch.empty(shape), channels_last=channels_last) == expected


@pytest.mark.parametrize(
    ("tokens", "known", "expected"),
    [
        (197, 1, 1),  # ViT: 1 + 14 x 14
        (196, 1, 0),  # before the class token joins
        (50, 1, 1),  # PVT's last stage
        (2, 1, 1),
        (1, 1, 0),
        (201, 5, 5),  # class and four registers
        (9, 5, 5),  # 5 + 2 x 2, though 9 is a square as well
        (7, 1, 1),  # no square either way: as the network has it
        (49, 0, 0),
    ],
)
def test_prefix_tokens(tokens: int, known: int, expected: int) -> None:
    assert prefix_at(tokens, known) == expected


def test_tokens_that_may_hold_a_class_token_of_an_unknown_name_are_refused() -> None:
    with pytest.raises(UserError, match="its 50 tokens must be a square grid of patches, or have before it a token"):
        prefix_at(50, 0)


def test_patterns() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()))
    assert expand(module, ["0", "1.*"]) == ["0", "1.0", "1.1", "1.2"]
    assert expand(nn.Sequential(module), ["1.*:ReLU"], "0.") == ["0.1.0", "0.1.2"]
