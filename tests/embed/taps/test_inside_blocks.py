"""Layers inside the blocks of vision transformers: against each block computed by hand, in all four libraries."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.embed.embedder import layer_embeddings, pooled_layers
from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.embed.taps.inside_blocks import with_inside
from stages.embed.taps.tap import Tap
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError

Parts = tuple[Tensor, Tensor, Tensor]
"""A block's attention output, feed-forward activation and output."""


def build(library: str, name: str, size: int = 64, **config: Any) -> tuple[Network, list[Tap]]:
    entry = {"library": library, "name": name, "image_size": size, "weights": {"source": "none"}}
    params = NetworkParams.model_validate(entry | {"config": config or None})
    network = build_network(params, 5, seed=0)
    return network, find_taps(network, params, TapsParams(layers="inside_blocks"))


def timm_block(block: Any, x: Tensor) -> Parts:
    attention = block.attn(block.norm1(x))
    x = x + block.ls1(attention)
    hidden = block.mlp.act(block.mlp.fc1(block.norm2(x)))
    return attention, hidden, x + block.ls2(block.mlp.fc2(hidden))


def timm_gated_block(block: Any, x: Tensor) -> Parts:
    attention = block.attn(block.norm1(x))
    x = x + block.ls1(attention)
    gate, value = block.mlp.fc1(block.norm2(x)).chunk(2, dim=-1)
    hidden = nn.functional.silu(gate) * value
    return attention, hidden, x + block.ls2(block.mlp.fc2(hidden))


def torchvision_block(block: Any, x: Tensor) -> Parts:
    normed = block.ln_1(x)
    attention = block.self_attention(normed, normed, normed, need_weights=False)[0]
    x = x + attention
    hidden = nn.functional.gelu(block.mlp[0](block.ln_2(x)))
    return attention, hidden, x + block.mlp[3](hidden)


def open_clip_block(block: Any, x: Tensor) -> Parts:
    normed = block.ln_1(x)
    attention = block.attn(normed, normed, normed, need_weights=False)[0]
    x = x + attention
    hidden = nn.functional.gelu(block.mlp.c_fc(block.ln_2(x)))
    return attention, hidden, x + block.mlp.c_proj(hidden)


def transformers_block(block: Any, x: Tensor) -> Parts:
    attention = block.attention(block.layernorm_before(x))[0]
    x = x + attention
    hidden = nn.functional.gelu(block.mlp.fc1(block.layernorm_after(x)))
    return attention, hidden, x + block.mlp.fc2(hidden)


CASES: list[Any] = [
    pytest.param(
        ("timm", "vit_small_patch14_reg4_dinov2", 56), {"depth": 2, "embed_dim": 48, "num_heads": 3}, timm_block,
        ["norm_pre", "blocks.{}", "attn", "mlp.act"], 5, id="timm",
    ),
    pytest.param(
        ("timm", "vit_giant_patch14_dinov2", 56), {"depth": 2, "embed_dim": 48, "num_heads": 3}, timm_gated_block,
        ["norm_pre", "blocks.{}", "attn", "mlp.drop1"], 1, id="timm gated",
    ),
    pytest.param(
        ("torchvision", "vit_b_32", 64), {}, torchvision_block,
        ["encoder.dropout", "encoder.layers.encoder_layer_{}", "self_attention", "mlp.1"], 1, id="torchvision",
    ),
    pytest.param(
        ("open_clip", "ViT-B-32", 64), {"layers": 2, "width": 64, "head_width": 32}, open_clip_block,
        ["visual.ln_pre", "visual.transformer.resblocks.{}", "attn", "mlp.gelu"], 1, id="open_clip",
    ),
    pytest.param(
        ("transformers", "google/vit-base-patch16-224-in21k", 64), {"num_hidden_layers": 2}, transformers_block,
        ["vit.embeddings", "vit.layers.{}", "attention", "mlp.activation_fn"], 1, id="transformers",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("names", "config", "by_hand", "paths", "prefix"), CASES)
def test_parts_of_every_block_are_those_computed_by_hand(
    names: tuple[str, str, int],
    config: dict[str, Any],
    by_hand: Callable[[Any, Tensor], Parts],
    paths: list[str],
    prefix: int,
) -> None:
    network, taps = build(*names, **config)
    stem, block, attention, activation = paths
    depth = (len(taps) - 1) // 3
    blocks = [block.format(i) for i in range(depth)]
    assert depth == (12 if names[0] == "torchvision" else 2)
    inside = [path for each in blocks for path in (f"{each}.{attention}", f"{each}.{activation}", each)]
    assert [tap.path for tap in taps] == [stem, *inside]
    assert {(tap.layout, tap.prefix_tokens, tap.class_token) for tap in taps} == {("tokens", prefix, True)}
    expected = [captured(network, stem)]
    with torch.inference_mode():
        for each in blocks:
            expected += by_hand(network.module.get_submodule(each), expected[-1])
    for pooling, rows in (
        ("auto", [tokens[:, 0] for tokens in expected]),
        ("mean", [tokens[:, prefix:].mean(1) for tokens in expected]),
        ("max", [tokens[:, prefix:].amax(1) for tokens in expected]),
    ):
        found = embedded(network, taps, pooling)
        assert [each.shape for each in found] == [(2, tap.width) for tap in taps]
        for mine, theirs, tap in zip(found, rows, taps, strict=True):
            torch.testing.assert_close(mine, theirs, msg=lambda text, tap=tap: f"{tap.path}: {text}")


def images_of(network: Network) -> Tensor:
    size = network.transform.size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def captured(network: Network, path: str) -> Tensor:
    kept: list[Tensor] = []
    handle = network.module.get_submodule(path).register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.inference_mode():
        network.logits(images_of(network))
    handle.remove()
    return kept[0]


def embedded(network: Network, taps: list[Tap], pooling: Any) -> list[Tensor]:
    with layer_embeddings(network, pooled_layers(taps, [pooling]), logits=False) as embed, torch.inference_mode():
        return list(embed(images_of(network)).values())


def test_a_tap_inside_a_block_costs_what_runs_up_to_it() -> None:
    _, taps = build("timm", "vit_tiny_patch16_224", depth=1, embed_dim=48, num_heads=3)
    T, D = 17, 48
    embedded_, attention, hidden, out = taps
    norm, linear = 2 * D, 4 * D * D + 4 * D
    assert attention.parameters - embedded_.parameters == norm + 4 * D * D + 4 * D
    assert hidden.parameters - attention.parameters == norm + linear  # not the layer that comes after it
    assert out.parameters - hidden.parameters == 4 * D * D + D
    assert attention.operations - embedded_.operations == 4 * T * D * D + 2 * T * T * D
    assert hidden.operations - attention.operations == out.operations - hidden.operations == 4 * T * D * D
    assert (hidden.width, attention.width) == (4 * D, D)


def test_blocks_are_known_by_the_names_of_earlier_versions_of_transformers() -> None:
    half = nn.ModuleDict({"dense": nn.Linear(4, 8), "intermediate_act_fn": nn.GELU()})
    block = nn.ModuleDict({"attention": nn.Linear(4, 4), "intermediate": half, "output": nn.Linear(8, 4)})
    network = nn.ModuleDict({"norm": nn.LayerNorm(4), "layer": nn.ModuleList([block])})
    inside = {"layer.0.attention": None, "layer.0.intermediate.intermediate_act_fn": None}
    assert with_inside(network, {"norm": None, "layer.0": 0}) == {"norm": None, "layer.0": 0} | inside


@pytest.mark.parametrize(
    ("library", "name", "size"),
    [
        ("timm", "resnet10t", 32),
        ("timm", "swin_tiny_patch4_window7_224", 224),
        ("transformers", "microsoft/cvt-21", 64),
    ],
)
def test_a_network_without_such_blocks_is_refused(library: str, name: str, size: int) -> None:
    with pytest.raises(UserError, match=r"taps.layers: inside_blocks needs the blocks of a plain vision transformer"):
        build(library, name, size)
