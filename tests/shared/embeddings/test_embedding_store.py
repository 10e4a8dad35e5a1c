import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
import zarr

from stages.shared.embeddings import embedding_store as module
from stages.shared.embeddings.embedding_store import EmbeddingWriter, Layer, open_embeddings, write_store_digests
from stages.shared.runtime.errors import UserError
from tests.faults.pickles import PICKLES, list_in_group, pickled_array

COUNT, STEPS = 23, (0, 50)
LAYERS = [
    Layer("pixels", "", -1, "none", 12, 0, 0),
    Layer("stem", "stem", 0, "mean", 5, 100, 2000),
    Layer("blocks.0", "blocks.0", 1, "class_token", 7, 300, 6000),
    Layer("blocks.0@mean", "blocks.0", 1, "mean", 7, 300, 6000),
]
CLASSES = ("ash", "birch", "cedar")
SAMPLES = pd.DataFrame(
    {
        "sample_id": [f"id{i}" for i in range(COUNT)],
        "split": ["test"] * 9 + ["unseen"] * 14,
        "label": ["ash"] * 9 + ["date", "elm"] * 7,
        "group": [""] * 9 + [f"writer {i}" for i in range(14)],
    }
)
INNER = SAMPLES.assign(split=["train"] * 15 + ["blur_1"] * 8)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES_PER_CHUNK", 4)
    monkeypatch.setattr(module, "SAMPLES_PER_SHARD", 8)


def arrays() -> dict[tuple[str, int], np.ndarray]:
    random = np.random.default_rng(0)
    widths = {layer.name: layer.width for layer in LAYERS[1:]} | {"logits": 3}
    values = {(n, s): random.normal(size=(COUNT, w)).astype(np.float32) for s in STEPS for n, w in widths.items()}
    values["pixels", -1] = random.random((COUNT, 12), dtype=np.float32)
    return values


def writer(path: Path, **changes: Any) -> EmbeddingWriter:
    arguments = {
        "samples": SAMPLES, "steps": STEPS, "layers": LAYERS, "classes": CLASSES, "dtype": "float32",
        "attributes": {"dataset": "handwriting", "model": "lite0", "fold": "all", "seed": 3},
    }  # fmt: skip
    return EmbeddingWriter(path, **{**arguments, **changes})


def write(path: Path, values: dict[tuple[str, int], np.ndarray], batch: int = 5, **changes: Any) -> None:
    with writer(path, **changes) as store:
        fill(store, values, STEPS, batch)


def fill(
    store: EmbeddingWriter, values: dict[tuple[str, int], np.ndarray], steps: tuple[int, ...], batch: int = 5
) -> None:
    for start in range(0, COUNT, batch):
        store.write("pixels", -1, values["pixels", -1][start : start + batch])
    for step in steps:
        for start in range(0, COUNT, batch):
            for (name, s), rows in values.items():
                if s == step:
                    store.write(name, step, rows[start : start + batch])


@pytest.mark.parametrize("batch", [1, 5, 8, 16, 23, 100])
def test_what_is_written_in_batches_is_read_by_layer_and_split(tmp_path: Path, batch: int):
    values = arrays()
    write(tmp_path / "e", values, batch)
    store = open_embeddings(tmp_path / "e")
    for layer in LAYERS:
        for step in STEPS:
            expected = values[layer.name, -1 if layer.depth == -1 else step]
            np.testing.assert_array_equal(store.features(layer, step, "test"), expected[:9])
            np.testing.assert_array_equal(store.features(layer, step, "unseen"), expected[9:])
    np.testing.assert_array_equal(store.logits(50, "test"), values["logits", 50][:9])


@pytest.mark.parametrize("count", [1, 8, 16])
@pytest.mark.parametrize("batch", [3, 4, 8, 16])
def test_any_number_of_samples_fits_the_shards(tmp_path: Path, count: int, batch: int):
    rows = np.arange(count * 5, dtype=np.float32).reshape(count, 5)
    samples = pd.DataFrame({"sample_id": map(str, range(count)), "split": "test", "label": "ash", "group": ""})
    with writer(tmp_path / "e", samples=samples, steps=[0], layers=LAYERS[1:2], classes=()) as store:
        for start in range(0, count, batch):
            store.write("stem", 0, rows[start : start + batch])
    np.testing.assert_array_equal(open_embeddings(tmp_path / "e").features(LAYERS[1], 0, "test"), rows)


def test_the_store_says_what_it_holds(tmp_path: Path):
    write(tmp_path / "e", arrays())
    store = open_embeddings(tmp_path / "e")
    assert (store.cell, store.steps) == (("handwriting", "lite0", "all", 3), STEPS)
    assert (store.layers, store.classes, store.splits) == (tuple(LAYERS), CLASSES, ("test", "unseen"))
    pd.testing.assert_frame_equal(store.samples, SAMPLES)
    assert store.labels("unseen").tolist() == ["date", "elm"] * 7


def test_xarray_opens_it(tmp_path: Path):
    values = arrays()
    write(tmp_path / "e", values)
    with xarray.open_zarr(tmp_path / "e", consolidated=False) as data:
        assert data["blocks.0"].dims == ("step", "sample", "feature_blocks.0")
        assert data["pixels"].dims == ("sample", "feature_pixels")
        assert data["logits"].dims == ("step", "sample", "class")
        assert {"step", "sample_id", "split", "label", "group"} <= set(data.coords)
        assert data.attrs["complete"] is True
        about = {"long_name": "embedding at blocks.0", "depth": 1, "pooling": "mean"}
        assert data["blocks.0@mean"].attrs == about
        unseen = data["stem"].sel(step=50).isel(sample=(data.split == "unseen").values)
        np.testing.assert_array_equal(unseen.values, values["stem", 50][9:])
        assert data.label.values.tolist() == SAMPLES.label.tolist()
        assert data.group.values.tolist() == SAMPLES.group.tolist()


def test_the_store_inside_is_read_with_its_own_splits_and_steps(tmp_path: Path):
    values = arrays()
    with writer(tmp_path / "e") as outer:
        fill(outer, values, STEPS)
        with writer(tmp_path / "e" / "last_step", samples=INNER, steps=STEPS[-1:]) as inner:
            fill(inner, values, STEPS[-1:])
    store = open_embeddings(tmp_path / "e")
    assert store.last_step is not None
    assert (store.last_step.splits, store.last_step.steps, store.splits) == (
        ("train", "blur_1"),
        (50,),
        ("test", "unseen"),
    )
    np.testing.assert_array_equal(store.last_step.features(LAYERS[2], 50, "train"), values["blocks.0", 50][:15])
    np.testing.assert_array_equal(store.last_step.features(LAYERS[0], 50, "blur_1"), values["pixels", -1][15:])
    with xarray.open_zarr(tmp_path / "e", group="last_step", consolidated=False) as data:
        np.testing.assert_array_equal(data["stem"].sel(step=50).values, values["stem", 50])
    with xarray.open_zarr(tmp_path / "e", consolidated=False) as data:
        assert data["stem"].sizes["step"] == 2
    write(tmp_path / "alone", values)
    assert open_embeddings(tmp_path / "alone").last_step is None


def test_a_store_whose_inner_store_is_unfinished_is_unfinished(tmp_path: Path):
    values = arrays()

    def interrupted() -> None:
        with writer(tmp_path / "e") as outer:
            fill(outer, values, STEPS)
            with writer(tmp_path / "e" / "last_step", samples=INNER, steps=STEPS[-1:]):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(UserError, match=r"e/last_step/digests/zarr\.json: .*no such file .* did not finish"):
        open_embeddings(tmp_path / "e")


def test_the_store_inside_another_cells_store_is_refused(tmp_path: Path):
    values, other = arrays(), {"dataset": "handwriting", "model": "lite1", "fold": "all", "seed": 3}
    for name, attributes in (("e", {}), ("f", {"attributes": other})):
        with writer(tmp_path / name, **attributes) as outer:
            fill(outer, values, STEPS)
            with writer(tmp_path / name / "last_step", samples=INNER, steps=STEPS[-1:], **attributes) as inner:
                fill(inner, values, STEPS[-1:])
    shutil.rmtree(tmp_path / "e" / "last_step")
    shutil.copytree(tmp_path / "f" / "last_step", tmp_path / "e" / "last_step")
    with pytest.raises(UserError, match=r"e/last_step/digests/zarr\.json: .* found different content; remove"):
        open_embeddings(tmp_path / "e")


def test_arrays_are_those_of_their_own_metadata_not_of_what_the_group_lists(tmp_path: Path):
    write(tmp_path / "e", arrays())
    samples = open_embeddings(tmp_path / "e").samples
    list_in_group(tmp_path / "e", sample_id=pickled_array(PICKLES["filter"], 23))
    write_store_digests(tmp_path / "e", {})
    pd.testing.assert_frame_equal(open_embeddings(tmp_path / "e").samples, samples)


def test_two_stores_of_the_same_values_are_the_same_files(tmp_path: Path):
    for name in ("a", "b"):
        write(tmp_path / name, arrays(), 5 if name == "a" else 7)
    a, b = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    )
    assert a == b


def test_float16_halves_the_numbers_and_is_read_as_float32(tmp_path: Path):
    values = arrays()
    write(tmp_path / "e", values, dtype="float16")
    found = open_embeddings(tmp_path / "e").features(LAYERS[1], 0, "test")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values["stem", 0][:9].astype(np.float16))
    assert zarr.open_group(tmp_path / "e")["logits"].dtype == np.float32


def test_a_missing_store_says_what_to_run(tmp_path: Path):
    with pytest.raises(UserError, match="no embeddings there; run the embed stage"):
        open_embeddings(tmp_path / "e")


def test_rows_that_were_not_written_are_an_error_and_the_store_stays_unfinished(tmp_path: Path):
    def forget() -> None:
        values = arrays()
        values["stem", 50] = values["stem", 50][:20]
        write(tmp_path / "e", values)

    with pytest.raises(ValueError, match=r"array 'stem' at step 50: 16 of 23 rows were written"):
        forget()
    with pytest.raises(UserError, match=r"no such file .* the embed stage did not finish.* rerun the embed stage"):
        open_embeddings(tmp_path / "e")


def test_a_store_of_another_version_is_refused(tmp_path: Path):
    write(tmp_path / "e", arrays())
    write_store_digests(tmp_path / "e", {}, format="whichlayer.embeddings/5")
    with pytest.raises(UserError, match=r"/4, found whichlayer.embeddings/5 of another version"):
        open_embeddings(tmp_path / "e")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_with_layer_step_and_count(tmp_path: Path, bad: float):
    values = arrays()
    values["blocks.0", 50][[10, 12], 3] = bad
    write(tmp_path / "e", values)
    store = open_embeddings(tmp_path / "e")
    assert np.isfinite(store.features(LAYERS[2], 50, "test")).all()
    with pytest.raises(
        UserError,
        match=r"handwriting, lite0, fold all, seed 3: layer 'blocks.0' at step 50 .* in 2 of 14 unseen images",
    ):
        store.features(LAYERS[2], 50, "unseen")


def test_a_lost_shard_is_no_embedding(tmp_path: Path):
    write(tmp_path / "e", arrays())
    (tmp_path / "e" / "stem" / "c" / "1" / "1" / "0").unlink()
    with pytest.raises(UserError, match=r"e/stem/c/1/1/0: must be as the embed stage wrote it, found no file; remove"):
        open_embeddings(tmp_path / "e")


def flip(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(content)


@pytest.mark.parametrize(("shard", "split"), [(0, "test"), (1, "test"), (1, "unseen"), (2, "unseen")])
def test_a_flipped_bit_is_no_embedding(tmp_path: Path, shard: int, split: str):
    write(tmp_path / "e", arrays())
    flip(tmp_path / "e" / "stem" / "c" / "0" / str(shard) / "0")
    store = open_embeddings(tmp_path / "e")
    store.features(LAYERS[1], 50, split)
    store.features(LAYERS[2], 0, split)
    message = rf"e/stem/c/0/{shard}/0: must be as the embed stage wrote it, found different content"
    with pytest.raises(UserError, match=message):
        store.features(LAYERS[1], 0, split)


def test_a_flipped_bit_in_a_shard_of_another_split_is_not_looked_at(tmp_path: Path):
    write(tmp_path / "e", arrays())
    flip(tmp_path / "e" / "stem" / "c" / "0" / "2" / "0")
    open_embeddings(tmp_path / "e").features(LAYERS[1], 0, "test")


def test_other_readers_notice_a_flipped_bit_too(tmp_path: Path):
    write(tmp_path / "e", arrays())
    flip(tmp_path / "e" / "stem" / "c" / "1" / "0" / "0")
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_group(tmp_path / "e", mode="r")["stem"][1, :9]


def test_a_split_that_was_not_embedded_is_named(tmp_path: Path):
    write(tmp_path / "e", arrays())
    with pytest.raises(UserError, match=r"split 'train' was not embedded: choose from test, unseen"):
        open_embeddings(tmp_path / "e").labels("train")
