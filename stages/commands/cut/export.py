"""A network up to one layer as a program of its own, by torch.export, and that as an ONNX file.

The whole network is traced with embed's own hook and pooling. What follows the layer, and what the embedding does not
depend on, is then taken out, operations and tensors, batch normalizations are folded as embed folds them, and what is
left is exported.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ...embed.embedder import PooledLayer, layer_embeddings
from ...shared.networks.hub import weights_only
from ...shared.networks.network import Network
from ...shared.runtime.errors import UserError
from .source import Joiner

EXAMPLES = 2
"""Images in the traced batch: with one, programs are specialized to one (pytorch#133653)."""

TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
"""Metadata of a node about the code that it comes from: paths of this machine, and names of classes."""

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
WITHOUT_ONNX = "pip install '.[export]', or leave the file out with --no-onnx"
INPUT, OUTPUT = "pixels", "embedding"


class UpToLayer(nn.Module):
    """From packed images to the embedding of a layer, or to those of several, as the embed stage computes them.

    Args:
        network: in evaluation mode, on the CPU.
        layers: which modules' outputs, and how each becomes a vector.
    """

    def __init__(self, network: Network, layers: Sequence[PooledLayer]) -> None:
        super().__init__()
        self.network = network.module  # so that its tensors are this module's
        self._parts = (network, layers)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, S, S) uint8, RGB -> (B, D) float32 of every layer."""
        network, layers = self._parts
        with layer_embeddings(network, layers, logits=False) as embed:
            embedded = embed(network.transform.evaluation(pixels.permute(0, 2, 3, 1)))
        return tuple(embedded[layer.layer.name] for layer in layers)


def export_layer(
    network: Network, layers: Sequence[PooledLayer], image_size: int, scaler: Joiner
) -> tuple[ExportedProgram, dict[str, Tensor]]:
    """Export a network up to a layer, with the transform before it and the pooling after it, for batches of any size.

    Args:
        network: in evaluation mode, on the CPU.
        layers: where it is cut; of several the embeddings are joined.
        image_size: height and width S in pixels of the images that go in.
        scaler: how embeddings are scaled.

    Returns:
        A program, and the tensors that the layer depends on, by the network's own names. The program holds these and no
        others, folded where `fold_norms` folds.

    Raises:
        UserError: torch.export cannot trace the network.
    """
    images = torch.zeros(EXAMPLES, 3, image_size, image_size, dtype=torch.uint8)
    what = "layer " + " and ".join(repr(layer.layer.name) for layer in layers)
    whole = _trace(UpToLayer(network, layers).eval(), images, what)
    pruned = prune(whole.module(), "network.")
    tensors = {**pruned.state_dict(), **scaler.fitted}
    return _trace(scaled(fold_norms(pruned), scaler), images, what), tensors


def _trace(module: nn.Module, images: Tensor, what: str) -> ExportedProgram:
    remedy = "try another layer, or a different version of torch or the network's library"
    with explained(f"{what} cannot be exported", remedy), torch.no_grad():
        return torch.export.export(module, (images,), dynamic_shapes=({0: Dim("batch")},), strict=False)


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """Name what a network's code or a translation of it raises, which may be anything."""
    try:
        with quiet():
            yield
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")[:300]
        raise UserError(f"{what} by torch {torch.__version__}: {type(error).__name__}: {reason}; {remedy}") from error


def prune(traced: fx.GraphModule, prefix: str) -> fx.GraphModule:
    """Remove what follows the last operation of a traced module's outputs, and what they do not depend on.

    What changes memory stays where it comes before, since something may read that memory.

    Args:
        traced: as `ExportedProgram.module()` gives it; its outputs share no memory with what follows.
        prefix: taken off the tensors' names.

    Returns:
        A module that holds the tensors that the rest reads, and no others.
    """
    graph = traced.graph
    nodes, outputs = [*graph.nodes], graph.output_node().all_input_nodes
    for node in reversed(nodes[max(map(nodes.index, outputs)) + 1 : -1]):
        graph.erase_node(node)
    graph.eliminate_dead_code(changes_memory)
    tensors: dict[str, Any] = {}
    for node in graph.find_nodes(op="get_attr"):
        value = attrgetter(str(node.target))(traced)
        node.target = str(node.target).removeprefix(prefix)
        tensors[node.target] = value.detach().contiguous() if isinstance(value, Tensor) else value
    return fx.GraphModule(tensors, graph)


def fold_norms(pruned: fx.GraphModule) -> fx.GraphModule:
    """Fold batch normalizations into convolutions where `FoldedNorms` does, so that embeddings are the same to the bit.

    Otherwise they would differ by 2e-7 of their length, which whitening enlarges up to 40,000-fold.
    """
    graph, reads = pruned.graph, Counter[Any]()
    for node in graph.find_nodes(op="get_attr"):
        reads[node.target] += len(node.users)
    for norm in graph.find_nodes(op="call_function", target=torch.ops.aten.batch_norm.default):
        convolution, *_, center, _, is_training, _, epsilon = norm.args[:8]
        if getattr(convolution.target, "overloadpacket", None) != torch.ops.aten.conv2d or is_training:
            continue
        inputs, weight, bias, *rest = (*convolution.args, None)[: max(3, len(convolution.args))]
        if weight.op == "get_attr" and {len(convolution.users), reads[weight.target], reads[center.target]} == {1}:
            tensors: list[Any] = [each and attrgetter(each.target)(pruned) for each in (weight, bias, *norm.args[1:5])]
            own, added, scale, shift, mean, variance = tensors
            folded = fuse_conv_bn_weights(own, added, mean, variance, epsilon, scale, shift)
            names = [f"{weight.target}_{part}_folded".replace(".", "_") for part in ("weight", "bias")]
            for name, values in zip(names, folded, strict=True):
                pruned.register_buffer(name, values.detach())
            with graph.inserting_before(convolution):
                convolution.args = (inputs, *map(graph.get_attr, names), *rest)
            norm.replace_all_uses_with(convolution)
            graph.erase_node(norm)
    return prune(pruned, "")


def scaled(module: fx.GraphModule, scaler: Joiner) -> fx.GraphModule:
    """Scale the outputs of a pruned module, and put them side by side: one output, in place of a tuple."""
    graph, output = module.graph, module.graph.output_node()
    for name, values in scaler.fitted.items():
        module.register_buffer(name, values)
    with graph.inserting_before(output):
        function, how = scaler.program
        output.args = (
            graph.call_function(function, (output.all_input_nodes, how, *map(graph.get_attr, scaler.fitted))),
        )
    graph.set_codegen(fx.graph.CodeGen())
    module.recompile()
    return module


def changes_memory(node: fx.Node) -> bool:
    """Return whether a node must stay though nothing reads its result."""
    schema = getattr(node.target, "_schema", None)
    return node.op in ("placeholder", "output") or (schema is not None and schema.is_mutable)


def save_program(program: ExportedProgram, path: Path) -> None:
    """Write a program; the same bytes for the same program and version of torch.

    It forgets where in the code each operation came from, which would name this machine's folders.
    """
    for node in program.graph.nodes:
        for name in TRACES:
            node.meta.pop(name, None)
    program.example_inputs = None
    buffer = BytesIO()  # a path's name would stand in the file
    with quiet():
        torch.export.save(program, buffer)
    path.write_bytes(buffer.getvalue())


def load_program(path: Path) -> nn.Module:
    """Load a program that `save_program` wrote: (B, 3, S, S) uint8 -> (B, width) float32."""
    with quiet(), weights_only():
        return torch.export.load(path).module()


def load_run(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Load a program as a function of arrays, as `load_onnx` does an ONNX file."""
    program = torch.inference_mode()(load_program(path))
    return lambda pixels: np.asarray(program(torch.from_numpy(pixels)))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence torch's internal warnings during export."""
    logging.disable(logging.WARNING)  # of torch.onnx
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def save_onnx(program: Path, path: Path) -> None:
    """Translate a program that `save_program` wrote: input `pixels`, output `embedding`, any number of images.

    Raises:
        UserError: it holds more than one file can (2 GiB), or an operation that torch cannot translate.
    """
    with explained("model.onnx cannot be made", WITHOUT_ONNX):
        torch.onnx.export(
            torch.export.load(program),
            f=path,
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )


def load_onnx(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Load an ONNX file into onnxruntime, on the CPU: (B, 3, S, S) uint8 -> (B, width) float32."""
    with explained("model.onnx cannot be loaded", WITHOUT_ONNX):
        import onnxruntime  # of the extra

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run([OUTPUT], {INPUT: pixels})[0])
