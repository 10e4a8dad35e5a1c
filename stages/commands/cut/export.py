"""A network up to one layer as a program of its own, by torch.export: any network whose layers embed can hook.

The whole network is traced with embed's own hook and pooling. What the embedding does not depend on is then taken out,
operations and tensors, which torch.export alone would keep; what is left is exported.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from stages.commands.cut.prune import prune
from stages.embed.hooks import LayerEmbeddings
from stages.embed.layers import PooledLayer
from stages.shared.networks.network import Network
from stages.shared.networks.weights_only import weights_only
from stages.shared.runtime.errors import UserError

EXAMPLES = 2
"""Images in the traced batch: with one, programs are specialized to one (pytorch#133653)."""

TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
"""What torch.export notes of the code that a node comes from: paths of this machine, and names of classes."""


class UpToLayer(nn.Module):
    """From packed images to one layer's embedding, as the embed stage computes it.

    Args:
        network: in evaluation mode, on the CPU.
        layer: which module's output, and how it becomes a vector.
    """

    def __init__(self, network: Network, layer: PooledLayer) -> None:
        super().__init__()
        self.network = network.module  # so that its tensors are this module's
        self._parts = (network, layer)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) uint8, RGB -> (B, width) float32."""
        network, layer = self._parts
        with LayerEmbeddings(network, [layer], logits=False) as embed:
            return embed(network.transform.evaluation(pixels.permute(0, 2, 3, 1)))[layer.layer.name]


def export_layer(network: Network, layer: PooledLayer, image_size: int) -> ExportedProgram:
    """Export a network up to one layer, with the transform before it and the pooling after it, for batches of any size.

    Args:
        network: in evaluation mode, on the CPU.
        layer: where it is cut.
        image_size: height and width S in pixels of the images that go in.

    Returns:
        A program whose state holds the tensors that the layer depends on and no others, by the network's own names.

    Raises:
        UserError: torch.export cannot trace the network.
    """
    images = torch.zeros(EXAMPLES, 3, image_size, image_size, dtype=torch.uint8)
    what = f"layer {layer.layer.name!r}"
    whole = _trace(UpToLayer(network, layer).eval(), images, what)
    return without_traces(_trace(prune(whole.module(), "network."), images, what))


def without_traces(program: ExportedProgram) -> ExportedProgram:
    """Take `TRACES` out of a program, in place."""
    for node in program.graph.nodes:
        for name in TRACES:
            node.meta.pop(name, None)
    return program


def _trace(module: nn.Module, images: Tensor, what: str) -> ExportedProgram:
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(module, (images,), dynamic_shapes=({0: Dim("batch")},), strict=False)
    except Exception as error:  # torch.export raises anything that a network's code does
        raise UserError(
            f"{what} cannot be exported by torch {torch.__version__}: {type(error).__name__}: {first_line(error)}; "
            "try another layer, or other versions of torch and of the network's library"
        ) from error


def save_program(program: ExportedProgram, path: Path) -> None:
    """Write a program; the same bytes for the same program and version of torch."""
    program.example_inputs = None
    buffer = BytesIO()  # a path's name would stand in the file
    with quiet():
        torch.export.save(program, buffer)
    path.write_bytes(buffer.getvalue())


def load_program(path: Path) -> nn.Module:
    """Load a program that `save_program` wrote: (B, 3, S, S) uint8 -> (B, width) float32."""
    with quiet(), weights_only():
        return torch.export.load(path).module()


def first_line(error: Exception) -> str:
    """Shorten what a library raised."""
    return next(iter(str(error).strip().splitlines()), "")[:300]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's warnings of its own code from who cuts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
