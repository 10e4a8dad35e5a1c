"""What is known of one tapped layer."""

from dataclasses import dataclass
from typing import Literal

Layout = Literal["vector", "nchw", "nhwc", "tokens"]


@dataclass(frozen=True)
class Tap:
    """One module whose output is a layer.

    Attributes:
        path: the module's path in the network's tree.
        depth: 0 at the input side, in order of execution.
        layout: `vector` (B, D), `nchw` (B, D, H, W), `nhwc` (B, H, W, D) or `tokens` (B, T, D).
        class_token: whether token 0 is a class token here.
        prefix_tokens: class and register tokens before the patch tokens.
        width: number of features D.
        parameters: parameters of the network used up to and including this layer.
        operations: multiply-adds of one image up to and including this layer.
        item: where the module returns a tuple or mapping, the index of the layer's tensor in it.
    """

    path: str
    depth: int
    layout: Layout
    class_token: bool
    prefix_tokens: int
    width: int
    parameters: int
    operations: int
    item: int | None = None
