"""What a pickle of texts, whole numbers and arrays of bytes holds, read without calling anything that it names.

Python's unpickler runs what a pickle says: even numpy's own functions, called with a stranger's arguments, read and
write any part of the memory. Here it reads plain values alone. What a pickle names is never imported: a name and its
arguments are compared with those by which Python 2 or 3 and any version of numpy pickle such values, and whatever is
not one of them is an error.
"""

import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_OPCODES = 1_000_000
"""CIFAR-100's largest file has about 200,000; its values pickled again as bytes, 500,000."""

PLAIN = (
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2"),
    *("BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS"),
    *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL"),
)
"""Opcodes that are read as Python reads them; none of them calls anything."""

GLOBALS = {
    *("numpy.ndarray", "numpy.dtype", "_codecs.encode"),
    *("numpy.core.multiarray._reconstruct", "numpy.core.numeric._frombuffer"),
}
DAMAGED = (AttributeError, EOFError, IndexError, KeyError, TypeError, pickle.UnpicklingError, struct.error)


@dataclass(frozen=True)
class Global:
    """A function or class that the pickle names; it is never imported."""

    name: str


UINT8 = Global("numpy.uint8")
"""Stands for the type of the arrays."""


@dataclass
class PickledArray:
    """An array of numbers 0 to 255, `values`; None before its content was read."""

    values: NDArray[np.uint8] | None = None


def read_pickle(content: bytes) -> Any:
    """Return what a pickle holds: a dict, list, tuple, text, bytes, whole number, None or `PickledArray`.

    Texts of Python 2 are bytes. Containers may hold each other any number of times, and themselves: look into them one
    level at a time.

    Raises:
        ValueError: it is damaged, or holds something else.
    """
    try:
        return _Reader(content).load()
    except DAMAGED as error:
        raise ValueError(f"another kind of value, or damage ({type(error).__name__}: {error})") from None


class _Reader(pickle._Unpickler):
    """Python's unpickler in Python, whose memo, unlike that of the one in C, takes no more than what is in it."""

    stack: list[Any]

    def __init__(self, content: bytes) -> None:
        super().__init__(BytesIO(content), encoding="bytes")
        self.opcodes_left = MAX_OPCODES
        self._to_encode = len(content)  # bytes; no more can be in texts that stand in it once

    def find_class(self, module: str, name: str) -> Global:
        """Name what a pickle names."""
        named = f"{module.replace('numpy._core.', 'numpy.core.')}.{name}"
        if named not in GLOBALS:
            raise ValueError(f"Python's {module}.{name}: objects are not loaded, since that would run code")
        return Global(named)

    def reduce(self) -> None:
        """Make a value of what a pickle would have called with these arguments."""
        arguments = self.stack.pop()
        match self.stack.pop(), arguments:
            case Global("_codecs.encode"), (str(text), "latin1"):
                self._to_encode -= len(text)
                if self._to_encode < 0:
                    raise ValueError("one text encoded many times")
                self.stack.append(text.encode("latin1"))
            case Global("numpy.dtype"), ("u1" | b"u1", 0, 1):
                self.stack.append(UINT8)
            case Global("numpy.core.multiarray._reconstruct"), (Global("numpy.ndarray"), (0,), "b" | b"b"):
                self.stack.append(PickledArray())
            case (
                Global("numpy.core.numeric._frombuffer"),
                (bytes(raw), Global("numpy.uint8"), tuple(shape), "C" | "F" as order),
            ):
                self.stack.append(PickledArray(_shaped(raw, shape, order)))
            case _:
                raise ValueError("an object that is neither an array of bytes nor encoded text")

    def build(self) -> None:
        """Give an array its content."""
        state = self.stack.pop()
        match self.stack[-1], state:
            case PickledArray(None) as array, (1, tuple(shape), Global("numpy.uint8"), 0 | 1 as fortran, bytes(raw)):
                array.values = _shaped(raw, shape, "F" if fortran else "C")
            case Global("numpy.uint8"), (3, "|" | b"|", None, None, None, -1, -1, 0):
                pass
            case _:
                raise ValueError("the state of something that is no array of bytes")

    def set_items(self, items: list[Any]) -> None:
        """Fill a dict; to hash a tuple has no bound."""
        if not all(isinstance(key, str | bytes) for key in items[::2]):
            raise ValueError("a dict whose keys are no texts")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _counted(load: Callable[[Any], object]) -> Callable[[Any], None]:
    def counted(reader: _Reader) -> None:
        reader.opcodes_left -= 1
        if reader.opcodes_left < 0:
            raise ValueError(f"more than {MAX_OPCODES} opcodes")
        load(reader)

    return counted


PYTHONS: Mapping[int, Any] = pickle._Unpickler.dispatch
LOADERS: dict[str, Any] = {name: PYTHONS[getattr(pickle, name)[0]] for name in PLAIN} | {
    "BYTEARRAY8": PYTHONS[pickle.BINBYTES8[0]],  # its own takes what it says before it looks whether that is there
    "SETITEM": lambda reader: reader.set_items([reader.stack.pop(-2), reader.stack.pop()]),
    "SETITEMS": lambda reader: reader.set_items(reader.pop_mark()),
    "REDUCE": _Reader.reduce,
    "BUILD": _Reader.build,
}
_Reader.dispatch = {getattr(pickle, name)[0]: _counted(load) for name, load in LOADERS.items()}


def _shaped(raw: bytes, shape: Sequence[Any], order: Any) -> NDArray[np.uint8]:
    """Return bytes as an array of two dimensions: a view of them."""
    match shape:
        case (int(rows), int(columns)) if rows >= 0 and columns >= 0 and rows * columns == len(raw):
            return np.frombuffer(raw, np.uint8).reshape(rows, columns, order=order)
        case _:
            raise ValueError(f"an array of {len(raw)} bytes that is no table of as many")
