import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from stages.prepare.pickled_arrays import PickledArray, read_pickle
from tests.faults.archives import damaged

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 7), dtype=np.uint8)
BATCH = {"data": PIXELS, "fine_labels": [0, 300, 70_000], "filenames": ["a.png", "b.png", "a.png"]}


def python_2(batch):
    """As Python 2's cPickle of protocol 2 wrote the authors' files, spelled by hand."""

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    pixels = batch["data"]
    raw = b"T" + struct.pack("<i", pixels.size) + pixels.tobytes()
    dtype = b"cnumpy\ndtype\nq\x05" + text("u1") + b"K\x00K\x01\x87Rq\x06(K\x03" + text("|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"K" + bytes([pixels.shape[0]]) + b"K" + bytes([pixels.shape[1]]) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85" + text("b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"
    labels = b"]q\x01(" + b"".join(b"J" + struct.pack("<i", label) for label in batch["fine_labels"]) + b"e"
    names = b"]q\x02(" + b"".join(map(text, batch["filenames"])) + b"e"
    items = text("data") + array + text("fine_labels") + labels + text("filenames") + names
    return b"\x80\x02}q\x00(" + items + b"u."


def plain(content):
    return {key: value.values if isinstance(value, PickledArray) else value for key, value in content.items()}


OTHER = "another kind of value, or damage"


@pytest.mark.parametrize("kind", ["Python 2", 2, 3, 4, 5])
def test_it_reads_what_pythons_unpickler_reads(kind):
    content = python_2(BATCH) if kind == "Python 2" else pickle.dumps(BATCH, protocol=kind)
    values, expected = plain(read_pickle(content)), pickle.loads(content, encoding="bytes")
    assert values.keys() == expected.keys()
    assert len(values) == len(BATCH)
    for key in expected:
        assert np.array_equal(values[key], expected[key]), key
    assert next(iter(values.values())).dtype == np.uint8


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_it_reads_bytes_and_arrays_by_columns(protocol):
    content = {b"data": np.asfortranarray(PIXELS), b"filenames": [b"a.png", b"\xff", b"a.png"]}
    values = plain(read_pickle(pickle.dumps(content, protocol=protocol)))
    assert np.array_equal(values[b"data"], PIXELS)
    assert values[b"filenames"] == content[b"filenames"]


def array_on_memory():
    """`numpy.ndarray` called with a buffer and the dtype of objects: it would take 64 bytes for pointers."""
    dtype = b"cnumpy\ndtype\n\x8c\x02O8\x89\x88\x87R"
    return b"\x80\x05cnumpy\nndarray\n(K\x08\x85" + dtype + b"\x96" + struct.pack("<Q", 64) + bytes(64) + b"K\x00tR."


def offset_beyond_the_buffer():
    """The state of a dtype whose one field lies 4096 bytes behind its element."""
    field = b"}\x8c\x01fcnumpy\ndtype\n\x8c\x02u1\x89\x88\x87RM\x00\x10\x86s"
    state = b"(K\x03\x8c\x01|N\x8c\x01f\x85" + field + b"K\x08K\x01K\x10t"
    return b"\x80\x05cnumpy\ndtype\n\x8c\x02u1\x89\x88\x87R" + state + b"b."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array_on_memory(), "neither an array of bytes nor encoded text"),
        (offset_beyond_the_buffer(), "no array of bytes"),
        (pickle.dumps(np.zeros((2, 2), object)), "neither an array|no array"),
        (pickle.dumps(np.zeros((2, 2), np.int64)), "neither an array"),
        (pickle.dumps(np.zeros(4, np.uint8)), "no table"),
        (pickle.dumps({1: 2}), "keys are no texts"),
        (pickle.dumps(2.5), OTHER),
        (pickle.dumps(2**70), OTHER),
        (pickle.dumps(print), "Python's builtins.print: objects are not loaded"),
        (b"\x80\x02j\xff\xff\xff\x09.", OTHER),
        (b"\x80\x02N(q\x00.", OTHER),
        (b"\x80\x02R.", OTHER),
        (b"\x80\x02(R.", OTHER),
        (b"\x80\x02t.", OTHER),
        (b"\x80\x02(K\x01b.", OTHER),
        (b"\x80\x02N(K\x01e.", OTHER),
        (b"\x80\x02}(X\x01\x00\x00\x00au.", "zip"),
        (b"\x80\x02](}Nu.", "keys are no texts"),
        (b"\x80\x02](X\x01\x00\x00\x00aNu.", OTHER),
        (b"\x80\x02.", OTHER),
        (b"\x80\x02N", OTHER),
        (b"cnumpy\nndarray\n}b.", "no array of bytes"),
        (b"\x96" + struct.pack("<Q", 2**40) + b".", OTHER),
        (b"\x8e" + b"\xff" * 8, OTHER),
        (b"N0.", OTHER),
        (b"]" * 1_000_001 + b".", "more than 1000000 opcodes"),
    ],
)
def test_anything_else_is_one_error(content, message):
    with pytest.raises(ValueError, match=message):
        read_pickle(content)


def test_one_text_is_not_encoded_again_and_again():
    """A megabyte that the memo gives a hundred times would take 100 MB."""
    text = b"X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x00"
    encode = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    tracemalloc.start()
    with pytest.raises(ValueError, match="one text encoded many times"):
        read_pickle(b"\x80\x02]" + text + b"a(" + encode * 100 + b"e.")
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_of_damaged_pickles_it_raises_nothing_else(protocol):
    whole = pickle.dumps(BATCH | {"data": PIXELS}, protocol=protocol)
    ends = {"value": 0, "error": 0}
    for seed in range(1500):
        try:
            read_pickle(damaged(whole, seed))
            ends["value"] += 1
        except ValueError:
            ends["error"] += 1
    assert min(ends.values()) > 10
