import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from stages.shared.networks.transforms import Transform, draw_angles, resize, rotate_and_crop

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


def pixels(count: int = 5, size: int = 24) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def transform(size: int, *, channels_last: bool = False) -> Transform:
    return Transform(size, MEAN, STD, channels_last)


def normalized(images: torch.Tensor) -> torch.Tensor:
    return torch.stack([(images[:, c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)


def test_evaluation_normalizes_each_channel():
    found = transform(24).evaluation(pixels())
    expected = normalized(pixels().permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [8, 16, 40])
def test_resize_equals_pillows_bilinear_resize(size: int):
    found = resize(pixels(), size).permute(0, 2, 3, 1).numpy() * 255
    images = [Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR) for p in pixels().numpy()]
    np.testing.assert_allclose(found, np.stack([np.asarray(i) for i in images]), atol=1.1)  # Pillow rounds twice


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_memory_format_is_the_networks(channels_last: bool):
    images = transform(16, channels_last=channels_last).evaluation(pixels())
    assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    assert images.shape == (5, 3, 16, 16)


def test_rotation_equals_torchvisions_image_by_image():
    images = torch.rand(12, 3, 38, 38, generator=torch.Generator().manual_seed(1))
    angles = draw_angles(12, 60, torch.Generator().manual_seed(2))
    expected = [
        tv.center_crop(tv.rotate(i, float(a), InterpolationMode.NEAREST), [32, 32])
        for i, a in zip(images, angles, strict=True)
    ]
    assert torch.equal(rotate_and_crop(images, angles, 32), torch.stack(expected))


def test_rotation_is_counter_clockwise():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 0, 4] = 1  # top
    assert rotate_and_crop(image, torch.tensor([90.0]), 9)[0, 0, 4].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_training_equals_the_steps_done_one_by_one():
    angles = draw_angles(5, 10, torch.Generator().manual_seed(3))
    found = transform(28).training(pixels(), angles, padding=20, fill=200)
    padded = functional.pad(resize(pixels(), 28), [2, 2, 2, 2], value=200 / 255)  # 20 px at 224 are 2.5 at 28: even
    rotated = [tv.rotate(i, float(a), InterpolationMode.NEAREST) for i, a in zip(padded, angles, strict=True)]
    expected = normalized(tv.center_crop(torch.stack(rotated), [28, 28]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_without_rotation_training_is_evaluation():
    found = transform(28).training(pixels(), torch.zeros(5), padding=20, fill=255)
    torch.testing.assert_close(found, transform(28).evaluation(pixels()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [64, 224])
def test_the_papers_border_is_wide_enough_for_10_degrees(size: int):
    white = torch.full((2, size, size, 3), 255, dtype=torch.uint8)
    white_again = transform(size).training(white, torch.tensor([-10.0, 10.0]), padding=20, fill=255)
    torch.testing.assert_close(white_again, transform(size).evaluation(white))
    black_corners = transform(size).training(white, torch.tensor([-10.0, 10.0]), padding=0, fill=255)
    assert (black_corners[:, 0, 0, 0] == (0 - MEAN[0]) / STD[0]).all()


def test_angles_are_uniform_and_repeatable():
    angles = draw_angles(20_000, 10, torch.Generator().manual_seed(4))
    assert -10 <= angles.min() < -9.99
    assert 9.99 < angles.max() < 10
    assert abs(angles.std() - 20 / 12**0.5) < 0.05
    assert torch.equal(angles, draw_angles(20_000, 10, torch.Generator().manual_seed(4)))
