"""Files of weights made at another image size: position embeddings are resized as each library resizes its own."""

import hashlib
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from stages.shared.networks import torchvision as torchvision_networks
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError

SMALL = {"depth": 1, "embed_dim": 24, "num_heads": 2}
VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 8}

TIMM: dict[str, tuple[int, int, dict[str, Any]]] = {
    "vit_tiny_patch16_224": (64, 96, SMALL),
    "deit_tiny_distilled_patch16_224": (64, 32, SMALL),
    "vit_small_patch14_dinov2": (56, 112, SMALL),
    "vit_small_patch14_reg4_dinov2": (56, 70, SMALL),
    "eva02_tiny_patch14_224": (56, 84, SMALL),
    "swin_tiny_patch4_window7_224": (
        64,
        128,
        {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2},
    ),
}
"""Architecture, image size of the file, of the network, and overrides that make it small."""


def entry(path: Path, **fields: Any) -> NetworkParams:
    weights = {"source": "file", "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return NetworkParams.model_validate({"weights": weights, **fields})


def loaded(path: Path, classes: int = 3, **fields: Any) -> dict[str, Tensor]:
    return build_network(entry(path, **fields), classes, seed=0).module.state_dict()


def filled(module: torch.nn.Module) -> dict[str, Tensor]:
    """A network's tensors with random numbers in place of initial zeros."""
    torch.manual_seed(7)
    state = module.state_dict()
    return {n: torch.randn_like(t) if t.is_floating_point() and t.ndim > 1 else t for n, t in state.items()}


@pytest.mark.parametrize("name", TIMM)
def test_a_file_of_another_image_size_loads_as_in_timm_itself(name: str, tmp_path: Path) -> None:
    made_at, size, config = TIMM[name]
    path = tmp_path / "weights.safetensors"
    save_file(filled(timm.create_model(name, img_size=made_at, num_classes=3, **config)), path)
    overlay = {"file": str(path), "num_classes": 3, "custom_load": False}
    theirs = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay=overlay, img_size=size, num_classes=3, **config
    ).state_dict()
    ours = loaded(path, library="timm", name=name, image_size=size, config=config)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items())


def test_a_file_that_fits_is_not_resized(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = filled(timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=3, **SMALL))
    save_file(state, path)
    ours = loaded(path, library="timm", name="vit_tiny_patch16_224", image_size=64, config=SMALL)
    assert all(torch.equal(ours[key], tensor) for key, tensor in state.items())


def test_dinov2_s_own_names_are_timm_s_after_loading(tmp_path: Path) -> None:
    """Its hub's files have `register_tokens` and a position for the class token, timm's `reg_token` and none."""
    name = "vit_small_patch14_reg4_dinov2"
    state = filled(timm.create_model(name, img_size=56, num_classes=0, **SMALL))
    theirs = {key: tensor for key, tensor in state.items() if key not in ("reg_token", "pos_embed", "cls_token")}
    theirs |= {
        "register_tokens": state["reg_token"],
        "mask_token": torch.zeros(1, 24),
        "cls_token": torch.zeros(1, 1, 24),
    }
    theirs["pos_embed"] = torch.cat([state["cls_token"], state["pos_embed"]], dim=1)
    torch.save(theirs, tmp_path / "dinov2.pth")
    ours = loaded(tmp_path / "dinov2.pth", library="timm", name=name, image_size=56, config=SMALL)
    assert all(torch.equal(ours[key], state[key]) for key in ("reg_token", "pos_embed", "cls_token"))


def test_registers_that_the_network_lacks_are_named_with_what_helps(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(filled(timm.create_model("vit_small_patch14_reg4_dinov2", img_size=56, num_classes=0, **SMALL)), path)
    with pytest.raises(UserError, match=r"(?s)unexpected: reg_token .*give the network\.name, config and image_size"):
        loaded(path, library="timm", name="vit_small_patch14_dinov2", image_size=56, config=SMALL)


def test_embeddings_of_no_square_say_that_the_image_size_would_help(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT, image_size=(32, 48), num_labels=3))
    save_file(model.state_dict(), path)
    with pytest.raises(UserError, match=r"(?s)position_embeddings must be \(1, 17, 16\), found \(1, 25.*own image_s"):
        loaded(path, library="transformers", name="vit", image_size=32, config=VIT)


@pytest.mark.parametrize("size", [32, 128])
def test_torchvision_s_file_follows_its_own_rule(size: int) -> None:
    small = {"patch_size": 16, "num_layers": 1, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 16}
    state = filled(VisionTransformer(image_size=64, **small))
    module = VisionTransformer(image_size=size, **small)
    params = NetworkParams(library="torchvision", name="vit_b_16", weights={"source": "none"}, image_size=size)
    ours = torchvision_networks.resized(state, module, params)
    theirs = interpolate_embeddings(size, 16, dict(state))  # type: ignore[arg-type]
    assert torch.equal(ours["encoder.pos_embedding"], theirs["encoder.pos_embedding"])
    module.load_state_dict(ours)


@pytest.mark.parametrize(("size", "dtype"), [(32, torch.float32), (128, torch.float32), (32, torch.float16)])
def test_open_clip_s_file_follows_its_own_rule(size: int, dtype: torch.dtype, tmp_path: Path) -> None:
    config = {"layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    none = NetworkParams(library="open_clip", name="ViT-B-32", weights={"source": "none"}, image_size=64, config=config)
    state = {name: t.to(dtype) for name, t in build_network(none, 3, seed=9).module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    ours = loaded(tmp_path / "w.safetensors", library="open_clip", name="ViT-B-32", image_size=size, config=config)
    theirs = {name: t.float() for name, t in state.items()}
    wanted = build_network(none.model_copy(update={"image_size": size}), 3, seed=9).module
    open_clip.model.resize_pos_embed(theirs, wanted)
    assert theirs["visual.positional_embedding"].shape == (1 + (size // 16) ** 2, 64)
    assert torch.equal(ours["visual.positional_embedding"], theirs["visual.positional_embedding"])
    assert torch.equal(ours["visual.conv1.weight"], theirs["visual.conv1.weight"])


def test_open_clip_s_embeddings_of_no_square_are_named(tmp_path: Path) -> None:
    config = {"layers": 1, "width": 64, "head_width": 32}
    none = NetworkParams(library="open_clip", name="ViT-B-32", weights={"source": "none"}, image_size=64, config=config)
    state = build_network(none, 3, seed=9).module.state_dict()
    save_file({**state, "visual.positional_embedding": torch.zeros(1 + 6, 64)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"(?s)positional_embedding must be \(5, 64\), found \(7, 64\).*own image_size"):
        loaded(tmp_path / "w.safetensors", library="open_clip", name="ViT-B-32", image_size=64, config=config)


def test_a_trunk_of_timm_in_open_clip_follows_timm_s_rule(tmp_path: Path) -> None:
    config = {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear"}
    fields = {"library": "open_clip", "name": "ViT-B-16-SigLIP", "config": config}
    made = NetworkParams.model_validate({**fields, "weights": {"source": "none"}, "image_size": 96})
    state = build_network(made, 3, seed=9).module.state_dict()
    save_file(state, tmp_path / "w.safetensors")
    ours = loaded(tmp_path / "w.safetensors", **fields, image_size=160)["visual.trunk.pos_embed"]
    before = state["visual.trunk.pos_embed"]  # (1, 1 + 6 x 6, width)
    grid = before[:, 1:].reshape(1, 6, 6, -1).permute(0, 3, 1, 2)
    expected = interpolate(grid, size=(10, 10), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
    assert torch.equal(ours[:, 0], before[:, 0])
    torch.testing.assert_close(ours[:, 1:], expected)


@pytest.mark.parametrize("prefix", ["vit.", ""])
@pytest.mark.parametrize("size", [16, 64])
def test_transformers_files_follow_the_image_size(prefix: str, size: int, tmp_path: Path) -> None:
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT, image_size=32, num_labels=3))
    model.vit.embeddings.position_embeddings.data.normal_()
    if prefix:
        model.save_pretrained(tmp_path)
    else:
        model.vit.save_pretrained(tmp_path)
    ours = loaded(tmp_path / "model.safetensors", library="transformers", name="vit", image_size=size, config=VIT)
    before, after = model.vit.embeddings.position_embeddings, ours["vit.embeddings.position_embeddings"]
    grid = before[:, 1:].reshape(1, 4, 4, 16).permute(0, 3, 1, 2)
    expected = interpolate(grid, size=(size // 8, size // 8), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
    assert torch.equal(after[:, 0], before[:, 0])
    torch.testing.assert_close(after[:, 1:], expected)


def test_transformers_dinov2_keeps_its_registers(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 14}
    config = transformers.Dinov2WithRegistersConfig(**small, image_size=56, num_labels=3)
    model = transformers.Dinov2WithRegistersForImageClassification(config)
    model.save_pretrained(tmp_path)
    fields = {"library": "transformers", "name": "dinov2_with_registers", "image_size": 112, "config": small}
    ours = loaded(tmp_path / "model.safetensors", **fields)
    theirs = model.state_dict()
    different = [name for name, tensor in theirs.items() if not torch.equal(ours[name], tensor)]
    assert different == ["dinov2_with_registers.embeddings.position_embeddings"]
    assert ours[different[0]].shape == (1, 1 + 8 * 8, 16)
