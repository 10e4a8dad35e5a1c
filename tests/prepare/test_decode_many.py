"""Many images at once: what `decode` gives of each, in order, and why there is none of some."""

import hashlib
import io
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from stages.prepare import decode_many as module
from stages.prepare.decode import decode
from stages.prepare.decode_many import decode_many


def encoded(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def missing() -> bytes:
    raise OSError(2, "No such file")


def test_images_come_in_order_each_as_decoded_alone_with_the_hash_of_its_file(monkeypatch):
    monkeypatch.setattr(module, "IMAGES_PER_BLOCK", 3)
    files = [encoded(number) for number in range(7)]
    contents: list[Callable[[], bytes]] = [partial(bytes, file) for file in files]
    contents.insert(2, missing)
    contents.insert(5, lambda: files[0][:-60])
    found = list(decode_many(contents, size=8, fit="pad", fill=7))
    assert found[2] == ("", "cannot be read (No such file)")
    assert found[5][0] == ""
    assert str(found[5][1]).startswith("damaged or unusual: ")
    for file, (sha256, pixels) in zip(files, [f for n, f in enumerate(found) if n not in (2, 5)], strict=True):
        assert sha256 == hashlib.sha256(file).hexdigest()
        np.testing.assert_array_equal(pixels, decode(file, 8, "pad", 7))


def test_files_are_read_in_order_a_block_ahead_at_most(monkeypatch):
    monkeypatch.setattr(module, "IMAGES_PER_BLOCK", 3)
    read, file = list[tuple[int, int]](), encoded(0)

    def content(number: int) -> bytes:
        read.append((number, threading.get_ident()))
        return file

    stream = decode_many([partial(content, number) for number in range(8)], size=8, fit="crop", fill=0)
    next(stream)
    assert [number for number, _ in read] == [0, 1, 2]
    assert len(list(stream)) == 7
    assert [number for number, _ in read] == list(range(8))
    assert {thread for _, thread in read} == {threading.get_ident()}  # archives are read by one thread


def test_few_large_files_are_a_block(monkeypatch):
    read, file = list[int](), encoded(0)
    monkeypatch.setattr(module, "BYTES_PER_BLOCK", 2 * len(file))

    def content(number: int) -> bytes:
        read.append(number)
        return file

    stream = decode_many([partial(content, number) for number in range(5)], size=8, fit="crop", fill=0)
    next(stream)
    assert read == [0, 1]
    assert len(list(stream)) == 4
