"""Files of more than 8 bits a sample: the right picture, or an error that names what is missing."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from stages.prepare.bits import BadImageError, Depth, fewest_bits
from stages.prepare.decode import read_pixels
from stages.prepare.packing import prepare_dataset
from stages.prepare.params import FolderParams
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError
from tests.prepare.deep_images import (
    JPEG2000_12,
    encode,
    jpeg2000_that_says,
    png_samples,
    pnm,
    psd,
    ramp,
    sgi,
    tiff,
    tiff_of_8_bit_palette,
    tiff_of_planes,
)

SIZE = 16
GREY = {
    "PNG": lambda values: encode(values, "PNG"),
    "TIFF": lambda values: encode(values, "TIFF", compression="tiff_lzw"),
    "TIFF, unsigned": lambda values: tiff(values, "<u2"),
    "TIFF, large bytes first": lambda values: tiff(values, ">u2"),
    "PGM": lambda values: pnm(values, 65535),
    "PGM, plain": lambda values: pnm(values, 65535, plain=True),
    "JPEG2000": lambda values: encode(values, "JPEG2000", no_jp2=True),
}
"""Files that do not say how many of 16 bits their values use."""


def decode(content, bits=16, size=SIZE):
    return read_pixels(content, max_pixels=10**6, size=size, bits=bits)


def colours(values):
    return np.stack([values] * 3, -1)


def error(content, values, bits=16):
    """Decode, and return the largest distance from the right picture, and the depth."""
    decoded = decode(content, bits, len(values))
    return np.abs(decoded.pixels - colours(values) * 255 / values.max()).max(), decoded.depth


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", GREY)
def test_grey_of_so_many_bits_in_16_is_scaled_from_them(kind, bits):
    found, depth = error(GREY[kind](ramp(bits)), ramp(bits), bits)
    assert depth == Depth(bits, 2**bits - 1, 2**bits - 1)
    assert found < 0.5


@pytest.mark.parametrize(
    ("content", "values", "from_bits"),
    [
        (pnm(ramp(10), 1023), ramp(10), 10),
        (pnm(ramp(12), 4095), ramp(12), 12),
        (pnm(ramp(14), 16383, plain=True), ramp(14), 14),
        (pnm(colours(ramp(12)), 4095), ramp(12), 12),
        (tiff(ramp(12), "<u2", bits=12), ramp(12), 12),
        (JPEG2000_12, ramp(12, 4), 12),
    ],
    ids=["PGM 10", "PGM 12", "PGM 14, plain", "PPM 12", "TIFF 12, packed", "JPEG 2000 12"],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_range_that_a_file_says_counts_whatever_the_dataset_has(content, values, from_bits, bits):
    found, depth = error(content, values, bits)
    assert found < 0.5
    assert (depth.bits, depth.largest) == (from_bits, None)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "JPEG2000", "GIF"])
def test_8_bits_stay_as_they_are(kind):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    found, depth = error(encode(ramp(8), kind, np.uint8, **options), ramp(8))
    assert (found, depth) == (0, None)


@pytest.mark.parametrize(
    "content",
    [png_samples(colours(ramp(16))), pnm(colours(ramp(16)), 65535), sgi(ramp(16))],
    ids=["PNG", "PPM", "SGI"],
)
def test_of_colours_of_16_bits_the_upper_8_are_kept(content):
    found, depth = error(content, ramp(16))
    assert found < 1
    assert depth == Depth(16, 65535, 65535)
    with pytest.raises(BadImageError, match=r"(?s)the upper 8 .*`\(array >> 4\)\.astype\('uint8'\)`"):
        decode(content, 12)


def test_transparency_does_not_hide_dark_colours():
    dark = np.concatenate([colours(ramp(12)), np.full((SIZE, SIZE, 1), 65535)], -1)
    assert decode(png_samples(dark)).depth == Depth(16, 65535, 4095)


@pytest.mark.parametrize(
    ("content", "bits", "reason"),
    [
        (tiff(ramp(8), "<u4"), 8, "32-bit values have no defined range.*astype"),
        (tiff(ramp(8) - 128, "<i1"), 16, "signed"),
        (tiff(ramp(12), "<i2"), 12, "signed values have no defined range.*uint16"),
        (tiff(ramp(8), ">i4"), 16, "signed"),
        (tiff(ramp(8), "<f4"), 16, "floating-point values have no defined range.*astype"),
        (tiff(ramp(16), "<u2", white=0), 16, "^a TIFF .*save it with 0 as black"),
        (png_samples(ramp(16)[..., None], b"\0\0"), 16, "transparent colour.*save it with alpha"),
        (png_samples(colours(ramp(16)), bytes(6)), 16, "transparent colour"),
        (tiff_of_8_bit_palette(ramp(8)), 16, "colour map has values of 8 bits.*save it as RGB"),
        (tiff_of_planes(colours(ramp(16))), 16, "planes apart.*save it with PlanarConfiguration 1"),
        *((jpeg2000_that_says(mode, 12), 16, f"found {mode} of 12; save it as") for mode in ("LA", "RGB", "RGBA")),
        *((jpeg2000_that_says("L", bits), 16, f"found .* of {bits}; save it as") for bits in (9, 17, 20)),
        (encode(ramp(14), "PNG"), 12, r"must be 0 to 4095 \(`bits: 12` of the dataset\), found 16383"),
        (pnm(ramp(12), 65535), 10, "found 4095"),
    ],
)
def test_what_has_no_range_or_exceeds_it_is_refused(content, bits, reason):
    with pytest.raises(BadImageError, match=reason):
        decode(content, bits)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (tiff(ramp(8), ">u4"), "TIFF"),
        (tiff(ramp(8), "<f8"), "TIFF"),
        (tiff(ramp(8), "<u8"), "TIFF"),
        *((tiff(ramp(bits), "<u2", bits=bits), "TIFF") for bits in (10, 14, 24)),
        (psd(16), "PSD"),
        (encode(ramp(8), "JPEG", np.uint8).replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"), "JPEG"),
    ],
)
def test_a_variety_of_a_known_format_is_told_from_an_unknown_one(content, name):
    with pytest.raises(BadImageError, match=f"^the format, {name}, is read, but not this variety.*; save it with 8"):
        decode(content)


def test_an_image_in_memory_goes_by_its_mode():
    assert decode(Image.fromarray(ramp(12).astype(np.uint16)), 12).depth == Depth(12, 4095, 4095)
    with pytest.raises(BadImageError, match="32-bit"):
        decode(Image.fromarray(ramp(8).astype(np.int32)))


def test_the_largest_value_of_all_decides_how_many_bits_are_fewest():
    found = {n: fewest_bits([Depth(16, 65535, 3), Depth(16, 65535, n)]) for n in (255, 256, 1023, 4095, 4096, 16384)}
    assert found == {255: 8, 256: 10, 1023: 10, 4095: 12, 4096: 14, 16384: None}
    assert fewest_bits([]) is fewest_bits([Depth(12, 65535)]) is fewest_bits([Depth(16, 65535, 0)]) is None


def write_classes(folder, bits, per_class=8):
    """Five classes of ramps of so many bits, each turned in another way, in four formats; some of 8 bits."""
    writers = [
        *(("png", GREY["PNG"]), ("tif", GREY["TIFF"]), ("pgm", GREY["PGM"])),
        ("bmp", lambda values: encode(values >> (bits - 8), "BMP", np.uint8)),
    ]
    pictures = {}
    for number, label in enumerate("abcde"):
        (folder / label).mkdir(parents=True)
        for index in range(per_class):
            values = np.roll(ramp(bits), number * per_class + index)
            ending, write = writers[index % len(writers)]
            (folder / label / f"{index}.{ending}").write_bytes(write(values))
            exact = values / (2**bits - 1) if ending != "bmp" else (values >> (bits - 8)) / 255
            pictures[f"{label}/{index}.{ending}"] = exact * 255
    return pictures


def prepare(raw, out, **values):
    values = {"image_size": SIZE, "test_fraction": 0.25, "unseen_classes": ["d", "e"], **values}
    return prepare_dataset(raw, out, FolderParams(source="folder", **values), 0, "mine", 10**6)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_dataset_is_stored_as_the_pictures_are_once_its_bits_are_said(tmp_path, bits):
    pictures = write_classes(tmp_path / "raw", bits)
    if bits < 16:
        message = rf"datasets.mine: bits: must .*found {2**bits - 1} as the largest; set `bits: {bits}`, or `bits: 16`"
        with pytest.raises(UserError, match=message):
            prepare(tmp_path / "raw", tmp_path / "out")
        assert {path.name for path in tmp_path.iterdir()} == {"raw"}
    report = prepare(tmp_path / "raw", tmp_path / "out", bits=None if bits == 16 else bits)
    assert report.notes()[0] == f"30 image(s) of more than 8 bits a sample were scaled to 8: 30 from {bits} bits"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["scaled"] == {str(bits): 30}
    images = open_images(tmp_path / "out", "0")
    stored = images.read(np.arange(40))
    for row, source in enumerate(images.manifest["source"]):
        assert np.abs(stored[row] - colours(pictures[source])).max() <= 0.5, source


def test_a_larger_value_than_the_dataset_s_is_named_with_its_file(tmp_path):
    write_classes(tmp_path / "raw", 12, per_class=12)
    (tmp_path / "raw" / "b" / "4.png").write_bytes(GREY["PNG"](ramp(14)))
    with pytest.raises(UserError, match=r"b/4.png cannot be decoded: its values must be 0 to 4095 .*found 16383"):
        prepare(tmp_path / "raw", tmp_path / "out", bits=12)
    report = prepare(tmp_path / "raw", tmp_path / "out", bits=12, on_bad_image="skip")
    assert [each.source for each in report.skipped] == ["b/4.png"]


def test_black_images_and_those_of_8_bits_are_asked_for_nothing(five_classes, tmp_path):
    prepare(five_classes, tmp_path / "without")
    assert "scaled" not in json.loads((tmp_path / "without" / "report.json").read_text())
    for label in "ab":
        (five_classes / label / "black.png").write_bytes(GREY["PNG"](np.zeros((SIZE, SIZE))))
    assert prepare(five_classes, tmp_path / "out", on_duplicate="keep").scaled == {16: 2}


def test_16_bits_that_are_dark_stay_so_if_the_dataset_says_it(tmp_path):
    write_classes(tmp_path / "raw", 10)
    prepare(tmp_path / "raw", tmp_path / "out", bits=16)
    images = open_images(tmp_path / "out", "0")
    deep = images.manifest.index[~images.manifest["source"].str.endswith(".bmp")].to_numpy()
    assert images.read(deep).max() == 4


def test_a_picture_is_the_same_in_parts(monkeypatch):
    content, whole = GREY["TIFF, large bytes first"](ramp(12)), io.BytesIO()
    Image.fromarray(decode(content, 12).pixels).save(whole, "PNG")
    monkeypatch.setattr("stages.prepare.decode.PIXELS_AT_ONCE", 20)
    again = decode(content, 12)
    assert (again.depth.largest, again.pixels.tobytes()) == (4095, Image.open(whole).tobytes())
