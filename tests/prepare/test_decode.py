import errno
import hashlib
import io
import struct
import subprocess
import sys
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stages.prepare.bits import BadImageError
from stages.prepare.decode import FORMATS, digest, known_formats, pixel_limit, read_pixels
from tests.faults import images
from tests.faults.archives import MIB, damaged
from tests.prepare.deep_images import png_samples


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(content, size, fit, fill, max_pixels=50_000_000):
    return read_pixels(content, max_pixels=max_pixels, size=size, fit=fit, fill=fill).pixels


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_an_image_of_the_right_size_is_untouched():
    pixels = noise(8, 8)
    decoded = decode(encode(Image.fromarray(pixels)), 8, "crop", 255)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


def test_grey_becomes_three_equal_channels():
    grey = noise(8, 8)[..., 0]
    assert np.array_equal(decode(encode(Image.fromarray(grey)), 8, "crop", 255), np.stack([grey] * 3, -1))


def test_one_bit_becomes_black_and_white():
    bits = noise(8, 8)[..., 0] > 127
    assert np.array_equal(decode(encode(Image.fromarray(bits)), 8, "crop", 255)[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("fill", [0, 200, 255])
def test_transparent_pixels_lie_over_the_fill(fill):
    rgba = np.concatenate([noise(8, 8), noise(8, 8, 1, seed=1)], axis=2)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + fill * (1 - alpha)
    assert np.abs(decode(encode(Image.fromarray(rgba)), 8, "crop", fill) - expected).max() <= 1


def test_grey_with_alpha_lies_over_the_fill():
    image = Image.merge("LA", [Image.new("L", (8, 8), 10), Image.new("L", (8, 8), 0)])
    assert (decode(encode(image), 8, "crop", 77) == 77).all()


def test_a_palettes_colours_and_transparency_are_kept():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    decoded = decode(encode(image, transparency=0), 8, "crop", 9)
    assert (decoded[:, :4] == 9).all()
    assert (decoded[:, 4:] == (0, 0, 255)).all()


def test_a_palette_with_an_alpha_for_each_colour():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert (decode(encode(image, transparency=b"\x00\xff"), 8, "crop", 9) == (0, 0, 255)).all()


def test_16_bits_are_scaled_to_8():
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    expected = np.round(values / 257)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode(encode(Image.fromarray(values), kind), 8, "crop", 255)[..., 0], expected)


def test_16_bit_colour_is_scaled_to_8():
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), dtype=np.uint16)
    decoded = decode(png_samples(values), 8, "crop", 255)
    assert np.abs(decoded - values / 257).max() <= 1


@pytest.mark.parametrize("colours", [1, 3])
def test_16_bit_transparency_lies_over_the_fill(colours):
    values = np.random.default_rng(colours).integers(0, 65536, (8, 8, colours + 1), dtype=np.uint16)
    alpha = values[..., -1:] / 65535
    expected = values[..., :-1] / 257 * alpha + 40 * (1 - alpha)
    assert np.abs(decode(png_samples(values), 8, "crop", 40) - expected).max() <= 2


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # cyan
    assert (decode(encode(image, "TIFF"), 8, "crop", 255) == (0, 255, 255)).all()
    decoded = decode(encode(image, "JPEG", quality=95), 8, "crop", 255).astype(int)
    assert np.abs(decoded - (0, 255, 255)).max() < 8


@pytest.mark.parametrize(("orientation", "turned"), [(3, 2), (6, -1), (8, 1)])
def test_exif_turns_the_image_upright(orientation, turned):
    pixels = noise(8, 8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(Image.fromarray(pixels), exif=exif), 8, "crop", 255)
    assert np.array_equal(decoded, np.rot90(pixels, turned))


def test_without_a_size_an_image_keeps_its_own_upright_and_opaque():
    rgba = np.dstack([noise(9, 6), np.full((9, 6), 255, np.uint8)])
    rgba[0] = (0, 0, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode(encode(Image.fromarray(rgba), exif=exif), None, "crop", 77)
    assert decoded.shape == (6, 9, 3)
    assert (decoded[:, -1] == 77).all()
    assert np.array_equal(decoded[:, :-1], np.rot90(rgba[1:, :, :3], -1))


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("L", (8, 8), level) for level in (50, 200)]
    assert (decode(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), 8, "crop", 255) == 50).all()


def stripes():
    """16 x 32: left quarter red, middle green, right quarter blue."""
    image = Image.new("RGB", (32, 16), (0, 255, 0))
    image.paste((255, 0, 0), (0, 0, 8, 16))
    image.paste((0, 0, 255), (24, 0, 32, 16))
    return encode(image)


def test_crop_keeps_the_centre():
    assert (decode(stripes(), 16, "crop", 255) == (0, 255, 0)).all()


def test_pad_keeps_everything_between_bars_of_fill():
    decoded = decode(stripes(), 16, "pad", 99)
    assert (decoded[:4] == 99).all()
    assert (decoded[12:] == 99).all()
    assert (decoded[4:12, 0] == (255, 0, 0)).all()
    assert (decoded[4:12, -1] == (0, 0, 255)).all()


def test_squash_keeps_everything_narrower():
    decoded = decode(stripes(), 16, "squash", 255)
    assert (decoded[:, 0] == (255, 0, 0)).all()
    assert (decoded[:, 8] == (0, 255, 0)).all()
    assert (decoded[:, -1] == (0, 0, 255)).all()


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same():
    gradient = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (640, 1))
    image = Image.fromarray(gradient).convert("RGB")
    small = decode(encode(image, "JPEG", quality=95), 16, "crop", 255).astype(int)
    exact = np.asarray(image.resize((16, 16), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - exact).max() <= 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an image"),
        (b"hello, I am text", "not an image"),
        (encode(Image.fromarray(noise(64, 64)))[:2000], "truncated"),
        (encode(Image.fromarray(noise(64, 64)), "JPEG")[:1500], "truncated"),
        (encode(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating-point"),
        (encode(Image.fromarray(np.full((8, 8), 1 << 20, np.int32)), "TIFF"), "signed"),
    ],
)
def test_what_cannot_be_decoded_is_named(content, reason):
    with pytest.raises(BadImageError, match=reason):
        decode(content, 8, "crop", 255)


def four_bands(extra):
    """A TIFF of four bands whose tag ExtraSamples, 338, has another number where it is to be absent."""
    content = encode(Image.fromarray(noise(8, 8, 4)), "TIFF")
    tag = struct.pack("<HHI", 338, 3, 1)
    assert content.count(tag) == 1
    return content if extra else content.replace(tag, struct.pack("<HHI", 65000, 3, 1))


def test_four_bands_have_alpha_only_if_the_file_says_it():
    assert decode(four_bands(extra=True), 8, "crop", 0).shape == (8, 8, 3)
    with pytest.raises(BadImageError, match=r"must say what the fourth is \(ExtraSamples\)"):
        decode(four_bands(extra=False), 8, "crop", 0)


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_a_photo_of_an_iphone_is_named(brand):
    box = b"ftyp" + brand + bytes(4) + b"mif1heic"
    with pytest.raises(BadImageError, match="HEIC, the format of iPhones, is not read; save it as JPEG or PNG"):
        decode(struct.pack(">I", len(box) + 4) + box + bytes(99), 8, "crop", 0)


def test_a_cut_avif_is_named():
    with pytest.raises(BadImageError, match="AVIF, is read, but not this variety, or it is damaged"):
        decode(encode(Image.fromarray(noise(64, 64)), "AVIF")[:-900], 8, "crop", 0)


def test_limits_of_several_threads_hold_each_for_its_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 77)
    both, content = threading.Barrier(2), encode(Image.new("L", (40, 30)))
    found = {}

    def read(limit):
        with pixel_limit(limit):  # which holds while the other thread reads
            both.wait(10)
            try:
                found[limit] = decode(content, 8, "crop", 0, limit).shape
            except BadImageError as error:
                found[limit] = str(error)
            both.wait(10)

    threads = [threading.Thread(target=read, args=(limit,)) for limit in (1199, 1200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {1199: "more than 1199 pixels, prepare.max_pixels; reduce it", 1200: (8, 8, 3)}
    assert Image.MAX_IMAGE_PIXELS == 77


def test_digests_tell_contents_apart():
    content = encode(Image.fromarray(noise(8, 8)))
    assert digest(content) == hashlib.sha256(content).hexdigest()
    wide, high = Image.new("L", (8, 4)), Image.new("L", (4, 8))
    assert wide.tobytes() == high.tobytes()
    assert digest(wide) != digest(high)
    assert digest(wide) == digest(wide.copy())


@pytest.mark.parametrize("draft", [False, True])
def test_more_pixels_than_the_limit_are_refused(draft):
    content = encode(Image.new("L", (40, 30)), "JPEG" if draft else "PNG")
    decode(content, 8, "crop", 255, 1200)
    with pytest.raises(BadImageError, match=r"more than 1199 pixels, prepare\.max_pixels"):
        decode(content, 8, "crop", 255, 1199)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (images.png_that_says(13_000, 13_000), "more than 50000000 pixels"),
        (images.png_that_says(2**31 - 1, 2**31 - 1), "more than 50000000 pixels"),
        (images.png_bomb(8_000, 8_000), "more than 50000000 pixels"),
        (images.icon_bomb(), "more than 50000000 pixels"),
        (images.gif_bomb(), "more than 50000000 pixels"),
        (images.png_with_text_bomb(), "damaged or unusual"),
    ],
    ids=[
        "says",
        "says more than there is",
        "bomb",
        "icon",
        "gif",
        "text",
    ],
)
def test_bombs_are_refused_before_they_fill_memory(content, reason):
    tracemalloc.start()
    try:
        with pytest.raises(BadImageError, match=reason):
            decode(content, 8, "crop", 255)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


PEAK = """
import sys
from stages.prepare.decode import read_pixels
content = sys.stdin.buffer.read()
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) // 1024
before = peak()
print(*read_pixels(content, max_pixels=50_000_000, size=8, fill=100).pixels[0, 0], peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read where Linux has them")
@pytest.mark.parametrize(
    ("mode", "colour", "pixel"),
    [("RGBA", (0, 0, 0, 0), "100 100 100"), ("LA", (200, 255), "200 200 200"), ("I;16", 5140, "20 20 20")],
)
def test_an_image_of_most_pixels_takes_at_most_600_mb(mode, colour, pixel):
    content = encode(Image.new(mode, (7000, 7000), colour), compress_level=1)
    done = subprocess.run([sys.executable, "-c", PEAK], input=content, capture_output=True, check=True)
    *found, megabytes = done.stdout.decode().split()
    assert " ".join(found) == pixel
    assert int(megabytes) < 600


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_an_image_that_is_converted_in_parts_is_the_same(mode, orientation, monkeypatch):
    seen = Image.fromarray(noise(60, 40, 4)).convert("L" if mode == "I;16" else mode)
    image = seen if mode != "I;16" else Image.fromarray(np.asarray(seen).astype(np.uint16) * 200)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(image, "TIFF", exif=exif)
    whole = decode(content, 16, "pad", 77)
    monkeypatch.setattr("stages.prepare.decode.PIXELS_AT_ONCE", 100)
    assert np.array_equal(decode(content, 16, "pad", 77), whole)


def test_a_format_that_starts_a_program_is_not_read(monkeypatch):
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("started a program"))
    with pytest.raises(BadImageError, match="not an image of a format that is read"):
        decode(images.postscript("(x) print"), 8, "crop", 255)
    assert not {"EPS", "WMF", "GRIB", "HDF5", "BUFR", "MPEG"} & set(FORMATS)


def test_the_formats_are_this_pillows():
    assert set(FORMATS) - set(known_formats()) <= {"AVIF", "JPEG2000", "WEBP"}  # as it was built


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of odd metadata
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(kind=st.sampled_from(images.FORMATS), seed=st.integers(0, 2**32))
def test_a_damaged_image_is_an_image_or_an_error(kind, seed):
    content = damaged(images.encoded(kind), seed)
    with suppress(BadImageError):
        assert decode(content, 8, "crop", 255, 1_000_000).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError("out of memory when reading image file"),
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("can't start new thread"),
    ],
)
def test_what_the_machine_lacks_is_no_damage(monkeypatch, error):
    def fail(image, fill, depth):
        raise error

    monkeypatch.setattr("stages.prepare.decode.to_rgb", fail)
    with pytest.raises(type(error)) as caught:
        decode(encode(Image.fromarray(noise(8, 8))), 8, "crop", 255)
    assert caught.value is error
