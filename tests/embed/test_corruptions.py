"""Each corruption against an independent computation, and what all of them share."""

import math
from typing import get_args

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from stages.embed.corruptions import CORRUPTIONS, corrupt
from stages.embed.params import Kind, Severity

KINDS, SEVERITIES = get_args(Kind), get_args(Severity)


def pictures(count: int = 6, size: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth random images: a coarse grid of colours, enlarged."""
    coarse = np.random.default_rng(seed).integers(60, 196, (count, size // 4, size // 4, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def ids(count: int = 6) -> list[str]:
    return [f"id{i}" for i in range(count)]


def distance(pixels: np.ndarray, changed: np.ndarray) -> float:
    return float(np.sqrt(np.mean((changed.astype(float) - pixels) ** 2)))


def test_every_kind_has_a_definition_and_three_strengths():
    assert tuple(CORRUPTIONS) == KINDS
    assert all(len(strengths) == len(SEVERITIES) for _, strengths in CORRUPTIONS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_each_severity_is_further_from_the_original_and_stays_within_uint8(kind: Kind):
    pixels = pictures()
    original = pixels.copy()
    changed = [corrupt(pixels, ids(), kind, severity, fill=255) for severity in SEVERITIES]
    distances = [distance(pixels, c) for c in changed]
    assert 3 < distances[0] < distances[1] < distances[2]
    assert all((c.dtype, c.shape) == (np.uint8, pixels.shape) for c in changed)
    np.testing.assert_array_equal(pixels, original)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_changed_the_same_way_in_every_batch(kind: Kind):
    pixels, names = pictures(), ids()
    whole = corrupt(pixels, names, kind, 2, fill=255)
    np.testing.assert_array_equal(corrupt(pixels[::-1], names[::-1], kind, 2, fill=255)[::-1], whole)
    for image, name, expected in zip(pixels, names, whole, strict=True):
        np.testing.assert_array_equal(corrupt(image[None], [name], kind, 2, fill=255)[0], expected)


@pytest.mark.parametrize("kind", ["noise", "rotation"])
def test_images_of_other_ids_are_changed_otherwise(kind: Kind):
    pixels = pictures(1).repeat(12, axis=0)
    changed = corrupt(pixels, ids(12), kind, 3, fill=255)
    assert len({c.tobytes() for c in changed}) == (12 if kind == "noise" else 2)


@pytest.mark.parametrize(("size", "sigma"), [(64, 2.0), (224, 7.0)])
def test_blur_is_a_gaussian_as_wide_as_the_images_size_asks_for(size: int, sigma: float):
    pixels = np.zeros((1, size, size, 3), dtype=np.uint8)
    pixels[0, :, size // 2 :] = 200  # an edge, whose blurred profile has the Gaussian as its slope
    changed = corrupt(pixels, ["a"], "blur", 3, fill=255)[0, size // 2, :, 0].astype(float)
    slope = np.diff(np.concatenate([[0.0], changed])) / 200
    position = np.arange(size) - size / 2
    assert slope.sum() == pytest.approx(1, abs=0.01)
    assert np.sqrt(np.sum(slope * (position - np.sum(slope * position)) ** 2)) == pytest.approx(sigma, rel=0.05)


def test_blur_leaves_an_even_image_as_it_is_up_to_its_edges():
    pixels = np.full((2, 16, 16, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(corrupt(pixels, ids(2), "blur", 3, fill=255), pixels)


@pytest.mark.parametrize(("size", "scale"), [(56, 0.5), (224, 1.0)])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_gaussian_centred_and_scaled_with_the_root_of_the_size(size: int, scale: float, severity: Severity):
    pixels = np.full((4, size, size, 3), 128, dtype=np.uint8)
    added = (corrupt(pixels, ids(4), "noise", severity, fill=255).astype(float) - 128) / 255
    sigma = CORRUPTIONS["noise"][1][severity - 1] * scale
    inner = np.abs(added) < 0.49  # the rest is cut at black and white
    share = np.mean(np.abs(added) < sigma)
    within = (np.floor(255 * sigma) + 0.5) / (255 * sigma)  # in units of sigma; pixels are rounded
    assert added[inner].mean() == pytest.approx(0, abs=0.01)
    assert share == pytest.approx(math.erf(within / math.sqrt(2)), abs=0.01)
    assert np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("grey", [0, 255])
def test_noise_is_cut_at_black_and_white(grey: int):
    changed = corrupt(np.full((2, 32, 32, 3), grey, dtype=np.uint8), ids(2), "noise", 1, fill=255)
    assert abs(changed.astype(int) - grey).max() < 128  # 255 and 0 are not neighbours
    assert 0.4 < np.mean(changed == grey) < 0.6


def test_noise_of_one_image_is_the_same_field_at_every_severity():
    pixels = np.full((1, 32, 32, 3), 128, dtype=np.uint8)
    one, three = (corrupt(pixels, ["a"], "noise", s, fill=255).astype(float) - 128 for s in (1, 3))
    assert np.corrcoef(one.ravel(), three.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_keeps_the_mean_of_each_image_and_channel_and_scales_its_spread(severity: Severity):
    pixels = pictures()
    changed = corrupt(pixels, ids(), "contrast", severity, fill=255).astype(float)
    before, after = pixels.astype(float), changed
    np.testing.assert_allclose(after.mean((1, 2)), before.mean((1, 2)), atol=0.5)
    factor = CORRUPTIONS["contrast"][1][severity - 1]
    np.testing.assert_allclose(after.std((1, 2)), before.std((1, 2)) * factor, rtol=0.03, atol=0.1)


@pytest.mark.parametrize("fill", [0, 255])
def test_rotation_turns_about_the_centre_by_the_angle_and_uncovers_the_fill(fill: int):
    pixels = pictures(8)
    changed = corrupt(pixels, ids(8), "rotation", 2, fill=fill)
    turned_left = []
    for image, found in zip(pixels, changed, strict=True):
        errors = [np.abs(turned(image, angle, fill)[8:24, 8:24] - found[8:24, 8:24]).mean() for angle in (30, -30)]
        assert min(errors) < 1 < max(errors)
        turned_left.append(errors[0] < errors[1])
    assert (changed[:, [0, 0, -1, -1], [0, -1, 0, -1]] == fill).all()
    assert 0 < sum(turned_left) < 8


def test_rotation_is_to_the_same_side_at_every_severity():
    pixels = pictures(8)
    one, two = (corrupt(pixels, ids(8), "rotation", severity, fill=255) for severity in (1, 2))
    for first, second in zip(one, two, strict=True):
        errors = [np.abs(turned(first, a, 255)[10:22, 10:22] - second[10:22, 10:22]).mean() for a in (15, -15, 45, -45)]
        assert np.argmin(errors) in (0, 1)


def turned(image: np.ndarray, degrees: float, fill: int) -> np.ndarray:
    """Rotate counter-clockwise with another library."""
    angle, centre = np.deg2rad(degrees), (image.shape[0] - 1) / 2
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    offset = centre - matrix @ np.array([centre, centre])
    channels = [
        affine_transform(image[..., c].astype(float), matrix, offset, order=1, mode="constant", cval=fill)
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)
