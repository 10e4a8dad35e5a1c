"""Embedding by the library: networks by name and modules, compared with hooks of the test's own."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import stages.library as wl
from stages.library import embedding

PREPARE = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])


class Own(nn.Module):
    """A network of no library, which ends in a mapping and overwrites what it read."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, 2), nn.ReLU(inplace=True))
        self.head = nn.Linear(16, 7)

    def forward(self, x):
        return {"scores": self.head(self.body(self.stem(x)).mean((2, 3)))}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)


def hooked(module, paths, images, pool):
    """Embed by hooks on each path, pooled by a function of the output."""
    found = {}
    for path in paths:
        module.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, path=path: found.__setitem__(path, pool(output).clone().numpy())
        )
    with torch.no_grad():
        module.eval()(torch.stack([PREPARE(Image.fromarray(image)) for image in images]))
    return found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_gives_the_directions_that_the_cpu_gives(images, monkeypatch):
    on_gpu = wl.embed("efficientnet_lite0", images, image_size=32)
    monkeypatch.setenv("WHICHLAYER_DEVICE", "cpu")
    for name, X in wl.embed("efficientnet_lite0", images, image_size=32).items():
        lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(on_gpu[name], axis=1)
        assert ((X * on_gpu[name]).sum(axis=1) / lengths).min() > 1 - 1e-3


def test_embeddings_are_fetched_when_the_next_batch_has_begun(images, monkeypatch):
    events, send = list[str](), embedding.send

    def noticed(embeddings):
        events.append("begun")
        wait = send(embeddings)
        return lambda: events.append("fetched") or wait()

    monkeypatch.setattr(embedding, "send", noticed)
    wl.embed("efficientnet_lite0", images, image_size=32, batch_size=4)
    assert events == ["begun", "begun", "fetched", "begun", "fetched", "fetched"]


@pytest.mark.parametrize(
    ("make", "layers", "pool"),
    [
        (lambda: timm.create_model("test_resnet"), 5, lambda map_: map_.mean((2, 3))),
        (lambda: timm.create_model("test_vit", img_size=32), 7, lambda tokens: tokens[:, 0]),
        (Own, 4, lambda output: output.mean((2, 3)) if output.ndim == 4 else output),
    ],
)
def test_a_module_gives_what_hooks_give(images, make, layers, pool):
    torch.manual_seed(0)
    module = make().train()
    embedded = wl.embed(module, images, transform=PREPARE, batch_size=4)
    assert module.training
    assert len(embedded) == layers
    expected = hooked(module, embedded, images, pool)
    for name, X in embedded.items():
        np.testing.assert_allclose(X, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())


def test_layers_can_be_named_and_images_be_files(images, tmp_path):
    module, paths = Own(), [tmp_path / f"{i}.png" for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    arrays = wl.embed(module, images, ["body.1"], PREPARE)
    assert list(arrays) == ["body.1"]
    np.testing.assert_array_equal(wl.embed(module, paths, ["body.1"], PREPARE)["body.1"], arrays["body.1"])


def test_a_network_by_name_takes_files_and_squares(images, tmp_path):
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    by_file = wl.embed("efficientnet_lite0", [tmp_path / "a.png"], image_size=32)
    by_array = wl.embed("efficientnet_lite0", images[:1], image_size=32)
    assert list(by_file) == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    assert all((by_file[name] == by_array[name]).all() for name in by_file)
    own, trained = (
        wl.embed("efficientnet_lite0", images[:1], ["bn1"], **size)["bn1"] for size in ({}, {"image_size": 224})
    )
    np.testing.assert_array_equal(own, trained)
    assert np.abs(own - by_file["bn1"]).max() > 0.01


@pytest.mark.parametrize("name", ["hf-hub:owner/name", "local-dir:x", "owner/name", "x.pt/y", "./x", "", "a b"])
def test_what_is_no_name_of_a_network_is_named(images, name):
    with pytest.raises(wl.UserError, match=r"network must be the name of a model of params\.yaml or of timm") as caught:
        wl.embed(name, images)
    assert f"found {name!r}" in str(caught.value)


@pytest.mark.parametrize("size", [0, 4, 5000, -1, 32.5, "32"])
def test_impossible_sizes_are_named(images, size):
    with pytest.raises(wl.UserError, match=rf"network\.image_size: .*; found {size!r}"):
        wl.embed("efficientnet_lite0", images, image_size=size)


def test_what_is_not_as_it_must_be_is_named(images, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(wl.UserError, match=r"by a model's name in params.yaml that has weights: .* needs no net"):
        wl.embed("resnet18", images)
    with pytest.raises(wl.UserError, match="a module needs `transform`"):
        wl.embed(Own(), images)
    with pytest.raises(wl.UserError, match=r"\(N, S, S, 3\), RGB, found uint8 with shape \(9, 16, 32, 3\)"):
        wl.embed("efficientnet_lite0", images[:, :16])
    with pytest.raises(wl.UserError, match="'nope' is not a module of the network"):
        wl.embed(Own(), images, ["nope"], PREPARE)
    with pytest.raises(wl.UserError, match="must be an image"):
        wl.embed(Own(), [tmp_path / "none.png"], transform=PREPARE)
    with pytest.raises(wl.UserError, match="transform must give a tensor"):
        wl.embed(Own(), images, transform=lambda image: np.zeros(3))
    for name, value, message in (
        ("pooling", "foo", r"pooling must be auto, mean, token0, max, gem, cls\+mean, found 'foo'"),
        ("batch_size", 0, "batch_size must be a whole number from 1 to 10000, found 0"),
        ("batch_size", 10**9, "batch_size must be a whole number from 1 to 10000, found 1000000000"),
        ("batch_size", True, "batch_size must be a whole number from 1 to 10000, found True"),
        ("layers", "conv", r"or a list of module paths, found 'conv'"),
        ("image_size", 32, "image_size is for a network by name"),
        ("images", str(tmp_path), "images must be a list of paths"),
        ("images", [1], r"images must be paths or Pillow images, or a NumPy array .* found int"),
        ("model", "hf-hub:timm/resnet18.a1_in1k", "a network by name has its own"),
        ("model", len, "model must be a network's name or a torch module, found builtin"),
    ):
        given = {"model": Own(), "images": images, "transform": PREPARE, name: value}
        with pytest.raises(wl.UserError, match=message):
            wl.embed(**given)
