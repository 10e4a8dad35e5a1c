"""What a pickle of texts, whole numbers and arrays of bytes holds, read without Python's unpickler.

That one runs what a pickle says: even numpy's own functions, called with a stranger's arguments, read and write any
part of the memory. Here `pickletools` takes the pickle apart, nothing in it is called, and whatever is not one of these
values, as Python 2 or 3 and any version of numpy pickle them, is an error.
"""

import pickletools
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_OPCODES = 1_000_000
"""CIFAR-100's largest file has about 200,000; its values pickled again as bytes, 500,000."""

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "BINSTRING", "SHORT_BINSTRING"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
"""Opcodes whose argument is the value; texts of Python 2 are read as latin-1."""

PUTS, GETS = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
RECONSTRUCT = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
FROMBUFFER = {"numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer"}
GLOBALS = {"numpy ndarray", "numpy dtype", "_codecs encode", *RECONSTRUCT, *FROMBUFFER}
DTYPE_STATE = (3, "|", None, None, None, -1, -1, 0)


@dataclass(frozen=True)
class Global:
    """A function or class that the pickle names; it is never imported."""

    name: str


@dataclass
class PickledArray:
    """An array of numbers 0 to 255, `values`; None before its content was read."""

    values: NDArray[np.uint8] | None = None


MARK, UINT8 = object(), object()


def read_pickle(content: bytes) -> Any:
    """Return what a pickle holds: a dict, list, tuple, text, bytes, whole number, None or `PickledArray`.

    Containers may hold each other any number of times, and themselves: look into them one level at a time.

    Raises:
        ValueError: it is damaged, or holds something else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pickletools' own, of escapes in texts of protocol 0
        return _Reader(content).read()


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._to_encode = len(content)  # bytes; no more can be in texts that stand in it once

    def read(self) -> Any:
        opcodes: Iterable[tuple[pickletools.OpcodeInfo, Any, int | None]] = pickletools.genops(self._content)
        for count, (opcode, argument, _) in enumerate(opcodes):
            if count == MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES} opcodes")
            if opcode.name in LITERALS:
                self.stack.append(argument)
            elif opcode.name in CONSTANTS:
                self.stack.append(CONSTANTS[opcode.name])
            elif opcode.name in PUTS:
                self.put(argument, count)
            elif opcode.name in GETS:
                self._get(argument)
            elif opcode.name in TUPLES:
                self.stack.append(tuple(self.pop_many(TUPLES[opcode.name])))
            elif opcode.name == "GLOBAL":
                self._push_global(argument)
            elif opcode.name in OPERATIONS:
                OPERATIONS[opcode.name](self)
            elif opcode.name not in ("PROTO", "FRAME", "STOP"):
                raise ValueError(f"the opcode {opcode.name}")
        if len(self.stack) != 1:
            raise ValueError("not one value at its end")
        return self.stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("a value that is missing")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        if MARK in values:
            raise ValueError("a value that is missing")
        return values

    def pop_to_mark(self) -> list[Any]:
        values: list[Any] = []
        while self.stack:
            if (value := self.stack.pop()) is MARK:
                return values[::-1]
            values.append(value)
        raise ValueError("a mark that is missing")

    def put(self, index: int, count: int) -> None:
        if not self.stack or self.stack[-1] is MARK or index > count:
            raise ValueError(f"the memo index {index}")
        self.memo[index] = self.stack[-1]

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError(f"the memo index {index}")
        self.stack.append(self.memo[index])

    def _push_global(self, name: str) -> None:
        if name not in GLOBALS:
            raise ValueError(f"Python's {name.replace(' ', '.')}: objects are not loaded, since that would run code")
        self.stack.append(Global(name))

    def stack_global(self) -> None:
        match self.pop_many(2):
            case [str(module), str(name)]:
                self._push_global(f"{module} {name}")
            case _:
                raise ValueError("an object without a name")

    def extend(self, values: list[Any]) -> None:
        match self.stack:
            case [*_, list(target)]:
                target.extend(values)
            case _:
                raise ValueError("values of no list")

    def update(self, values: list[Any]) -> None:
        keys = values[::2]
        if not (self.stack and isinstance(self.stack[-1], dict)) or len(values) % 2:
            raise ValueError("values of no dict")
        if not all(isinstance(key, str | bytes) for key in keys):
            raise ValueError("a dict whose keys are no texts")
        self.stack[-1].update(zip(keys, values[1::2], strict=True))

    def reduce(self) -> None:
        function, arguments = self.pop_many(2)
        match (function, arguments):
            case (Global("_codecs encode"), (str(text), "latin1")):
                self.stack.append(self._encoded(text))
            case (Global("numpy dtype"), ("u1", 0, 1)):
                self.stack.append(UINT8)
            case (Global(name), (Global("numpy ndarray"), (0,), "b" | b"b")) if name in RECONSTRUCT:
                self.stack.append(PickledArray())
            case (Global(name), (bytes(raw) | bytearray(raw), dtype, tuple(shape), "C" | "F" as order)) if (
                name in FROMBUFFER and dtype is UINT8
            ):
                self.stack.append(PickledArray(_shaped(raw, shape, order)))
            case _:
                raise ValueError("an object that is neither an array of bytes nor encoded text")

    def build(self) -> None:
        target, state = self.pop_many(2)
        self.stack.append(target)
        match (target, state):
            case (PickledArray(None), (1, tuple(shape), dtype, 0 | 1 as fortran, str(raw) | bytes(raw))) if (
                dtype is UINT8
            ):
                content = self._encoded(raw) if isinstance(raw, str) else raw
                target.values = _shaped(content, shape, "F" if fortran else "C")
            case _ if target is UINT8 and isinstance(state, tuple) and state == DTYPE_STATE:
                pass
            case _:
                raise ValueError("the state of something that is no array of bytes")

    def _encoded(self, text: str) -> bytes:
        self._to_encode -= len(text)
        if self._to_encode < 0:
            raise ValueError("one text encoded many times")
        return text.encode("latin1")


OPERATIONS: dict[str, Callable[[_Reader], None]] = {
    "MARK": lambda reader: reader.stack.append(MARK),
    "EMPTY_DICT": lambda reader: reader.stack.append({}),
    "EMPTY_LIST": lambda reader: reader.stack.append([]),
    "EMPTY_TUPLE": lambda reader: reader.stack.append(()),
    "TUPLE": lambda reader: reader.stack.append(tuple(reader.pop_to_mark())),
    "MEMOIZE": lambda reader: reader.put(len(reader.memo), len(reader.memo)),
    "APPEND": lambda reader: reader.extend(reader.pop_many(1)),
    "APPENDS": lambda reader: reader.extend(reader.pop_to_mark()),
    "SETITEM": lambda reader: reader.update(reader.pop_many(2)),
    "SETITEMS": lambda reader: reader.update(reader.pop_to_mark()),
    "STACK_GLOBAL": _Reader.stack_global,
    "REDUCE": _Reader.reduce,
    "BUILD": _Reader.build,
}


def _shaped(raw: bytes | bytearray, shape: Sequence[Any], order: Any) -> NDArray[np.uint8]:
    """Return bytes as an array of two dimensions: a view of them."""
    match shape:
        case (int(rows), int(columns)) if rows >= 0 and columns >= 0 and rows * columns == len(raw):
            return np.frombuffer(raw, np.uint8).reshape(rows, columns, order=order)
        case _:
            raise ValueError(f"an array of {len(raw)} bytes that is no table of as many")
