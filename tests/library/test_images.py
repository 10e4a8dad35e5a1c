"""What may be given to `wl.embed` as images, and what of files is seen by both of its forms."""

import os
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

import stages.library as wl
from stages.library.embedding import Reading
from stages.prepare.decode import read_pixels
from tests.faults.images import png_bomb
from tests.prepare.deep_images import ramp

TO_TENSOR = transforms.ToTensor()
MODULE = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def paths(images, tmp_path):
    written = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(written, images, strict=True):
        Image.fromarray(image).save(path)
    return written


def opened(paths):
    return [Image.open(path) for path in paths]


GIVEN = {
    "generator": lambda paths: (path for path in paths),
    "tuple": tuple,
    "Series": lambda paths: pd.Series([*map(str, paths)], index=[7, 8, 9, 10]),
    "Index": lambda paths: pd.Index([*map(str, paths)]),
    "array of str": lambda paths: np.array([*map(str, paths)]),
    "array of paths": lambda paths: np.array(paths, dtype=object),
    "Pillow images": opened,
    "generator of Pillow images": lambda paths: iter(opened(paths)),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_paths_and_pillow_images_come_in_many_ways(images, paths, kind):
    expected = wl.embed(MODULE, images, transform=TO_TENSOR)
    found = wl.embed(MODULE, GIVEN[kind](paths), transform=TO_TENSOR, batch_size=3)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_one_pillow_image_may_be_there_many_times(images, paths):
    found = wl.embed(MODULE, opened(paths[:1]) * 40, transform=TO_TENSOR)
    np.testing.assert_array_equal(found["0"], np.repeat(found["0"][:1], 40, axis=0))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_damaged_file_among_many_is_named(paths, workers):
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    many = [*paths[:3] * 50, paths[3], *paths[:3] * 50]
    with pytest.raises(wl.UserError, match=rf"^{re.escape(str(paths[3]))}: must be an image, found: damaged"):
        wl.embed("efficientnet_lite0", many, image_size=32, batch_size=16, workers=workers)


def test_workers_that_are_none_are_named(paths):
    with pytest.raises(wl.UserError, match="workers must be a whole number from 1 to 1000, found 0"):
        wl.embed(MODULE, paths, transform=TO_TENSOR, workers=0)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"a.png"}, "must have an order, as their labels have, found a set"),
        ({"a.png": 1}, "must have an order, as their labels have, found a dict"),
        (torch.zeros(2, 3, 8, 8), "found Tensor"),
        ([torch.zeros(3, 8, 8)], "found Tensor among them"),
        (DataLoader(TensorDataset(torch.zeros(2, 3, 8, 8))), "found DataLoader"),
        (pd.DataFrame({"path": ["a.png"]}), "found DataFrame"),
        (pd.Series(["a.png", None]), r"found (NoneType|float) among them"),
        (np.zeros((2, 8, 8, 3)), r"found float64 with shape \(2, 8, 8, 3\)"),
        (np.array([["a.png"]]), r"found <U5 with shape \(1, 1\)"),
        (iter([1]), "found int among them"),
        (None, "found NoneType"),
        ([], "must be at least one, found none"),
        (["no\0name"], "cannot be read"),
    ],
)
def test_what_is_no_list_of_images_is_named(given, found):
    with pytest.raises(wl.UserError, match=found):
        wl.embed(MODULE, given, transform=TO_TENSOR)


@pytest.mark.parametrize(
    ("transform", "found"),
    [
        (transforms.PILToTensor(), r"float, for each RGB image, found torch.uint8 of \(3, 8, 8\)"),
        (transforms.Compose([transforms.Grayscale(), TO_TENSOR]), r"found torch.float32 of \(1, 8, 8\)"),
        (transforms.Compose([transforms.Resize((8, 9)), TO_TENSOR]), r"found torch.float32 of \(3, 8, 9\)"),
        (lambda image: None, "found NoneType"),
    ],
)
def test_what_is_no_input_is_named(images, transform, found):
    with pytest.raises(wl.UserError, match=found):
        wl.embed(MODULE, images, transform=transform)


def test_inputs_of_several_sizes_are_named():
    images = [Image.new("RGB", (8, 8)), Image.new("RGB", (9, 9))]
    with pytest.raises(wl.UserError, match=r"one shape, found \(3, 8, 8\) and \(3, 9, 9\)"):
        wl.embed(MODULE, images, transform=TO_TENSOR)


def seen(paths, **options):
    """What a transform is given."""
    given = list[np.ndarray]()

    def transform(image):
        given.append(np.asarray(image))
        return TO_TENSOR(image)

    wl.embed(MODULE, paths, transform=transform, **options)
    return given


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_modules_images_are_upright(images, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(images[0]).save(tmp_path / "a.png", exif=exif)
    [found] = seen([tmp_path / "a.png"])
    expected = read_pixels((tmp_path / "a.png").read_bytes(), max_pixels=64, size=8).pixels
    np.testing.assert_array_equal(found, expected)
    assert (found == images[0]).all() == (orientation == 1)


def test_a_modules_images_are_opaque(tmp_path):
    Image.new("RGBA", (8, 8), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert (seen([tmp_path / "a.png"])[0] == 255).all()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_grey_of_16_bits_is_scaled_by_both_forms(tmp_path, bits):
    paths = [tmp_path / "8.png", tmp_path / "16.png", tmp_path / "dark.png"]
    values = ramp(bits, 32)
    Image.fromarray((values * 255 / values.max()).round().astype(np.uint8)).save(paths[0])
    Image.fromarray(values.astype(np.uint16)).save(paths[1])
    Image.fromarray((values // 3).astype(np.uint16)).save(paths[2])
    options = {"bits": bits}
    first, same, dark = seen(paths, **options)
    assert np.abs(first.astype(int) - same).max() <= 1
    assert np.abs(first / 3 - dark).max() <= 1
    by_name = wl.embed("efficientnet_lite0", paths, image_size=32, bits=bits)["bn1"]
    np.testing.assert_allclose(by_name[0], by_name[1], atol=0.05)
    if bits < 16:
        with pytest.warns(UserWarning, match=rf"16-bit images use {bits} bits, so {2**bits - 1} is taken for white"):
            found = seen(paths)
        np.testing.assert_array_equal(found, [first, same, dark])
        with pytest.warns(UserWarning, match=f"use {bits} bits"):
            np.testing.assert_array_equal(wl.embed("efficientnet_lite0", paths, image_size=32)["bn1"], by_name)


def test_bits_that_are_none_are_named(paths):
    with pytest.raises(wl.UserError, match="bits must be None, 8, 10, 12, 14 or 16, found 9"):
        wl.embed(MODULE, paths, transform=TO_TENSOR, bits=9)


@pytest.mark.parametrize("model", [MODULE, "efficientnet_lite0"])
def test_both_forms_refuse_what_prepare_refuses(tmp_path, model):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "bomb").write_bytes(png_bomb(8000, 8000))
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.avif")
    (tmp_path / "cut").write_bytes((tmp_path / "whole.avif").read_bytes()[:200])
    options = {"image_size": 32} if isinstance(model, str) else {"transform": TO_TENSOR}
    for name, found in (
        ("pipe", "found a named pipe"),
        ("device", "found a device, through a link to /dev/zero"),
        ("bomb", "more than 50000000 pixels"),
        ("cut", "not this variety, or it is damaged"),
        ("nowhere", "No such file"),
    ):
        with pytest.raises(wl.UserError, match=re.escape(found)) as caught:
            wl.embed(model, [tmp_path / name], **options)
        assert str(tmp_path / name) in str(caught.value)


def test_a_damaged_pillow_image_is_named(paths):
    paths[0].write_bytes(paths[0].read_bytes()[:60])
    named = pytest.raises(wl.UserError, match=r"images\[1\]: must be an image, found: damaged or unusual: ")
    with Image.open(paths[1]) as whole, Image.open(paths[0]) as cut, named:
        list(Reading(10**6, None).pixels([whole, cut]))
