"""Modules that users have: of transformers, wrapped, of half precision, without parameters, or of no use here."""

import numpy as np
import pytest
import timm
import torch
import transformers
from torch import nn
from torchvision import transforms

import stages.library as wl

TO_TENSOR = transforms.ToTensor()
SIZES = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
VIT = SIZES | {"intermediate_size": 24}
STAGES = {"hidden_sizes": [4, 6, 8, 10], "depths": [1, 1, 1, 1]}


class Wrapper(nn.Module):
    """A network within a module, as users write them to normalize."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        return self.backbone(x - 0.5)


class Subclass(transformers.ViTModel):
    """A network of a library, extended."""


class TwoInputs(nn.Module):
    """What a batch of images is not enough for."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x, y):
        return self.one(x) + self.two(y)


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


MODULES = {
    "ViTModel": lambda: transformers.ViTModel(transformers.ViTConfig(**VIT)),
    "ViTForImageClassification": lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**VIT)),
    "Dinov2Model": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SIZES)),
    "CLIPVisionModel": lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT)),
    "ResNetModel": lambda: transformers.ResNetModel(transformers.ResNetConfig(embedding_size=4, **STAGES)),
    "AutoModel": lambda: transformers.AutoModel.from_config(transformers.ConvNextConfig(**STAGES)),
    "Subclass": lambda: Subclass(transformers.ViTConfig(**VIT)),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_layers_of_transformers_are_its_hidden_states(images, name, wrapped):
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    x = torch.stack([TO_TENSOR(image) for image in images])
    with torch.no_grad():
        states = module(x - 0.5 if wrapped else x, output_hidden_states=True).hidden_states
    embedded = wl.embed(Wrapper(module) if wrapped else module, images, transform=TO_TENSOR)
    assert len(embedded) == len(states) > 2
    assert all(path.startswith("backbone.") == wrapped for path in embedded)
    for found, state in zip(embedded.values(), states, strict=True):
        pooled = state.mean((2, 3)) if state.ndim == 4 else state[:, 0]
        np.testing.assert_allclose(found, pooled.numpy(), atol=1e-5)


@pytest.mark.parametrize("wrap", [Wrapper, lambda module: Wrapper(Wrapper(module)), nn.DataParallel])
def test_wrappers_are_looked_into(images, wrap):
    module = wrap(timm.create_model("test_resnet"))
    paths = [*wl.embed(module, images, transform=TO_TENSOR)]
    assert [path.rpartition(".")[2] for path in paths] == ["act1", "layer1", "layer2", "layer3", "layer4"]
    assert set(paths) <= {path for path, _ in module.named_modules()}


def test_a_wrapped_network_of_no_library_has_its_childrens_layers(images):
    assert [*wl.embed(Wrapper(convolutions()), images, transform=TO_TENSOR)] == [
        "backbone.0",
        "backbone.1",
        "backbone.2",
    ]


@pytest.mark.parametrize("module", [nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Identity()])
def test_a_network_without_two_layers_is_refused(images, module):
    with pytest.raises(wl.UserError, match=r"two layers or more to choose from, found none; list them: layers=\["):
        wl.embed(module, images, transform=TO_TENSOR)


def test_one_layer_may_be_named(images):
    assert [*wl.embed(nn.Sequential(nn.Conv2d(3, 4, 3)), images, ["0"], TO_TENSOR)] == ["0"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_module_of_another_precision_gets_its_type(images, dtype):
    torch.manual_seed(0)
    module = convolutions()
    expected = wl.embed(module, images, transform=TO_TENSOR)
    for name, values in wl.embed(module.to(dtype), images, transform=TO_TENSOR).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], atol=0.02)


def test_a_module_may_lack_parameters(images):
    embedded = wl.embed(nn.Sequential(nn.AvgPool2d(16), nn.Flatten()), images, transform=TO_TENSOR)
    np.testing.assert_allclose(embedded["0"], images.mean((1, 2)) / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "found"),
    [
        (TwoInputs(), "missing 1 required positional argument: 'y'"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 7)), "mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_a_module_that_does_not_run_on_images_is_named(images, module, found):
    remedy = "wrap a module that needs more in one whose forward(self, images) calls it"
    with pytest.raises(wl.UserError, match=r"must run on an image batch only, .* \(2, 3, 32, 32\)") as caught:
        wl.embed(module, images, transform=TO_TENSOR)
    assert found in str(caught.value)
    assert remedy in str(caught.value)
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())
