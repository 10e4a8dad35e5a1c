"""Of a traced network, the part that its output depends on: operations and tensors.

`torch.fx`'s own elimination of dead code keeps every operation that changes a tensor in place, and with it what that
operation reads, also where nobody looks at the tensor afterwards.
"""

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn


def prune(traced: fx.GraphModule, prefix: str) -> fx.GraphModule:
    """Take out of a traced module what its output does not depend on, checks of its input among it.

    Args:
        traced: as `ExportedProgram.module()` gives it.
        prefix: taken off the tensors' names.

    Returns:
        A module that holds the tensors that the rest reads, and no others.
    """
    graph = traced.graph
    kept = needed_nodes(graph)
    for node in reversed(list(graph.nodes)):
        if node not in kept and node.op != "placeholder":
            graph.erase_node(node)
    tensors: dict[str, Any] = {}
    for node in graph.find_nodes(op="get_attr"):
        name = str(node.target).removeprefix(prefix)
        tensors[name] = _attribute(traced, str(node.target))
        node.target = name
    return fx.GraphModule(tensors, graph)


def needed_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Find the nodes that a graph's output depends on, also by way of memory that is changed in place.

    From the end to the start: a node is needed if a needed one reads it, or if it changes memory that is read later.
    """
    memory = _shared_memory(graph)
    needed: set[fx.Node] = set()
    read_later: set[fx.Node] = set()  # each stands for one piece of memory
    for node in reversed(graph.nodes):
        if node.op == "output" or node in needed or any(memory[arg] in read_later for arg in _changed(node)):
            needed |= {node, *node.all_input_nodes}
            read_later |= {memory[arg] for arg in node.all_input_nodes}
    return needed


def _shared_memory(graph: fx.Graph) -> dict[fx.Node, fx.Node]:
    """Map every node to the first node whose memory its result may share: views, and what is changed in place."""
    first: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        sources = {first[arg] for arg in _aliased(node)}
        root = next(iter(sources), node)
        first[node] = root
        if len(sources) > 1:  # the result may share the memory of any
            first |= {other: root for other, its in first.items() if its in sources}
    return first


def _aliased(node: fx.Node) -> list[fx.Node]:
    """List the arguments whose memory a node's result may share."""
    if node.target is operator.getitem:
        return list(node.all_input_nodes)
    return [arg for arg, info in _schema_arguments(node) if info is not None]


def _changed(node: fx.Node) -> list[fx.Node]:
    """List the arguments that a node changes in place."""
    return [arg for arg, info in _schema_arguments(node) if info is not None and info.is_write]


def _schema_arguments(node: fx.Node) -> Iterator[tuple[fx.Node, Any]]:
    """Yield an operation's tensors, each with what its schema says of their memory."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return
    arguments = node.target._schema.arguments
    values = [
        *zip(arguments, node.args, strict=False),
        *((a, node.kwargs[a.name]) for a in arguments if a.name in node.kwargs),
    ]
    for argument, value in values:
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, fx.Node):
                yield each, argument.alias_info


def _attribute(module: nn.Module, path: str) -> Any:
    parent, _, name = path.rpartition(".")
    value = getattr(module.get_submodule(parent), name)
    return value.detach().contiguous() if isinstance(value, Tensor) else value
