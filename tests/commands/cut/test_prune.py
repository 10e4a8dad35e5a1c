"""Which operations an output depends on, where memory is shared and changed in place."""

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from stages.commands.cut.prune import needed_nodes

IMAGES = torch.arange(6.0).reshape(2, 3)


def kept(function: object) -> list[str]:
    """Trace a function of one tensor, as torch.export does, and name the operations that are needed."""
    traced: fx.GraphModule = make_fx(function)(IMAGES)  # type: ignore[arg-type]
    needed = needed_nodes(traced.graph)
    calls = [node for node in traced.graph.nodes if node in needed and node.op == "call_function"]
    return [getattr(node.target, "overloadpacket", node.target).__name__ for node in calls]


def test_a_branch_that_nothing_reads_goes_though_it_changes_its_own_memory():
    def function(x: Tensor) -> Tensor:
        y = x * 2
        y.exp_()
        return x + 1

    assert kept(function) == ["add"]


def test_what_changes_memory_stays_where_it_is_read_later_and_goes_where_it_was_read_before():
    def function(x: Tensor) -> Tensor:
        y = x * 2
        y.exp_()
        z = y + 1
        y.sin_()
        return z

    assert kept(function) == ["mul", "exp_", "add"]


def test_a_change_through_a_view_stays():
    def function(x: Tensor) -> Tensor:
        y = x * 2
        row = y.view(3, 2)[0]
        row.exp_()
        return y + 1

    assert kept(function) == ["mul", "view", "select", "exp_", "add"]


def test_a_change_through_one_of_several_parts_stays():
    def function(x: Tensor) -> Tensor:
        y = x * 2
        left, right = y.split([1, 2], dim=1)
        right.exp_()
        return left.neg() + y.sum()

    names = kept(function)
    assert names.count("exp_") == 1
    assert "split_with_sizes" in names
