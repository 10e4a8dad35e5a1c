"""Which arrays an embedding store holds: every tapped module under every pooling asked for, and the raw pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.embed.params import Pooling
from stages.embed.pooling import Resolved, resolve
from stages.embed.taps.tap import Tap
from stages.shared.embeddings.embedding_store import BASELINE, Layer


@dataclass(frozen=True)
class PooledLayer:
    """One module's output under one pooling, and the array it fills."""

    tap: Tap
    pooling: Resolved
    layer: Layer


def pooled_layers(taps: Sequence[Tap], poolings: Sequence[Pooling]) -> list[PooledLayer]:
    """List every layer under every pooling, in order of depth.

    The first pooling keeps the module's path as its name; a further one that differs from it is `<path>@<pooling>`.
    """
    pooled = []
    for tap in taps:
        for number, pooling in enumerate(dict.fromkeys(resolve(tap, p) for p in poolings)):
            name = tap.path if number == 0 else f"{tap.path}@{pooling}"
            layer = Layer(name, tap.path, tap.depth, pooling, tap.width, tap.parameters, tap.operations)
            pooled.append(PooledLayer(tap, pooling, layer))
    return pooled


def baseline_layers(size: int) -> list[Layer]:
    """List the raw-pixel baseline, images reduced to size x size x 3, as the layer at depth -1; none if size is 0."""
    return [Layer(BASELINE, "", -1, "none", size * size * 3, 0, 0)] if size else []
