"""Many images at once: what `decode` gives of each, in order, and why there is none of some."""

import errno
import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.prepare import decode as module
from stages.prepare.decode import BadImageError, decode_alike, decode_many, read_pixels
from stages.prepare.raw_files import read_file
from stages.shared.runtime.errors import UserError

HOW: Any = {"max_pixels": 10**6, "size": 8, "fit": "pad", "fill": 7}


def encoded(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def missing() -> bytes:
    raise OSError(2, "No such file")


def test_images_come_in_order_each_as_decoded_alone_with_the_hash_of_its_file(monkeypatch):
    monkeypatch.setattr(module, "IMAGES_AHEAD", 3)
    files = [encoded(number) for number in range(7)]
    contents: list[Callable[[], bytes]] = [partial(bytes, file) for file in files]
    contents.insert(2, missing)
    contents.insert(5, lambda: files[0][:-60])
    found = list(decode_many(contents, **HOW))
    assert found[2] == ("", "cannot be read (No such file)")
    assert found[5][0] == ""
    assert str(found[5][1]).startswith("damaged or unusual: ")
    for file, (sha256, image) in zip(files, [f for n, f in enumerate(found) if n not in (2, 5)], strict=True):
        assert sha256 == hashlib.sha256(file).hexdigest()
        np.testing.assert_array_equal(image.pixels, read_pixels(file, **HOW).pixels)


def grey(largest: int) -> bytes:
    """A PNG of 16 bits a sample."""
    file = io.BytesIO()
    Image.fromarray(np.linspace(0, largest, 64).astype(np.uint16).reshape(8, 8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("largest", "bits"), [(1000, 10), (4095, 12), (16000, 14), (60000, 16)])
def test_images_of_16_bits_are_scaled_alike_by_what_all_use(largest: int, bits: int):
    files, told = [encoded(0), grey(700), encoded(1), grey(largest), b"none", grey(300)], list[int]()
    found = [image for _, image in decode_alike([partial(bytes, file) for file in files], tell=told.append, **HOW)]
    assert told == [bits] * (bits < 16)
    assert found[4] == "not an image of a format that is read"
    for file, image in zip(files, found, strict=True):
        if not isinstance(image, str):
            np.testing.assert_array_equal(image.pixels, read_pixels(file, bits=bits, **HOW).pixels)


def test_images_of_8_bits_are_read_once():
    read = list[int]()

    def content(number: int) -> bytes:
        read.append(number)
        return encoded(number)

    list(decode_alike([partial(content, number) for number in range(5)], tell=read.append, **HOW))
    assert read == [*range(5)]


def test_files_are_read_in_order_and_few_ahead(monkeypatch):
    monkeypatch.setattr(module, "IMAGES_AHEAD", 3)
    read, file = list[tuple[int, int]](), encoded(0)

    def content(number: int) -> bytes:
        read.append((number, threading.get_ident()))
        return file

    stream = decode_many([partial(content, number) for number in range(8)], **HOW)
    next(stream)
    assert [number for number, _ in read] == [0, 1, 2]
    assert len(list(stream)) == 7
    assert [number for number, _ in read] == list(range(8))
    assert {thread for _, thread in read} == {threading.get_ident()}  # archives are read by one thread


def test_images_are_decoded_while_whoever_takes_them_works(monkeypatch):
    decoded = threading.Semaphore(0)

    def noticed(content, **how):
        decoded.release()
        return read_pixels(content, **how)

    monkeypatch.setattr(module, "read_pixels", noticed)
    monkeypatch.setattr(module, "IMAGES_AHEAD", 3)
    stream = decode_many([partial(bytes, encoded(number)) for number in range(9)], **HOW)
    for _ in range(3):
        next(stream)
    assert all(decoded.acquire(timeout=30) for _ in range(5))  # though no further one is asked for
    stream.close()


def test_what_was_read_ahead_is_not_decoded_if_whoever_takes_the_images_stops(monkeypatch):
    go, calls = threading.Event(), list[bytes]()

    def slow(content, **how):
        calls.append(content)
        if len(calls) > 1:
            go.wait(30)
        return read_pixels(content, **how)

    monkeypatch.setattr(module, "read_pixels", slow)
    stream = decode_many([partial(bytes, encoded(number)) for number in range(9)], workers=1, **HOW)
    next(stream)
    threading.Timer(0.1, go.set).start()
    stream.close()
    assert len(calls) <= 2


def test_few_large_files_are_read_ahead(monkeypatch):
    read, file = list[int](), encoded(0)
    monkeypatch.setattr(module, "BYTES_AHEAD", 2 * len(file))

    def content(number: int) -> bytes:
        read.append(number)
        return file

    stream = decode_many([partial(content, number) for number in range(5)], **HOW)
    next(stream)
    assert read == [0, 1]
    assert len(list(stream)) == 4


def test_a_whole_image_that_lacked_memory_is_decoded_again_alone(monkeypatch):
    """For want of memory libjpeg says `broken data stream` and libwebp `could not create decoder object`."""
    files, calls = [encoded(number) for number in range(3)], list[bytes]()

    def lacking(content, **how):
        calls.append(content)
        if calls.count(content) == 1:
            raise BadImageError("damaged or unusual: broken data stream when reading image file")
        return read_pixels(content, **how)

    monkeypatch.setattr(module, "read_pixels", lacking)
    found = list(decode_many([partial(bytes, file) for file in files], **HOW))
    for file, (sha256, image) in zip(files, found, strict=True):
        assert sha256 == hashlib.sha256(file).hexdigest()
        np.testing.assert_array_equal(image.pixels, read_pixels(file, **HOW).pixels)


def test_without_the_memory_to_decode_an_image_it_is_not_called_damaged():
    """A process that may not reserve what an image takes; a damaged file may be whole for all that it can tell."""
    code = """
        import resource
        from stages.prepare.decode import BYTES_OF_AN_IMAGE, decode_many
        HOW = {"max_pixels": 10**6, "size": 8}
        list(decode_many([lambda: b"P6 1 1 255 abc"], **HOW))  # libraries are loaded
        taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + BYTES_OF_AN_IMAGE // 2,) * 2)
        try:
            print(list(decode_many([lambda: b"no image"], **HOW)))
        except MemoryError:
            print("MemoryError")
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "MemoryError\n"


def test_a_pipe_is_no_bad_image_that_may_be_skipped(tmp_path: Path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"^\S+/a\.png: must be a regular file, found a named pipe; remove it$"):
        list(decode_many([partial(read_file, tmp_path / "a.png")], **HOW))
    (_, reason), *_ = decode_many([partial(read_file, Path("a\0b"))], **HOW)
    assert reason == "cannot be read (embedded null byte)"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE])
def test_a_file_that_the_machine_cannot_read_now_is_no_bad_image(number: int):
    def content() -> bytes:
        raise OSError(number, "x", "a.png")

    with pytest.raises(OSError, match=r"a\.png"):
        list(decode_many([content], **HOW))
