"""Layers inside the blocks of a plain vision transformer: what its attention and its feed-forward network put out.

Of every block, in order of execution: the attention's output (projected, before it is scaled and added to the block's
input), the feed-forward network's hidden activation (after the non-linearity; where it is gated, the product), and the
block's output.
"""

from collections.abc import Mapping

from torch import nn

from ...shared.runtime.errors import UserError

ATTENTION = ("attn", "self_attention", "self_attn", "attention")
"""What the four libraries call a block's attention."""

FEED_FORWARD = ("mlp", "intermediate")
"""What they call its feed-forward network, or the half of it that ends with the activation."""

ACTIVATION = ("act", "1", "gelu", "activation_fn", "activation", "intermediate_act_fn")
"""What they call the non-linearity in there."""

GATED = {"GluMlp": "drop1", "SwiGLU": "drop1"}
"""timm's gated feed-forward networks, by class, and the module that passes on the product (as it is: evaluation)."""


def with_inside(module: nn.Module, layers: Mapping[str, int | None]) -> dict[str, int | None]:
    """Add to a network's layers those inside its blocks.

    Args:
        module: the network.
        layers: its default layers, of which those that hold attention and a feed-forward network are its blocks.

    Raises:
        UserError: none of them is such a block.
    """
    inside = [path for layer in layers for path in _inside(module.get_submodule(layer), layer)]
    if not inside:
        raise UserError(
            "taps.layers: inside_blocks needs the blocks of a plain vision transformer, each with attention and a "
            f"feed-forward network, among the default layers of {type(module).__name__}, found none; use default, or "
            "name modules: taps: {layers: [module paths]}"
        )
    return dict(layers) | dict.fromkeys(inside)


def _inside(block: nn.Module, path: str) -> list[str]:
    """Return the paths of a block's attention and activation; none if it is no block."""
    children = dict(block.named_children())
    attention = next((name for name in ATTENTION if name in children), None)
    feed_forward = next((name for name in FEED_FORWARD if name in children), None)
    activation = _activation(children[feed_forward]) if feed_forward else None
    if attention is None or activation is None:
        return []
    return [f"{path}.{attention}", f"{path}.{feed_forward}.{activation}"]


def _activation(feed_forward: nn.Module) -> str | None:
    """Return the name of the module whose output is a feed-forward network's activation."""
    children = dict(feed_forward.named_children())
    return GATED.get(type(feed_forward).__name__) or next((name for name in ACTIVATION if name in children), None)
