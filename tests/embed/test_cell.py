from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from torch import nn

from stages.embed import cell, embedder
from stages.embed.embedder import layer_embeddings, pooled_layers
from stages.embed.image_sets import sample_rows
from stages.embed.loading import checked_checkpoints
from stages.embed.params import EmbedParams, TapsParams
from stages.embed.taps.tap import Tap
from stages.shared.embeddings.embedding_store import Embeddings, open_embeddings
from stages.shared.images.image_store import SPLITS, PackedImages
from stages.shared.networks.network import Network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.transforms import Transform
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.runtime.errors import UserError
from tests.packed import SEEN, pack

SIZE, SEED = 16, 3
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)
NETWORK = NetworkParams(library="timm", name="tiny", weights={"source": "none"}, image_size=SIZE)  # type: ignore[arg-type]
AUGMENT = {"degrees": 30.0, "padding": 20}
TAPS = [
    Tap("stem", 0, "nchw", False, 0, 4, 112, 112),
    Tap("stages.0", 1, "nchw", False, 0, 6, 334, 334),
    Tap("head", 2, "vector", False, 0, 3, 355, 355),
]
VALUES = {
    "splits": ["test", "unseen"], "pooling": ["auto", "max"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 5, "train_per_class": 0,
}  # fmt: skip
LAST = {"train_per_class": 5}


class Tiny(nn.Module):
    """Counts the images that pass; its activation overwrites the stem's output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2)
        self.act = nn.ReLU(inplace=True)
        self.stages = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)
        self.images = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.images += int(x.flatten(1).any(1).sum())  # not the blank one by which what can be folded is found
        return self.head(self.drop(self.stages(self.act(self.stem(x))).mean((2, 3))))


def tiny(seed: int = 0) -> Tiny:
    torch.manual_seed(seed)
    return Tiny()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return pack(tmp_path_factory.mktemp("packed") / "d", size=20)


@pytest.fixture
def run(tmp_path: Path, images: PackedImages, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Embeddings]:
    """Embed the images by networks of the given weights; the network that did it is `run.network`."""

    def embed(*modules: nn.Module, out: str = "e", **changes: Any) -> Embeddings:
        weights = tmp_path / f"weights_{out}"
        for step, module in enumerate(modules):
            info = CheckpointInfo(step * 50, SEEN, NETWORK.model_dump(), AUGMENT)
            write_checkpoint(weights, module.state_dict(), info)
        finish_checkpoints(weights, ("trees", "tiny", "0", SEED))
        network = Network(tiny(99).eval(), ("head",), Transform(SIZE, MEAN, STD, True))
        monkeypatch.setattr(embedder, "build_network", lambda *_, **__: network)
        monkeypatch.setattr(embedder, "find_taps", lambda *_: TAPS)
        params = EmbedParams.model_validate({**VALUES, **changes})
        names = {
            "dataset": "trees",
            "model": "tiny",
            "fold": "0",
            "seed": SEED,
            "made_with": {"embed": {"timm": "1.0"}},
        }
        work = cell.open_cell(images, checked_checkpoints(weights, images), TapsParams(), params, seed=SEED)
        assert work.write(tmp_path / out, names) == len(work.embedder.layers) + (params.baseline_size > 0)
        embed.network = network  # type: ignore[attr-defined]
        return open_embeddings(tmp_path / out)

    return embed


def expected(module: Tiny, images: PackedImages, split: str) -> dict[str, np.ndarray]:
    return expected_of(module, images.read(images.rows(split)))


def expected_of(module: Tiny, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Layer by layer, without hooks, all images at once."""
    inputs = Transform(SIZE, MEAN, STD, False).evaluation(torch.from_numpy(pixels))
    with torch.no_grad():
        stem = module.stem(inputs)
        block = module.stages(stem.relu())
        logits = module.head(block.mean((2, 3)))
    found = {"stem": stem.mean((2, 3)), "stem@max": stem.amax((2, 3)), "head": logits}
    found |= {"stages.0": block.mean((2, 3)), "stages.0@max": block.amax((2, 3))}
    return {name: tensor.numpy() for name, tensor in found.items()}


def test_every_layer_at_every_checkpoint_equals_a_computation_without_hooks(
    run: Callable[..., Embeddings], images: PackedImages
):
    modules = [tiny(1), tiny(2)]
    store = run(*modules)
    assert [layer.name for layer in store.layers] == ["pixels", "stem", "stem@max", "stages.0", "stages.0@max", "head"]
    assert [layer.depth for layer in store.layers] == [-1, 0, 0, 1, 1, 2]
    assert store.steps == (0, 50)
    for step, module in zip(store.steps, modules, strict=True):
        for split in ("test", "unseen"):
            values = expected(module, images, split)
            for layer in store.layers[1:]:
                np.testing.assert_allclose(store.features(layer, step, split), values[layer.name], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(store.logits(step, split), values["head"], rtol=1e-4, atol=1e-5)


def test_samples_are_the_splits_asked_for_and_nothing_else(run: Callable[..., Embeddings], images: PackedImages):
    store = run(tiny(), splits=["unseen"])
    assert store.samples.sample_id.tolist() == images.manifest.sample_id[images.rows("unseen")].tolist()
    assert store.splits == ("unseen",)
    assert store.classes == SEEN
    both = run(tiny(), splits=["unseen", "test"], out="both")
    np.testing.assert_array_equal(
        both.features(both.layers[1], 0, "unseen"), store.features(store.layers[1], 0, "unseen")
    )


def test_each_image_passes_once_per_checkpoint_whatever_the_number_of_layers(run: Callable[..., Embeddings]):
    run(tiny(1), tiny(2), pooling=["auto", "max", "token0"], batch_size=11)
    assert run.network.module.images == 2 * (12 + 10)  # type: ignore[attr-defined]


def test_the_batch_size_does_not_matter(run: Callable[..., Embeddings]):
    small, large = run(tiny(), batch_size=3), run(tiny(), out="large", batch_size=100)
    for layer in small.layers:
        np.testing.assert_allclose(
            small.features(layer, 0, "test"), large.features(layer, 0, "test"), rtol=1e-5, atol=1e-6
        )


def test_the_baseline_is_the_images_themselves_reduced(run: Callable[..., Embeddings], images: PackedImages):
    pixels = images.read(images.rows("test")).astype(np.float32) / 255
    whole = run(tiny(), baseline_size=20, out="whole")
    np.testing.assert_allclose(whole.features(whole.layers[0], 0, "test"), pixels.reshape(12, -1), atol=1e-6)
    one = run(tiny(), baseline_size=1, out="one")
    weights = (
        1 - np.abs(np.arange(20) + 0.5 - 10) / 20
    )  # antialiased: a triangle as wide as a pixel of the result, twice
    weights /= weights.sum()
    reduced = np.einsum("nhwc,h,w->nc", pixels, weights, weights)
    np.testing.assert_allclose(one.features(one.layers[0], 0, "test"), reduced, atol=1e-5)
    assert "pixels" not in [layer.name for layer in run(tiny(), baseline_size=0, out="none").layers]


def test_rotations_differ_between_images_and_are_the_same_at_every_checkpoint(
    run: Callable[..., Embeddings], images: PackedImages
):
    plain, turned = run(tiny(1), out="plain"), run(tiny(1), tiny(1), augment=True)
    stem = turned.layers[1]
    np.testing.assert_array_equal(turned.features(stem, 0, "unseen"), turned.features(stem, 50, "unseen"))
    angles = embedder.draw_rotation(images, AUGMENT, SEED).angles
    moved = np.abs(turned.features(stem, 0, "test") - plain.features(stem, 0, "test")).max(axis=1) > 1e-4
    large = angles[images.rows("test")].abs().numpy() > 5  # less may not reach the next pixel
    assert moved[large].all()
    assert large.sum() > len(large) / 2
    alone = run(tiny(1), augment=True, splits=["unseen"], batch_size=4, out="alone")
    np.testing.assert_allclose(
        alone.features(stem, 0, "unseen"), turned.features(stem, 0, "unseen"), rtol=1e-5, atol=1e-6
    )
    assert len(angles.unique()) == len(images.manifest)
    assert 25 < angles.abs().max() <= 30


def test_images_that_the_fold_does_not_use_are_not_turned_and_take_no_draw(images: PackedImages):
    used = np.arange(len(images.manifest)) % 3 > 0
    fold = replace(images, manifest=images.manifest.assign(split=images.manifest["split"].where(used, "")))
    angles = embedder.draw_rotation(fold, AUGMENT, SEED).angles
    assert (angles[torch.from_numpy(~used)] == 0).all()
    whole, rows = embedder.draw_rotation(images, AUGMENT, SEED).angles, images.rows(*SPLITS)
    np.testing.assert_array_equal(angles[fold.rows(*SPLITS)], whole[rows][: used.sum()])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_diverged_is_named_with_layer_and_step(run: Callable[..., Embeddings], bad: float):
    diverged = tiny(2)
    diverged.stages[0].bias.data[4] = bad
    with pytest.raises(
        UserError, match=r"layer 'stages.0' at step 50 must be finite, found NaN or infinity in 5 of 5 images"
    ):
        run(tiny(1), diverged)


def test_a_layer_that_overflows_float16_is_an_error_with_its_remedy(run: Callable[..., Embeddings], tmp_path: Path):
    large = tiny(1)
    large.stem.bias.data[:] = 1e5
    large.stages[0].weight.data.mul_(1e-6)
    run(large)
    with pytest.raises(UserError, match=r"layer 'stem' at step 0 .* 5 of 5 .*embed\.dtype float16 \(use float32\)"):
        run(large, dtype="float16", out="half")
    with pytest.raises(UserError, match="the embed stage did not finish"):
        open_embeddings(tmp_path / "half")


def write_weights(folder: Path, *infos: CheckpointInfo) -> Path:
    for info in infos:
        write_checkpoint(folder, tiny().state_dict(), info)
    finish_checkpoints(folder, ("trees", "tiny", "0", SEED))
    return folder


def test_network_and_steps_are_those_of_the_checkpoints(tmp_path: Path, images: PackedImages):
    infos = [CheckpointInfo(step, SEEN, NETWORK.model_dump(), AUGMENT) for step in (0, 500_000, 1_000_000)]
    found = checked_checkpoints(write_weights(tmp_path, *infos), images)
    assert ([*found.paths], found.network, found.last) == ([0, 500_000, 1_000_000], NETWORK, infos[-1])
    (tmp_path / "step_500000.safetensors").rename(tmp_path / "step_000007.safetensors")
    with pytest.raises(UserError, match=r"of each step that names say, found \[0, 500000, 1000000"):
        checked_checkpoints(write_weights(tmp_path), images)


def test_checkpoints_of_several_networks_or_of_other_classes_are_refused(tmp_path: Path, images: PackedImages):
    last, other = CheckpointInfo(9, SEEN, NETWORK.model_dump(), AUGMENT), {**NETWORK.model_dump(), "name": "other"}
    with pytest.raises(UserError, match=r"000000\.safetensors: the checkpoint's network must be .*'tiny'.*'other'"):
        checked_checkpoints(write_weights(tmp_path / "a", replace(last, step=0, network=other), last), images)
    with pytest.raises(UserError, match=r"classes must be \('ash', 'birch', 'cedar'\), found \('ash', 'birch'\)"):
        checked_checkpoints(write_weights(tmp_path / "b", replace(last, classes=SEEN[:2])), images)
    with pytest.raises(UserError, match=r"of a network of this version, found \('old',\): .*; rerun the finetune"):
        checked_checkpoints(write_weights(tmp_path / "c", replace(last, network={**last.network, "old": 1})), images)
    (tmp_path / "d").mkdir()
    with pytest.raises(UserError, match=r"found \[\]; rerun the finetune stage"):
        checked_checkpoints(write_weights(tmp_path / "d"), images)


def test_a_checkpoint_that_does_not_fit_is_named(run: Callable[..., Embeddings]):
    other = tiny()
    other.head = nn.Linear(6, 4)
    with pytest.raises(UserError, match=r"(?s)step_000000\.safetensors: does not fit .*size mismatch for head"):
        run(other)


def test_the_last_step_holds_training_images(run: Callable[..., Embeddings], images: PackedImages, tmp_path: Path):
    first, last = tiny(1), tiny(2)
    store = run(first, last, **LAST)
    inner = store.last_step
    assert inner is not None
    assert (inner.steps, inner.layers, inner.classes) == ((50,), store.layers, store.classes)
    assert inner.splits == ("train",)
    train = sample_rows(images, "train", 5)
    pixels = images.read(train)
    values = expected_of(last, pixels)
    for layer in inner.layers[1:]:
        np.testing.assert_allclose(inner.features(layer, 50, "train"), values[layer.name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(inner.logits(50, "train"), values["head"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(inner.features(inner.layers[0], 50, "train"), embedder.raw_pixels(pixels, 4))
    rows = images.manifest.iloc[train]
    assert inner.samples.sample_id.tolist() == rows.sample_id.tolist()
    assert inner.samples.label.tolist() == rows.label.tolist()
    with xarray.open_zarr(tmp_path / "e", group="last_step", consolidated=False) as data:
        assert data["stem"].sizes == {"step": 1, "sample": 15, "feature_stem": 4}
        assert (data.step.values.tolist(), data.attrs["complete"], data.attrs["seed"]) == ([50], True, SEED)


def test_the_last_step_changes_nothing_around_it(run: Callable[..., Embeddings], tmp_path: Path):
    assert run(tiny(1), tiny(2), out="without").last_step is None
    run(tiny(1), tiny(2), out="with", **LAST)
    run(tiny(1), tiny(2), out="again", **LAST)

    def files(name: str) -> dict[Path, bytes]:
        return {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}

    assert files("with") == files("again")
    outside = {path: content for path, content in files("with").items() if path.parts[0] != "last_step"}
    without = files("without")
    assert outside.pop(Path("digests/zarr.json")) != without.pop(Path("digests/zarr.json"))
    assert outside == without


def test_with_augment_training_images_are_turned_by_their_own_angles(
    run: Callable[..., Embeddings], images: PackedImages
):
    inner = run(tiny(1), augment=True, **LAST).last_step
    assert inner is not None
    taken = sample_rows(images, "train", 5)
    angles = embedder.draw_rotation(images, AUGMENT, SEED).angles
    turned = Transform(SIZE, MEAN, STD, False).training(
        torch.from_numpy(images.read(taken)), angles[taken], padding=AUGMENT["padding"], fill=255
    )
    with torch.no_grad():
        stem = tiny(1).stem(turned).mean((2, 3)).numpy()
    np.testing.assert_allclose(inner.features(inner.layers[1], 0, "train"), stem, rtol=1e-4, atol=1e-5)


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in module.modules())


def test_hooks_change_nothing_and_are_removed_also_after_an_error():
    network = Network(tiny().eval(), ("head",), Transform(SIZE, MEAN, STD, False))
    inputs = torch.randn(2, 3, SIZE, SIZE)
    plain = network.logits(inputs)
    with layer_embeddings(network, pooled_layers(TAPS, ["auto", "max"])) as embed:
        assert hooks(network.module) == 3
        found = embed(inputs)
    assert list(found) == ["stem", "stem@max", "stages.0", "stages.0@max", "head", "logits"]
    assert torch.equal(found["logits"], plain)
    assert hooks(network.module) == 0
    with pytest.raises(RuntimeError), layer_embeddings(network, pooled_layers(TAPS, ["auto"])) as embed:
        embed(torch.randn(2, 7, SIZE, SIZE))
    assert hooks(network.module) == 0


def test_the_layers_tensor_is_taken_from_a_tuple():
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[str, torch.Tensor]:
            return "first", x * 2

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.pair(x)[1].mean((2, 3))

    network = Network(Outer(), (), Transform(4, MEAN, STD, False))
    layers = pooled_layers([Tap("pair", 0, "nchw", False, 0, 3, 0, 0, item=1)], ["auto"])
    inputs = torch.randn(2, 3, 4, 4)
    with layer_embeddings(network, layers) as embed:
        torch.testing.assert_close(embed(inputs)["pair"], inputs.mean((2, 3)) * 2)
