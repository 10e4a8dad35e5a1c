from itertools import product

import numpy as np
import pytest
import torch

from stages.embed.embedder import PoolingKind, pool, pooled_layers, pooling_kind
from stages.embed.params import Pooling
from stages.embed.taps.tap import Layout, Tap

B, D, H, W, T = 3, 5, 4, 2, 9
SHAPES: dict[Layout, tuple[int, ...]] = {
    "vector": (B, D), "nchw": (B, D, H, W), "nhwc": (B, H, W, D), "tokens": (B, T, D),
}  # fmt: skip


def tap(layout: Layout, *, class_token: bool = False, prefix_tokens: int = 0) -> Tap:
    return Tap("layer", 0, layout, class_token, prefix_tokens, D, 100, 1000)


def output(layout: Layout) -> torch.Tensor:
    return torch.randn(SHAPES[layout], generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("pooling", "vector", "nchw", "nhwc", "tokens", "class_token"),
    [
        ("auto", "none", "mean", "mean", "mean", "class_token"),
        ("mean", "none", "mean", "mean", "mean", "mean"),
        ("max", "none", "max", "max", "max", "max"),
        ("gem", "none", "gem", "gem", "gem", "gem"),
        ("cls+mean", "none", "mean", "mean", "mean", "cls_mean"),
        ("token0", "none", "token0", "token0", "token0", "class_token"),
        ("paper", "none", "mean", "token0", "token0", "class_token"),
    ],
)
def test_what_a_pooling_means_depends_on_the_layer(
    pooling: Pooling, vector: str, nchw: str, nhwc: str, tokens: str, class_token: str
):
    taps = [tap("vector"), tap("nchw"), tap("nhwc"), tap("tokens"), tap("tokens", class_token=True, prefix_tokens=1)]
    assert [pooling_kind(t, pooling) for t in taps] == [vector, nchw, nhwc, tokens, class_token]


def reference(x: np.ndarray, layer: Tap, pooling: PoolingKind) -> np.ndarray:
    """Image by image, position by position."""
    vectors = []
    for image in x:
        if layer.layout == "vector":
            vectors.append(image)
            continue
        if layer.layout == "nchw":
            positions = [image[:, i, j] for i, j in product(range(H), range(W))]
        elif layer.layout == "nhwc":
            positions = [image[i, j] for i, j in product(range(H), range(W))]
        else:
            positions = list(image)
        patches = positions[layer.prefix_tokens :]
        first = {"token0": positions[0], "class_token": positions[0]}
        mean = sum(patches) / len(patches)
        gem = (sum(np.maximum(patch, 1e-6) ** 3 for patch in patches) / len(patches)) ** (1 / 3)
        both = np.concatenate([positions[0], mean])
        others = {"mean": mean, "max": np.maximum.reduce(patches), "gem": gem, "cls_mean": both}
        vectors.append({**first, **others}[pooling])
    return np.stack(vectors)


@pytest.mark.parametrize("pooling", ["mean", "max", "gem", "token0", "class_token"])
@pytest.mark.parametrize(("layout", "prefix"), [("nchw", 0), ("nhwc", 0), ("tokens", 0), ("tokens", 1), ("tokens", 5)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_pooling_equals_a_loop_over_positions(layout: Layout, prefix: int, pooling: PoolingKind, channels_last: bool):
    layer = tap(layout, class_token=prefix > 0, prefix_tokens=prefix)
    x = output(layout)
    if channels_last and layout == "nchw":
        x = x.contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(
        pool(x, layer, pooling).numpy(), reference(x.numpy(), layer, pooling), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("prefix", [1, 5])
def test_the_class_token_stands_beside_the_mean(prefix: int):
    layer = tap("tokens", class_token=True, prefix_tokens=prefix)
    found = pool(output("tokens"), layer, "cls_mean").numpy()
    assert found.shape == (B, 2 * D)
    np.testing.assert_allclose(found, reference(output("tokens").numpy(), layer, "cls_mean"), rtol=1e-5, atol=1e-6)
    [pooled] = pooled_layers([layer], ["cls+mean"])
    assert pooled.layer.width == 2 * D


def test_a_vector_is_taken_as_it_is():
    assert torch.equal(pool(output("vector"), tap("vector"), "none"), output("vector"))


@pytest.mark.parametrize(
    ("layout", "pooling"),
    [("vector", "none"), ("tokens", "token0"), ("nchw", "token0"), ("nchw", "mean"), ("nhwc", "max")],
)
def test_a_later_change_in_place_does_not_reach_the_embedding(layout: Layout, pooling: PoolingKind):
    x = output(layout)
    pooled = pool(x, tap(layout), pooling)
    kept = pooled.clone()
    x.zero_()
    assert torch.equal(pooled, kept)
    assert pooled.untyped_storage().nbytes() == B * D * 4  # no unpooled output is kept alive


@pytest.mark.parametrize("pooling", ["mean", "max", "token0"])
def test_half_precision_outputs_become_float32_and_are_averaged_in_it(pooling: PoolingKind):
    x = (output("nchw") + 1000).half()
    pooled = pool(x, tap("nchw"), pooling)
    assert pooled.dtype == torch.float32
    np.testing.assert_allclose(pooled.numpy(), reference(x.float().numpy(), tap("nchw"), pooling), rtol=1e-6)
