"""The default taps of the four libraries put out what an independent computation gives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from stages.embed.embedder import layer_embeddings, pooled_layers
from stages.embed.params import Pooling, TapsParams
from stages.embed.taps.find import find_taps
from stages.embed.taps.tap import Tap
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams


def build(library: str, name: str, size: int, config: dict[str, Any] | None = None) -> tuple[Network, list[Tap]]:
    entry = {"library": library, "name": name, "image_size": size, "weights": {"source": "none"}, "config": config}
    params = NetworkParams.model_validate(entry)
    network = build_network(params, 5, seed=0)
    return network, find_taps(network, params, TapsParams())


@contextmanager
def captured(module: nn.Module, taps: list[Tap]) -> Iterator[dict[str, Tensor]]:
    """Collect copies of what the taps put out, as an embedding would, at the moment their hooks fire."""
    outputs: dict[str, Tensor] = {}

    def keep(tap: Tap) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs[tap.path] = (output if tap.item is None else output[tap.item]).clone()

        return hook

    handles = [module.get_submodule(tap.path).register_forward_hook(keep(tap)) for tap in taps]
    yield outputs
    for handle in handles:
        handle.remove()


def run(network: Network, taps: list[Tap], images: Tensor) -> list[Tensor]:
    with captured(network.module, taps) as outputs, torch.inference_mode():
        network.logits(images)
    return [outputs[tap.path] for tap in taps]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


# --- transformers: every hidden state of the paper's seven architectures, narrower than theirs


FEW_BLOCKS = {"depths": [1, 1, 1, 1]}
NARROW = {"hidden_sizes": [16, 16, 32, 32]}


class Paper(NamedTuple):
    """An architecture of the paper's with random weights, and what it says itself of two images."""

    network: Network
    taps: list[Tap]
    images: Tensor
    logits: Tensor
    hidden_states: tuple[Tensor, ...]
    count: int
    convolutional: bool
    class_tokens: tuple[int, ...]


@pytest.fixture(
    scope="module",
    params=[
        ("microsoft/resnet-50", NARROW | FEW_BLOCKS, 5, True, ()),
        (
            "google/vit-base-patch16-224-in21k",
            {"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 96},
            *(13, False, tuple(range(13))),
        ),
        ("microsoft/swin-tiny-patch4-window7-224", FEW_BLOCKS | {"embed_dim": 24}, 5, False, ()),
        ("Zetatech/pvt-tiny-224", {"hidden_sizes": [16, 32, 40, 64]}, 9, False, (6, 7, 8)),
        ("microsoft/cvt-21", {"embed_dim": [8, 12, 24], "depth": [1, 2, 3]}, 3, True, ()),
        ("sail/poolformer_s12", NARROW, 4, True, ()),
        ("facebook/convnextv2-tiny-1k-224", NARROW | FEW_BLOCKS, 5, True, ()),
    ],
    ids=lambda row: row[0].split("/")[1],
)
def paper(request: pytest.FixtureRequest) -> Paper:
    name, config, *facts = request.param
    network, taps = build("transformers", name, 224, config)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        result = network.module(images, output_hidden_states=True)
    return Paper(network, taps, images, result.logits, result.hidden_states, *facts)


def test_transformers_taps_are_the_hidden_states(paper: Paper) -> None:
    assert [tap.depth for tap in paper.taps] == list(range(paper.count))
    assert_equal(run(paper.network, paper.taps, paper.images), list(paper.hidden_states))
    assert {tap.layout for tap in paper.taps} == {"nchw" if paper.convolutional else "tokens"}
    assert tuple(tap.depth for tap in paper.taps if tap.class_token) == paper.class_tokens
    assert [tap.prefix_tokens for tap in paper.taps] == [int(i in paper.class_tokens) for i in range(paper.count)]


def as_the_authors_pool(paper: Paper) -> list[Tensor]:
    """Their rule goes by the family: the spatial mean for "CNN", token 0 for "Transformer"."""
    return [state.mean((2, 3)) if paper.convolutional else state[:, 0] for state in paper.hidden_states]


def mean_over_patches(paper: Paper) -> list[Tensor]:
    if paper.convolutional:
        return as_the_authors_pool(paper)
    return [
        state[:, 1:].mean(1) if i in paper.class_tokens else state.mean(1)
        for i, state in enumerate(paper.hidden_states)
    ]


@pytest.mark.parametrize(("pooling", "pooled"), [("paper", as_the_authors_pool), ("mean", mean_over_patches)])
def test_embeddings_of_the_paper_s_networks_are_its_hidden_states_pooled(
    paper: Paper, pooling: Pooling, pooled: Callable[[Paper], list[Tensor]]
) -> None:
    expected = pooled(paper)
    layers = pooled_layers(paper.taps, [pooling])
    with layer_embeddings(paper.network, layers) as embed, torch.inference_mode():
        found = embed(paper.images)  # without output_hidden_states
    assert list(found) == [*(tap.path for tap in paper.taps), "logits"]
    assert len(expected) == paper.count
    assert [layer.layer.width for layer in layers] == [rows.shape[1] for rows in expected]
    for name, rows in zip(found, [*expected, paper.logits], strict=True):
        torch.testing.assert_close(found[name], rows, msg=lambda text, name=name: f"{name}: {text}")


# --- timm: forward_intermediates, and by hand what it leaves out


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_timm_resnet(images: Tensor) -> None:
    network, taps = build("timm", "resnet10t", 64)
    expected = network.module.forward_intermediates(images, intermediates_only=True)
    assert [tap.path for tap in taps] == ["act1", "layer1", "layer2", "layer3", "layer4"]
    assert_equal(run(network, taps, images), expected)


def test_timm_convnext(images: Tensor) -> None:
    network, taps = build("timm", "convnext_atto", 64)
    module = network.module
    expected = [module.stem(images), *module.forward_intermediates(images, intermediates_only=True)]
    assert [tap.path for tap in taps] == ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]
    assert {tap.layout for tap in taps} == {"nchw"}
    assert_equal(run(network, taps, images), expected)


def test_timm_swin_is_channels_last(images: Tensor) -> None:
    config = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}
    network, taps = build("timm", "swin_tiny_patch4_window7_224", 64, config)
    module = network.module
    stages = module.forward_intermediates(images, intermediates_only=True, output_fmt="NCHW")
    assert {tap.layout for tap in taps} == {"nhwc"}
    assert [tap.width for tap in taps] == [16, 16, 32, 64, 128]
    found = run(network, taps, images)
    assert_equal(found, [module.patch_embed(images), *(stage.permute(0, 2, 3, 1) for stage in stages)])


def test_swin_s_layout_is_known_where_the_shape_does_not_tell(images: Tensor) -> None:
    config = {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
    _, taps = build("timm", "swin_tiny_patch4_window7_224", 64, config)
    assert (taps[0].layout, taps[0].width) == ("nhwc", 16)  # 64 / 4 = 16 by 16 by 16


@pytest.mark.parametrize(
    ("name", "prefix", "class_token"),
    [
        ("vit_tiny_patch16_224", 1, True),
        ("vit_small_patch14_reg4_dinov2", 5, True),
        ("vit_base_patch16_siglip_224", 0, False),
    ],
)
def test_timm_vit(name: str, prefix: int, class_token: bool) -> None:
    network, taps = build("timm", name, 112, {"depth": 3, "embed_dim": 48, "num_heads": 3})
    images = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    module = network.module
    embedded = module.norm_pre(module.patch_drop(module._pos_embed(module.patch_embed(images))))
    blocks = module.forward_intermediates(
        images, intermediates_only=True, output_fmt="NLC", return_prefix_tokens=bool(prefix)
    )
    expected = [torch.cat([before, patches], 1) for patches, before in blocks] if prefix else blocks
    assert [tap.path for tap in taps] == ["norm_pre", "blocks.0", "blocks.1", "blocks.2"]
    assert {(tap.layout, tap.prefix_tokens, tap.class_token) for tap in taps} == {("tokens", prefix, class_token)}
    assert_equal(run(network, taps, images), [embedded, *expected])


def test_efficientnet_lite_has_nine_taps(images: Tensor) -> None:
    network, taps = build("timm", "tf_efficientnet_lite0", 64)
    module = network.module
    expected = [module.bn1(module.conv_stem(images))]
    for block in module.blocks:
        expected.append(block(expected[-1]))
    expected.append(module.bn2(module.conv_head(expected[-1])))
    assert [tap.path for tap in taps] == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    assert_equal(run(network, taps, images), expected)


# --- torchvision: the feature extractor


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("resnet18", "nchw"),
        ("convnext_tiny", "nchw"),
        ("swin_t", "nhwc"),
        ("efficientnet_b0", "nchw"),
        ("mobilenet_v2", "nchw"),
        ("squeezenet1_1", "nchw"),
    ],
)
def test_torchvision_taps_are_the_feature_extractor_s(name: str, layout: str, images: Tensor) -> None:
    network, taps = build("torchvision", name, 64)
    paths = [tap.path for tap in taps]
    extractor = create_feature_extractor(network.module, return_nodes={path: path for path in paths})
    with torch.inference_mode():
        expected = extractor(images)
    assert_equal(run(network, taps, images), [expected[path] for path in paths])
    assert {tap.layout for tap in taps} == {layout}
    assert len(paths) == {"resnet18": 5, "convnext_tiny": 5, "swin_t": 5, "efficientnet_b0": 9}.get(name, len(paths))


def test_torchvision_vit(images: Tensor) -> None:
    network, taps = build("torchvision", "vit_b_32", 64)
    module = network.module
    with torch.inference_mode():  # attention takes another path, with other roundings, where gradients are wanted
        tokens = torch.cat([module.class_token.expand(2, -1, -1), module._process_input(images)], 1)
        expected = [tokens + module.encoder.pos_embedding]
        for block in module.encoder.layers:
            expected.append(block(expected[-1]))
    assert len(taps) == 13
    assert {(tap.layout, tap.prefix_tokens, tap.class_token) for tap in taps} == {("tokens", 1, True)}
    assert_equal(run(network, taps, images), expected)


# --- open_clip: forward_intermediates


def test_open_clip_vit(images: Tensor) -> None:
    config = {"layers": 3, "width": 64, "head_width": 32}
    network, taps = build("open_clip", "ViT-B-32", 64, config)
    visual = network.module.visual
    with torch.inference_mode():
        result = visual.forward_intermediates(
            images, intermediates_only=True, output_fmt="NLC", output_extra_tokens=True
        )
        pairs = zip(result["image_intermediates_prefix"], result["image_intermediates"], strict=True)
        expected = [visual._embeds(images), *(torch.cat(pair, 1) for pair in pairs)]
    assert [tap.path for tap in taps] == ["visual.ln_pre", *(f"visual.transformer.resblocks.{i}" for i in range(3))]
    assert {(tap.layout, tap.prefix_tokens, tap.class_token) for tap in taps} == {("tokens", 1, True)}
    assert_equal(run(network, taps, images), expected)


def test_open_clip_resnet(images: Tensor) -> None:
    network, taps = build("open_clip", "RN50", 64, {"layers": [1, 1, 1, 1], "width": 8})
    visual = network.module.visual
    expected = visual.forward_intermediates(images, intermediates_only=True)["image_intermediates"]
    assert [tap.path for tap in taps] == ["visual.avgpool", *(f"visual.layer{i}" for i in (1, 2, 3, 4))]
    assert_equal(run(network, taps, images), expected)


def test_open_clip_tower_from_timm(images: Tensor) -> None:
    network, taps = build("open_clip", "MobileCLIP-S1", 64)
    trunk = network.module.visual.trunk
    expected = [trunk.stem(images), *trunk.forward_intermediates(images, intermediates_only=True)]
    assert [tap.path for tap in taps] == ["visual.trunk.stem", *(f"visual.trunk.stages.{i}" for i in range(4))]
    assert_equal(run(network, taps, images), expected)
