"""The same program as an ONNX file, for onnxruntime; what this takes is the extra `export`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from stages.commands.cut.export import EXAMPLES, first_line, quiet
from stages.commands.cut.folder import INPUT, OUTPUT
from stages.shared.runtime.errors import UserError

if TYPE_CHECKING:
    import onnx

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
BATCH = "batch"
LARGEST = 2**31 - 2**24
"""Bytes of tensors that fit into one ONNX file, whose limit is 2 GiB."""


def check_packages() -> None:
    """Check that the packages of the extra `export` are there.

    Raises:
        UserError: one is not.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(
            f"model.onnx takes {', '.join(PACKAGES)}, found no {', '.join(missing)}; "
            "pip install '.[export]', or leave the file out with --no-onnx"
        )


def save_onnx(program: ExportedProgram, path: Path) -> None:
    """Write a program as an ONNX file: input `pixels`, output `embedding`, any number of images.

    Raises:
        UserError: it holds more than one file can, or an operation that torch cannot translate.
    """
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > LARGEST:
        raise UserError(f"model.onnx holds at most 2 GiB, found {size / 2**30:.1f} GiB of tensors; use --no-onnx")
    example = torch.zeros(_input_shape(program), dtype=torch.uint8)
    try:
        with quiet(), _silent("torch.onnx"):
            translated = torch.onnx.export(
                program, (example,), dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False
            )
    except Exception as error:  # anything that a translation of an operation raises
        raise UserError(
            f"model.onnx cannot be made by torch {torch.__version__}: {type(error).__name__}: {first_line(error)}; "
            "leave the file out with --no-onnx"
        ) from error
    assert translated is not None
    path.write_bytes(_tidied(translated.model_proto).SerializeToString(deterministic=True))


def _input_shape(program: ExportedProgram) -> list[int]:
    (name,) = program.graph_signature.user_inputs
    node = next(node for node in program.graph.find_nodes(op="placeholder") if node.name == name)
    return [EXAMPLES, *map(int, node.meta["val"].shape[1:])]


def _tidied(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Name the first dimension; leave out notes of the code that the graph comes from, with this machine's paths."""
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del graph.value_info[:], model.metadata_props[:], graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer, *model.functions):
        del item.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
    return model


class OnnxNetwork:
    """An ONNX file, run by onnxruntime on the CPU.

    Args:
        path: the file.
        threads: of one operation; 0: onnxruntime's own choice.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        import onnxruntime  # of the extra

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, 3, S, S) uint8 -> (B, width) float32."""
        return np.asarray(self._session.run([OUTPUT], {INPUT: pixels})[0])


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    level = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger(logger).setLevel(level)
