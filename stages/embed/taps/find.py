"""Which modules of a network are its layers, and how each one's output is laid out."""

from torch import nn

from ...shared.networks.network import Network
from ...shared.networks.params import NetworkParams
from ...shared.networks.weights import in_head
from ...shared.runtime.errors import UserError, did_you_mean, prefix_errors
from ..params import TapsParams
from .inside_blocks import with_inside
from .libraries import LIBRARIES, Library
from .tap import (
    BATCH,
    Tap,
    Trace,
    count_parameters,
    find_layout,
    has_class_token,
    is_layer,
    known_prefix,
    prefix_at,
    tensors,
    trace_forward,
)


def find_taps(network: Network, params: NetworkParams, taps: TapsParams, library: Library | None = None) -> list[Tap]:
    """Find a network's layers by one traced forward pass, in order of execution.

    Args:
        network: built from `params`; it may be on the meta device.
        params: the `network` part of a model's entry.
        taps: the other part.
        library: what knows its default layers; by default that of `params`.

    Raises:
        UserError: a module path is not in the network, or its output is no layer.
    """
    module, library = network.module, library or LIBRARIES[params.library]
    if isinstance(taps.layers, list):
        _check_paths(network, params, taps.layers)
    trace = trace_forward(module, params.image_size, **library.FORWARD)
    layers = dict.fromkeys(taps.layers) if isinstance(taps.layers, list) else library.default_layers(module, trace)
    if taps.layers == "inside_blocks" and layers:
        layers = with_inside(module, layers)
    if not layers:
        raise UserError(f"{params.library} does not say what the layers of {params.name} are; {REMEDY}")
    for path in layers:
        if (runs := trace.runs.get(path, 0)) != 1:
            raise UserError(
                f"taps.layers: {path} must run once in a forward pass, runs {runs} times "
                f"(a container of modules often never runs by itself); {REMEDY}"
            )
    ordered = sorted(layers, key=lambda path: trace.ended[path])
    return [_tap(module, trace, path, depth, layers[path], library) for depth, path in enumerate(ordered)]


REMEDY = "list them: taps: {layers: [module paths]}"


def _check_paths(network: Network, params: NetworkParams, paths: list[str]) -> None:
    module_paths = {path for path, _ in network.module.named_modules() if path}
    for path in paths:
        if path not in module_paths:
            raise UserError(f"taps.layers: {path!r} is not a module of the network: {did_you_mean(path, module_paths)}")

        if params.frozen and any(in_head(path, [prefix]) or in_head(prefix, [path]) for prefix in network.head):
            raise UserError(
                f"taps.layers: {path!r} is or holds the classification head ({', '.join(network.head)}), which a "
                "frozen network does not have; remove it, or set network.frozen: false"
            )


def _tap(module: nn.Module, trace: Trace, path: str, depth: int, item: int | None, library: Library) -> Tap:
    """Describe one layer: of several tensors that a module returns, the given one or the first that can be a layer."""
    candidates = {index: tensor for index, tensor in tensors(trace.outputs[path]) if is_layer(tensor)}
    if not candidates or (item is not None and item not in candidates):
        shapes = [tuple(tensor.shape) for _, tensor in tensors(trace.outputs[path])]
        raise UserError(
            f"taps.layers: the output of {path} for B = {BATCH} images must be (B, D), (B, T, D), (B, D, H, W) or "
            f"(B, H, W, D), found {shapes}; choose another module"
        )
    index = item if item is not None else next(iter(candidates))
    output = candidates[index]
    layout = find_layout(output, channels_last=library.channels_last(module))
    with prefix_errors(f"taps.layers: {path}"):
        prefix = prefix_at(output.shape[1], known_prefix(module)) if layout == "tokens" else 0
    return Tap(
        path=path,
        depth=depth,
        layout=layout,
        class_token=prefix > 0 and has_class_token(module),
        prefix_tokens=prefix,
        width=output.shape[1] if layout in ("vector", "nchw") else output.shape[-1],
        parameters=count_parameters(module, trace, path),
        operations=trace.operations[path],
        item=index,
    )
