import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from stages.shared.images import image_store as module
from stages.shared.images.image_store import (
    FORMAT,
    MANIFEST_COLUMNS,
    batch_rows,
    filled,
    fold_digests,
    fold_files,
    open_images,
    write_fold,
    write_images,
)
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.digests import write_digests
from tests.faults.pickles import PICKLES, list_in_group, pickled_array
from tests.packed import pack

SIZE = 8


SPLITS = ["unseen"] * 4 + ["train"] * 3 + ["test"] + ["train"] * 2 + ["test"] * 2


def manifest() -> pd.DataFrame:
    """Two unseen classes of two images, then two seen ones of four: three for training, one or two to test."""
    labels = ["new0", "new0", "new1", "new1", *["old0"] * 4, *["old1"] * 4]
    rows = [(f"id{i:02}", label, "", f"{label}/{i}.png", f"{i:064x}") for i, label in enumerate(labels)]
    return pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def write(path: Path, table: pd.DataFrame, data: np.ndarray) -> None:
    write_images(path, iter(data), table, dataset="d", size=SIZE, fill=200)
    write_fold(path, "0", table.assign(split=SPLITS))


def test_images_and_manifest_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_IMAGES_PER_SHARD", 8)  # two shards, the second one partial
    table, data = manifest(), pixels(12)
    write(tmp_path / "d", table, data)
    packed = open_images(tmp_path / "d", "0")
    pd.testing.assert_frame_equal(packed.manifest, table.assign(split=SPLITS))
    assert (packed.size, packed.fill, packed.seen, packed.unseen) == (SIZE, 200, ("old0", "old1"), ("new0", "new1"))
    np.testing.assert_array_equal(packed.read(np.arange(12)), data)


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("rows", [[3, 4, 5], [11, 0, 7, 2], [6, 6, 1], []])
def test_samples_come_in_the_order_asked_for(tmp_path: Path, rows: list[int], in_memory: bool):
    data = pixels(12)
    write(tmp_path / "d", manifest(), data)
    packed = open_images(tmp_path / "d", "0")
    packed = packed.in_memory() if in_memory else packed
    np.testing.assert_array_equal(packed.read(np.array(rows, dtype=np.int64)), data[rows])


def test_a_dataset_beyond_the_limit_stays_on_disk(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    packed = open_images(tmp_path / "d", "0")
    size = 12 * SIZE * SIZE * 3
    assert packed.in_memory(size - 1) is packed
    assert isinstance(packed.in_memory(size)._pixels, np.ndarray)


def test_splits_are_rows_and_targets_are_positions_among_the_seen(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    packed = open_images(tmp_path / "d", "0")
    np.testing.assert_array_equal(packed.rows("test"), [7, 10, 11])
    np.testing.assert_array_equal(packed.rows("unseen", "train"), [4, 5, 6, 8, 9, 0, 1, 2, 3])
    np.testing.assert_array_equal(packed.targets(packed.rows("test")), [0, 1, 1])
    assert packed.splits == ("train", "test", "unseen")


def test_batches_cover_the_rows_in_order(tmp_path: Path):
    data = pixels(12)
    write(tmp_path / "d", manifest(), data)
    packed = open_images(tmp_path / "d", "0")
    batches = batch_rows(np.array([9, 3, 4, 0, 11]), 2)
    assert [b.tolist() for b in batches] == [[9, 3], [4, 0], [11]]
    read = list(packed.batches(batches))
    np.testing.assert_array_equal(np.concatenate([r for r, _ in read]), [9, 3, 4, 0, 11])
    np.testing.assert_array_equal(np.concatenate([p for _, p in read]), data[[9, 3, 4, 0, 11]])
    assert list(packed.batches([])) == []


def test_a_missing_and_an_unfinished_dataset_say_what_to_do(tmp_path: Path):
    with pytest.raises(UserError, match="no packed images there; run the prepare stage"):
        open_images(tmp_path / "d", "0")
    with pytest.raises(ValueError, match="lists 12 images, 9 were given"):
        write(tmp_path / "d", manifest(), pixels(9))
    with pytest.raises(UserError, match=r"digests\.json: .*found no such file .*rerun the prepare stage"):
        open_images(tmp_path / "d", "0")


def test_a_dataset_of_another_version_is_refused(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    store = tmp_path / "d"
    write_digests(store / "digests.json", [store / "images.zarr"], format="whichlayer.images/4", of={})
    with pytest.raises(UserError, match=r"format whichlayer.images/3, found whichlayer.images/4 of another version"):
        open_images(tmp_path / "d", "0")


def test_another_dataset_and_a_fold_of_other_images_are_refused(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    with pytest.raises(UserError, match=r"digests\.json: must be of dataset other, found dataset d; rerun the prepare"):
        open_images(tmp_path / "d", "0", dataset="other")
    write(tmp_path / "e", manifest().assign(source="moved"), pixels(12))
    shutil.copytree(tmp_path / "e" / "folds", tmp_path / "d" / "folds", dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"folds/0\.digests\.json: must be of dataset d, fold 0, images .*, found"):
        open_images(tmp_path / "d", "0", dataset="d")


def test_images_are_compared_with_their_digests_when_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_IMAGES_PER_SHARD", 8)
    data = pixels(12)
    write(tmp_path / "d", manifest(), data)
    shards = tmp_path / "d" / "images.zarr" / "pixels" / "c"
    first, second = (shards / name / "0" / "0" / "0" for name in "01")
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    packed = open_images(tmp_path / "d", "0")
    np.testing.assert_array_equal(packed.read(np.arange(8)), data[:8])  # the shard that is whole
    with pytest.raises(UserError, match=rf"{second}: must be as the prepare stage wrote it, found different content"):
        packed.read(np.array([3, 9]))
    first.unlink()  # of which zarr would say that its images are black
    with pytest.raises(UserError, match=rf"{first}: .*found no file; remove it with `whichlayer verify"):
        open_images(tmp_path / "d", "0")


def test_arrays_are_those_of_their_own_metadata_not_of_what_the_group_lists(tmp_path: Path):
    data = pixels(12)
    write(tmp_path / "d", manifest(), data)
    store = tmp_path / "d" / "images.zarr"
    list_in_group(store, pixels=pickled_array(PICKLES["filter"], 12))
    write_digests(tmp_path / "d" / "digests.json", [store.with_name("manifest.csv"), store], format=FORMAT, of={})
    write_fold(tmp_path / "d", "0", manifest().assign(split=SPLITS))
    np.testing.assert_array_equal(open_images(tmp_path / "d", "0").read(np.arange(12)), data)


def test_more_images_than_rows_are_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="lists 12 images"):
        write(tmp_path / "d", manifest(), pixels(13))


def test_a_manifest_keeps_texts_that_look_like_missing_values_or_numbers(tmp_path: Path):
    table = manifest().assign(sample_id=[f"00{i:02}" for i in range(12)])
    table["label"] = table["label"].replace({"old0": "p", "old1": "q", "new0": "1.0", "new1": "NA"})
    write(tmp_path / "d", table, pixels(12))
    packed = open_images(tmp_path / "d", "0")
    pd.testing.assert_frame_equal(packed.manifest, table.assign(split=SPLITS))
    assert (packed.seen, packed.unseen) == (("p", "q"), ("1.0", "NA"))


def test_a_fold_may_leave_images_out_and_choose_other_classes(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    other = manifest().assign(split=["train", "test", "train", "test", "unseen", "unseen", *["unseen"] * 6])
    write_fold(tmp_path / "d", "1", other.drop(index=[5, 11]))
    packed = open_images(tmp_path / "d", "1")
    assert (packed.seen, packed.unseen) == (("new0", "new1"), ("old0", "old1"))
    np.testing.assert_array_equal(packed.rows("unseen"), [4, 6, 7, 8, 9, 10])
    assert packed.manifest["split"].tolist()[5] == ""


def test_a_fold_that_is_missing_is_refused(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    with pytest.raises(UserError, match=r"has no fold '7', but 0; rerun the prepare stage"):
        open_images(tmp_path / "d", "7")


def test_a_cell_reads_the_images_the_manifest_and_its_own_fold_alone(tmp_path: Path):
    pack(tmp_path)
    (tmp_path / "folds" / "1.csv").write_text("sample_id,split\n")
    files = fold_files(tmp_path, "0")
    assert [str(path.relative_to(tmp_path)) for path in files] == [
        "images.zarr", "manifest.csv", "digests.json", "folds/0.csv", "folds/0.digests.json",
    ]  # fmt: skip
    for path in {*tmp_path.rglob("*.csv")} - set(files):
        path.unlink()
    assert open_images(tmp_path, "0").splits == ("train", "test", "unseen")


def test_the_digests_of_a_fold_change_with_all_that_a_cell_reads_and_with_nothing_else(tmp_path: Path):
    def digests(name: str, table: pd.DataFrame, data: np.ndarray, splits: list[str]) -> bytes:
        write(tmp_path / name, table, data)
        write_fold(tmp_path / name, "1", table.assign(split=splits))
        return fold_digests(tmp_path / name, "1").read_bytes()

    table, data, splits = manifest(), pixels(12), ["train"] * 4 + ["unseen"] * 8
    changed = data.copy()
    changed[3, 0, 0, 0] ^= 1
    first = digests("first", table, data, splits)
    write_fold(tmp_path / "first", "0", table.assign(split="train"))
    assert digests("again", table, data, splits) == first
    others = {
        digests("pixel", table, changed, splits),
        digests("label", table.assign(label=table["label"] + "x"), data, splits),
        digests("split", table, data, ["test", *splits[1:]]),
    }
    assert len(others | {first}) == 4


@pytest.mark.parametrize(("size", "per_chunk"), [(8, 8), (64, 8), (96, 3), (128, 2), (224, 1), (1024, 1)])
def test_a_chunk_holds_few_images_where_they_are_large(size: int, per_chunk: int):
    assert module.images_per_chunk(size) == per_chunk
    assert module.images_per_shard(size) % per_chunk == 0
    assert module.images_per_shard(size) * size * size * 3 <= max(module.MAX_SHARD_BYTES, size * size * 3)


def test_random_rows_are_those_that_zarr_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_CHUNK_BYTES", 3 * SIZE * SIZE * 3)
    monkeypatch.setattr(module, "MAX_IMAGES_PER_SHARD", 6)
    monkeypatch.setattr(module, "MAX_SHARD_BYTES", 6 * SIZE * SIZE * 3)
    parts = [manifest().assign(label=name, sample_id=lambda t, name=name: name + t["sample_id"]) for name in "abc"]
    table = pd.concat(parts)
    data = pixels(36)
    data[3:6] = 0  # a chunk of the fill value alone is not stored
    module.write_images(tmp_path / "d", iter(data), table, dataset="d", size=SIZE, fill=0)
    write_fold(tmp_path / "d", "0", table.assign(split="train"))
    packed = open_images(tmp_path / "d", "0")
    rows = np.random.default_rng(1).integers(0, 36, 80)
    stored = zarr.open_group(tmp_path / "d" / "images.zarr", mode="r")["pixels"]
    np.testing.assert_array_equal(packed.read(rows), stored.oindex[rows])
    np.testing.assert_array_equal(packed.read(rows), data[rows])


def test_a_chunk_that_changed_after_its_file_was_checked_is_no_image(tmp_path: Path):
    write(tmp_path / "d", manifest(), pixels(12))
    packed = open_images(tmp_path / "d", "0")
    packed.read(np.array([0, 2]))
    shard = tmp_path / "d" / "images.zarr" / "pixels" / "c" / "0" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="a checksum does not match"):
        packed.read(np.array([0, 2]))


def test_a_smaller_batch_is_filled_up_with_repeats():
    rows, pixels = np.array([3, 9]), np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert filled(rows, 5).tolist() == [3, 9, 3, 9, 3]
    np.testing.assert_array_equal(filled(pixels, 5), pixels[[0, 1, 0, 1, 0]])
    assert filled(rows, 2) is rows
    assert filled(rows, 1) is rows
