"""A layer as a program of its own: what it gives, and that it holds what the layer depends on, and nothing else."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.commands.cut import export
from stages.commands.cut.export import (
    export_layer,
    load_onnx,
    load_program,
    prune,
    save_onnx,
    save_program,
)
from stages.commands.cut.source import Scaler
from stages.commands.project import ROOT
from stages.embed.embedder import Embedder, PooledLayer, layer_embeddings
from stages.embed.params import TapsParams
from stages.embed.taps.tap import Tap
from stages.shared.embeddings.embeddings import Layer
from stages.shared.networks.device import Compute
from stages.shared.networks.network import Network
from stages.shared.networks.transforms import Transform
from stages.shared.runtime.errors import UserError
from tests.commands.cut.networks import MORE, NETWORKS, build

onnx = pytest.importorskip("onnx", reason="needs whichlayer[export]")

EVERY = bool(os.environ.get("WHICHLAYER_EVERY_EXPORT"))
"""Further networks, and every layer that is tried as an ONNX file, too: a quarter of an hour on an idle CPU."""

S = 32
LITE0 = ("timm", "tf_efficientnet_lite0", 48, None)
ALL_NETWORKS = {"timm-efficientnet_lite0": LITE0, **NETWORKS, **(MORE if EVERY else {})}
MIDDLE = 1000
"""Stands for half of the number of layers."""

WITH_ONNX = {"timm-swin", "torchvision-cnn", "open_clip-vit", "transformers-cvt"}
"""At the middle layer: each library, a CNN, hierarchical and plain transformers, and a mixture of both."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def built(name: str) -> tuple[Network, list[PooledLayer]]:
    return build(*ALL_NETWORKS[name])


def layers_to_try() -> Iterator[tuple[str, int]]:
    yield from (("timm-efficientnet_lite0", number) for number in range(9))
    yield from ((name, place) for name in ALL_NETWORKS for place in (0, MIDDLE, -1) if ALL_NETWORKS[name] != LITE0)


def images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, S, S), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


def expected(network: Network, layer: PooledLayer, pixels: Tensor) -> Tensor:
    """What embed gives."""
    with torch.inference_mode(), layer_embeddings(network, [layer], logits=False) as embed:
        return embed(network.transform.evaluation(pixels.permute(0, 2, 3, 1)))[layer.layer.name]


def needed(network: Network, layer: PooledLayer) -> set[str]:
    """The parameters to which the embedding has a gradient: found without looking at a graph."""
    parameters = dict(network.module.named_parameters())
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    with layer_embeddings(network, [layer], logits=False) as embed:
        embed(network.transform.evaluation(images(2).permute(0, 2, 3, 1)))[layer.layer.name].sum().backward()
    found = {name for name, parameter in parameters.items() if parameter.grad is not None}
    for parameter in parameters.values():
        parameter.grad = None
        parameter.requires_grad_(False)
    return found


def check(name: str, number: int, folder: Path, *, with_onnx: bool) -> None:
    network, layers = built(name)
    check_layer(network, layers[len(layers) // 2 if number == MIDDLE else number], folder, with_onnx=with_onnx)


def check_layer(network: Network, layer: PooledLayer, folder: Path, *, with_onnx: bool) -> None:
    program, state = export_layer(network, [layer], S, Scaler())
    save_program(program, folder / "model.pt2")
    loaded = load_program(folder / "model.pt2")
    parameters = {n for n, _ in network.module.named_parameters()}
    assert set(state) & parameters == needed(network, layer)
    below = {n.rpartition(".")[0] for n in set(state) & parameters}
    buffers = {n for n, _ in network.module.named_buffers()} & set(state)
    assert all(n.rpartition(".")[0] in below or not n.endswith(("running_mean", "running_var")) for n in buffers)
    runs = {"pt2": lambda pixels: loaded(pixels).numpy()}
    if with_onnx:
        save_onnx(folder / "model.pt2", folder / "model.onnx")
        names = {tensor.name for tensor in onnx.load(folder / "model.onnx").graph.initializer}
        assert not names & (set(network.module.state_dict()) - set(state))
        session = load_onnx(folder / "model.onnx")
        runs["onnx"] = lambda pixels: session(pixels.numpy())
    for count in (1, 2, 7):
        wanted = expected(network, layer, images(count)).numpy()
        for run in runs.values():
            with torch.inference_mode():
                found = run(images(count))
            assert found.shape == (count, layer.layer.width)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * float(np.sqrt((wanted**2).mean())))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, marks=() if name in WITH_ONNX and number == MIDDLE else pytest.mark.long)
        for name, number in layers_to_try()
    ],
)
def test_a_layer_of_any_network_is_exported_with_what_it_needs(name: str, number: int, tmp_path: Path):
    middle = number == MIDDLE and name in WITH_ONNX
    check(name, number, tmp_path, with_onnx=EVERY or middle or (name, number) == ("timm-efficientnet_lite0", 4))


VITS = ("timm-vit", "open_clip-vit", "transformers-vit", *(("torchvision-vit", "timm-dinov2") if EVERY else ()))


@pytest.mark.slow
@pytest.mark.parametrize("name", VITS)
def test_a_layer_inside_a_block_is_cut_off_before_the_rest_of_the_block(name: str, tmp_path: Path):
    network, layers = build(*ALL_NETWORKS[name], taps=TapsParams(layers="inside_blocks"))
    block = [layer for layer in layers if layer.layer.depth // 3 == 1]  # of the second: attention, activation, output
    attention, activation, output = block
    assert attention.layer.parameters < activation.layer.parameters < output.layer.parameters
    for layer in block[:2]:
        (folder := tmp_path / layer.layer.name).mkdir()
        check_layer(network, layer, folder, with_onnx=EVERY)


class Branches(nn.Module):
    """A stem whose output the next module overwrites; branches beside it that nothing needs; then more."""

    def __init__(self, rest: nn.Module) -> None:
        super().__init__()
        self.beside, self.stem = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.act, self.rest = nn.ReLU(inplace=True), rest
        self.register_buffer("unread", torch.zeros(5))

    def forward(self, images: Tensor) -> Tensor:
        self.beside(images)
        stem = self.stem(images)
        self.beside(images).add_(1)
        return self.rest(self.act(stem).mean((2, 3)))


def branches(rest: nn.Module, path: str = "stem") -> tuple[Network, PooledLayer]:
    module = Branches(rest).eval()
    layout, pooling, width = ("nchw", "mean", 4) if path == "stem" else ("vector", "none", 3)
    tap = Tap(path, 0, layout, False, 0, width, 112, 0)  # type: ignore[arg-type]
    network = Network(module, ("rest",), Transform(16, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), False))
    return network, PooledLayer(tap, pooling, Layer(path, path, 0, pooling, width, 112, 0))  # type: ignore[arg-type]


def test_a_layer_is_what_it_was_before_it_is_overwritten_and_nothing_beside_it_is_kept(tmp_path: Path):
    network, layer = branches(nn.Linear(4, 3))
    nn.init.constant_(network.module.get_submodule("stem").bias, -2.0)  # type: ignore[arg-type]
    save_program(export_layer(network, [layer], S, Scaler())[0], tmp_path / "model.pt2")
    loaded = load_program(tmp_path / "model.pt2")
    assert {name for name in loaded.state_dict() if "lifted" not in name} == {"stem.weight", "stem.bias"}
    found = loaded(images(7))
    torch.testing.assert_close(found, expected(network, layer, images(7)))
    assert (found < 0).any()


class PicksByContent(nn.Linear):
    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values) if values.sum() > 0 else -super().forward(values)


class OfTwoImages(nn.Linear):
    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values.reshape(2, 4))


@pytest.mark.parametrize("rest", [PicksByContent(4, 3), OfTwoImages(4, 3)])
def test_what_cannot_be_exported_for_any_batch_is_named(rest: nn.Module):
    network, layer = branches(rest, "rest")
    with pytest.raises(
        UserError, match=r"layer 'rest' cannot be exported by torch .*; try another layer, or a different"
    ):
        export_layer(network, [layer], S, Scaler())


@pytest.mark.parametrize("kind", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_file_is_the_same_bytes_and_names_nothing_of_this_machine(tmp_path: Path, kind: str):
    network, layer = branches(nn.Linear(4, 3))
    for name in ("one", "another"):
        save_program(export_layer(network, [layer], S, Scaler())[0], tmp_path / f"{name}.pt2")
        if kind == "onnx":
            save_onnx(tmp_path / f"{name}.pt2", tmp_path / f"{name}.onnx")
    content = (tmp_path / f"one.{kind}").read_bytes()
    assert content == (tmp_path / f"another.{kind}").read_bytes()
    assert b"stem.weight" in content
    for path in (ROOT, Path(torch.__file__).parent, tmp_path, "test_export"):
        assert str(path).encode() not in content


class Norms(nn.Module):
    """Batch normalizations after a convolution that only they read, after one read twice, and after none."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4, affine=number != 1) for number in range(3)])
        for norm in self.norms:
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_mean, 0.5, 2)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        twice = self.twice(self.norms[0](self.stem(images)).relu_())
        return self.norms[2](self.norms[1](twice) + twice)


def test_norms_are_folded_as_in_the_library():
    torch.manual_seed(0)
    module = Norms().eval()
    tap = Tap("norms.2", 0, "nchw", False, 0, 4, 112, 0)
    layer = PooledLayer(tap, "mean", Layer("norms.2", "norms.2", 0, "mean", 4, 112, 0))
    network = Network(module, (), Transform(16, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), False))
    program, tensors = export_layer(network, [layer], 16, Scaler())
    calls = [getattr(node.target, "overloadpacket", None) for node in program.graph.nodes]
    assert (calls.count(torch.ops.aten.conv2d), calls.count(torch.ops.aten.batch_norm)) == (2, 2)
    kept, own = {name for name in tensors if "lifted" not in name}, module.state_dict()
    assert kept == {name for name in own if "num_batches" not in name}
    assert all(torch.equal(tensors[name], own[name]) for name in kept)
    assert not {"stem.weight", "norms.0.weight"} & {*program.state_dict}
    pixels = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    embedder = Embedder(network, [layer], logits=False, rotation=None, compute=Compute(torch.device("cpu"), "no"))
    with embedder.running() as embed, torch.inference_mode():
        wanted = embed(np.arange(5), pixels.permute(0, 2, 3, 1).numpy())["norms.2"]
        found = program.module()(pixels).numpy()
    assert np.array_equal(found, wanted)
    assert not np.array_equal(found, expected(network, layer, pixels).numpy())


NUMBERS = torch.arange(6.0).reshape(2, 3)


def kept(function: Callable[[Tensor], Tensor]) -> list[str]:
    """Export a function of one tensor, and name the operations that its result depends on."""

    class Module(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    with export.quiet():
        pruned = prune(torch.export.export(Module(), (NUMBERS,)).module(), "")
    torch.testing.assert_close(pruned(NUMBERS), function(NUMBERS))
    calls = [node.target for node in pruned.graph.nodes if node.op == "call_function"]
    return [getattr(target, "overloadpacket", target).__name__ for target in calls]


def test_what_changes_memory_stays_where_it_is_read_later_and_goes_where_it_was_read_before():
    def function(x: Tensor) -> Tensor:
        x.cos()
        y = x * 2
        y.exp_()
        z = y + 1
        y.sin_()
        return z

    assert kept(function) == ["mul", "exp_", "add"]


def test_a_change_through_a_view_or_one_of_several_parts_stays():
    def viewed(x: Tensor) -> Tensor:
        y = x * 2
        row = y.view(3, 2)[0]
        row.exp_()
        return y + 1

    def split(x: Tensor) -> Tensor:
        y = x * 2
        left, right = y.split([1, 2], dim=1)
        right.exp_()
        return left.neg() + y.sum()

    assert "exp_" in kept(viewed)
    assert kept(split).count("exp_") == 1
