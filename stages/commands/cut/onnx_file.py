"""The same program as an ONNX file, for onnxruntime; what this takes is the extra `export`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from stages.commands.cut.export import EXAMPLES, first_line, quiet
from stages.shared.runtime.errors import UserError

if TYPE_CHECKING:
    import onnx

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "pixels", "embedding"
BATCH = "batch"
MAX_BYTES = 2**31 - 2**24
"""Of tensors that fit into one ONNX file, whose limit is 2 GiB."""


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


def save_onnx(program: ExportedProgram, path: Path, image_size: int) -> None:
    """Write a program as an ONNX file: input `pixels`, S = `image_size`, output `embedding`, any number of images.

    Raises:
        UserError: it holds more than one file can, or an operation that torch cannot translate.
    """
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > MAX_BYTES:
        raise UserError(f"model.onnx holds at most 2 GiB, found {size / 2**30:.1f} GiB of tensors; use --no-onnx")
    example = torch.zeros(EXAMPLES, 3, image_size, image_size, dtype=torch.uint8)
    try:
        with quiet():
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


def load_onnx(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Load an ONNX file into onnxruntime, on the CPU: (B, 3, S, S) uint8 -> (B, width) float32."""
    import onnxruntime  # of the extra

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run([OUTPUT], {INPUT: pixels})[0])
