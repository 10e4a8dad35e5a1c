"""Campaign: what people give to `wl.embed`; the embeddings of the usual call, or one message."""

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import stages.library as wl
from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.images import encoded
from tests.faults.outcomes import SAME, SENTENCE, Outcome, attempt, expected

COUNT, SIZE = 5, 24
TO_TENSOR = transforms.ToTensor()
Given = Callable[[list[Path]], dict[str, Any]]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))


class Failing(nn.Module):
    """Runs on nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError(x.shape)


def images(take: Callable[[list[Path]], Any]) -> Given:
    return lambda paths: {"images": take(paths)}


def opened(paths: list[Path]) -> list[Image.Image]:
    return [Image.open(path) for path in paths]


def pixels(paths: list[Path]) -> Any:
    return np.stack([np.asarray(image) for image in opened(paths)])


def always(**given: Any) -> Given:
    return lambda paths: given


RIGHT: dict[str, Given] = {
    "list of paths": images(list),
    "list of texts": images(lambda paths: [*map(str, paths)]),
    "tuple": images(tuple),
    "generator": images(lambda paths: (path for path in paths)),
    "map": images(lambda paths: map(str, paths)),
    "array of texts": images(lambda paths: np.array([*map(str, paths)])),
    "array of paths": images(lambda paths: np.array(paths, object)),
    "Series without 0": images(lambda paths: pd.Series([*map(str, paths)], index=range(7, 7 + COUNT))),
    "Series turned": images(lambda paths: pd.Series([*map(str, paths)], index=[*range(COUNT)][::-1])),
    "Index": images(lambda paths: pd.Index([*map(str, paths)])),
    "Pillow images": images(opened),
    "pixels": images(pixels),
    "pixels by columns": images(lambda paths: np.asfortranarray(pixels(paths))),
    "read-only pixels": images(lambda paths: np.broadcast_to(pixels(paths), (1, COUNT, SIZE, SIZE, 3))[0]),
    "layers by name": always(layers=["0", "1", "2"]),
    "layers turned": always(layers=("2", "1", "0")),
    "one image a batch": always(batch_size=1),
    "8 bits": always(bits=8),
    "training mode": lambda paths: {"model": network().train()},
    "gradients off": lambda paths: {"model": network().requires_grad_(False)},
}
WRONG: dict[str, Given] = {
    "one path": images(lambda paths: paths[0]),
    "one text": images(lambda paths: str(paths[0])),
    "bytes": images(lambda paths: [path.read_bytes() for path in paths]),
    "a set": images(set),
    "a dict": images(dict.fromkeys),
    "none": images(lambda paths: []),
    "None": always(images=None),
    "None among paths": images(lambda paths: [*paths, None]),
    "numbers": always(images=[1, 2, 3]),
    "a folder": images(lambda paths: [paths[0].parent]),
    "a folder as images": images(lambda paths: paths[0].parent),
    "a path that is not there": images(lambda paths: [*paths, paths[0].with_name("gone.png")]),
    "a text file": images(lambda paths: [*paths, Path(__file__)]),
    "a device": images(lambda paths: [*paths, "/dev/zero"]),
    "a path with a null": images(lambda paths: ["a\0.png"]),
    "an empty path": images(lambda paths: [""]),
    "an address": always(images=["https://example.org/x.png"]),
    "pixels of floats": images(lambda paths: pixels(paths) / 255),
    "pixels of 16 bits": images(lambda paths: pixels(paths).astype(np.uint16)),
    "pixels, colours first": images(lambda paths: pixels(paths).transpose(0, 3, 1, 2)),
    "grey pixels": images(lambda paths: pixels(paths)[..., 0]),
    "pixels of one image": images(lambda paths: pixels(paths)[0]),
    "no pixels": images(lambda paths: pixels(paths)[:0]),
    "tensor": images(lambda paths: torch.from_numpy(pixels(paths))),
    "list of arrays": images(lambda paths: [*pixels(paths)]),
    "DataFrame": images(lambda paths: pd.DataFrame({"path": paths})),
    "no transform": always(transform=None),
    "transform of one size less": always(transform=lambda image: TO_TENSOR(image)[:, :, 1:]),
    "transform to NumPy": always(transform=np.asarray),
    "transform to whole numbers": always(transform=transforms.PILToTensor()),
    "transform to a batch": always(transform=lambda image: TO_TENSOR(image)[None]),
    "transform to nothing": always(transform=lambda image: None),
    "transform to NaN": always(transform=lambda image: TO_TENSOR(image) * np.nan),
    "transform a text": always(transform="resize"),
    "image size of a module": always(image_size=32),
    "layer unknown": always(layers=["3"]),
    "layer empty": always(layers=[""]),
    "layers none": always(layers=[]),
    "layers a text": always(layers="0"),
    "layers of numbers": always(layers=[0]),
    "layers a number": always(layers=3),
    "layers an array": always(layers=np.array(["0", "1"])),
    "layers None": always(layers=None),
    "layers twice": always(layers=["0", "0"]),
    "blocks of no transformer": always(layers="inside_blocks"),
    "pooling unknown": always(pooling="average"),
    "pooling None": always(pooling=None),
    "pooling a list": always(pooling=["mean"]),
    "batch 0": always(batch_size=0),
    "batch a half": always(batch_size=1.5),
    "batch a text": always(batch_size="8"),
    "batch None": always(batch_size=None),
    "9 bits": always(bits=9),
    "bits a text": always(bits="12"),
    "bits a list": always(bits=[12]),
    "a class": always(model=nn.Conv2d),
    "no module": always(model=3),
    "a state dict": lambda paths: {"model": network().state_dict()},
    "a function": always(model=lambda x: x),
    "None for a network": always(model=None),
    "one layer": lambda paths: {"model": nn.Conv2d(3, 4, 3)},
    "no layer": lambda paths: {"model": nn.Identity()},
    "no children": lambda paths: {"model": nn.Sequential()},
    "a module that fails": lambda paths: {"model": Failing()},
    "a module of one channel": lambda paths: {"model": nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())},
    "image size 0": always(model="efficientnet_lite0", transform=None, image_size=0),
    "image size 4": always(model="efficientnet_lite0", transform=None, image_size=4),
    "image size 5000": always(model="efficientnet_lite0", transform=None, image_size=5000),
    "image size a text": always(model="efficientnet_lite0", transform=None, image_size="large"),
    "transform of a name": always(model="efficientnet_lite0"),
    **{
        f"network {name!r}": always(model=name, transform=None)
        for name in (
            *("", " ", "x", "a b", ".resnet18", "resnet18.no_such_tag", "../x", "/dev/zero", "x.pt"),
            *("hf-hub:owner/name", "hf_hub:owner/name", "local-dir:x", "local-dir:/etc", "owner/name", "timm/resnet18"),
            *(
                "https://example.org/x.pth",
                "x" * 5000,
                "a\0b",
                "a\nb",
                "\x1b[31m",
                "\ud800",
                "resnet18;id",
                "__import__",
            ),
        )
    },
}
CASES = {name: (SAME, made) for name, made in RIGHT.items()} | {name: (SENTENCE, made) for name, made in WRONG.items()}


def run(trial: str, place: Place) -> Outcome:
    """Embed a few images, one argument odd."""
    kind, made = CASES[trial]
    paths = [place.scratch / f"{number}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded("PNG", SIZE, number))
    return expected(kind, attempt(lambda: embed(paths, made(paths))))


def embed(paths: list[Path], given: dict[str, Any]) -> None:
    """Embed, and compare with what the module gives of the images' pixels."""
    model = network()
    asked = {"model": model, "images": paths, "transform": TO_TENSOR, **given}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("error")
        found = wl.embed(**asked)
    with torch.no_grad():
        x, wanted = torch.from_numpy(pixels(paths)).permute(0, 3, 1, 2) / 255, {}
        for name, layer in model.named_children():
            x = layer(x)
            wanted[name] = x.mean(dim=(2, 3)).numpy()
    assert [*found] == [*wanted], [*found]
    for name, embedding in wanted.items():
        np.testing.assert_allclose(found[name], embedding, atol=1e-5, err_msg=name)


CAMPAIGN = Campaign("odd arguments, then embed", shuffled(CASES), run, seconds=60)
