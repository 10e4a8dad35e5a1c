"""What is read of a file of each kind, and one error for each thing that is wrong with it; nothing in it is run."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from stages.commands.features.extraction import Shard
from stages.commands.features.writers import WRITERS
from stages.commands.score.files import join, read_file
from stages.shared.runtime.errors import UserError
from tests.commands.score.made import WIDTHS, arrays, with_seen, write_npz
from tests.measure.synthetic import write_store


def read(*paths: Path, labels: Path | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    return join([read_file(path, labels) for path in paths])


def refused(path: Path, message: str, labels: Path | None = None, *, blamed: Path | None = None) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(path, labels=labels)
    assert str(caught.value).removeprefix("--labels: ").startswith(f"{blamed or path}")


def test_an_npz_file_keeps_its_order_and_seen_images_come_first(tmp_path: Path):
    content = with_seen() | {"pixels": np.ones((28, 3)), "seen/pixels": np.ones((24, 3))}
    layers, of_images = read(write_npz(tmp_path / "a.npz", content))
    assert list(layers) == [*WIDTHS, "pixels"]
    np.testing.assert_array_equal(layers["stem"], np.concatenate([content["seen/stem"], content["stem"]]))
    assert of_images["labels"].tolist() == [*content["seen/labels"], *content["labels"]]
    assert of_images["seen"].tolist() == [True] * 24 + [False] * 28
    ordered = write_npz(tmp_path / "b.npz", arrays() | {"layers": np.array(["blocks.0", "stem"])})
    assert list(read(ordered)[0]) == ["blocks.0", "stem"]


def test_several_files_are_folds(tmp_path: Path):
    files = [write_npz(tmp_path / f"{n}.npz", arrays(seed=n, prefix=f"f{n}")) for n in range(2)]
    layers, of_images = read(*files)
    assert of_images["folds"].tolist() == [0] * 28 + [1] * 28
    np.testing.assert_array_equal(layers["stem"][28:], arrays(seed=1)["stem"])
    other = write_npz(tmp_path / "other.npz", arrays(prefix="o") | {"stem": np.ones((28, 5))})
    with pytest.raises(UserError, match=r"other\.npz: its unseen images must be embedded as .* differences in stem"):
        read(files[0], other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"stem": arrays()["stem"]}, "must have an array 'labels'"),
        (arrays() | {"layers": np.array(["stem"])}, "'layers' must name stem, blocks.0 once each, .* found stem$"),
        (with_seen() | {"seen/ids": np.array(["a"] * 24)}, "with as many features, found differences in ids"),
        ({name: X for name, X in with_seen().items() if name != "seen/labels"}, "must have an array 'seen/labels'"),
        (arrays() | {"labels": np.float64(3)}, "labels must have one entry for each image, found the shape"),
        (
            arrays() | {"labels": np.array([np.nan, *"ab" * 13, "a"])},
            "labels must not be missing, found 'nan' in row 0",
        ),
        (with_seen() | {"seen/labels": np.ones(24)}, "seen/labels must be .* whole numbers, found 1.0"),
        (
            arrays() | {"stem": np.ones(())},
            r"'stem' must have 28 rows, as 'labels' has, found the shape \(\)",
        ),
        (
            with_seen() | {"stem": np.ones((27, 4)), "seen/stem": np.ones((25, 4))},
            r"array 'seen/stem' must have 24 rows, as 'seen/labels' has, found the shape \(25, 4\); give",
        ),
        (with_seen() | {"seen/stem": np.ones((24, 3))}, "with as many features, found differences in stem"),
    ],
)
def test_what_is_wrong_with_an_npz_file_is_named(tmp_path: Path, content: dict[str, Any], message: str):
    refused(write_npz(tmp_path / "a.npz", content), message)


def test_an_npz_file_with_another_file_in_it_is_refused(tmp_path: Path):
    path = write_npz(tmp_path / "a.npz", arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "how these were made")
    refused(path, r"must hold arrays, each once, found 'README\.txt', which is no array; write it with np\.savez")
    with zipfile.ZipFile(write_npz(path, arrays()), "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("stem.npy", archive.read("stem.npy"))
    refused(path, "found 'stem', twice")


class Trap:
    """What unpickling would run."""

    def __reduce__(self):
        return pytest.fail, ("was unpickled",)


def test_objects_are_never_unpickled_and_the_advice_helps(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays() | {"labels": np.array([Trap()] * 28, dtype=object)}, allow_pickle=True)
    with pytest.raises(UserError, match="objects are not read: save np") as caught:
        read(path)
    advice = str(caught.value).rpartition("save ")[2]
    texts = eval(advice, {"np": np, "labels": np.array(["ant", "bee"] * 14, object)})
    assert (
        read(write_npz(tmp_path / "c.npz", arrays() | {"labels": texts}))[1]["labels"].tolist() == ["ant", "bee"] * 14
    )
    (tmp_path / "b.npz").write_bytes(pickle.dumps([Trap()]))
    refused(tmp_path / "b.npz", "an embedding store's folder, found no zip file; write the arrays with np.savez")


def test_damaged_files_and_those_of_other_kinds_are_one_sentence(tmp_path: Path):
    whole = write_npz(tmp_path / "a.npz", arrays((999, 999))).read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:20000] + bytes(40) + whole[20040:])
    refused(tmp_path / "a.npz", "and readable, found BadZipFile: Bad CRC-32")
    (tmp_path / "a.parquet").write_text("no table")
    refused(tmp_path / "a.parquet", "and readable, found ArrowInvalid")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "found a folder without zarr.json")


def test_arrays_larger_than_free_memory_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    free = psutil.virtual_memory()._replace(available=2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    content = arrays() | {"stem": np.zeros((28, 2**14))}
    np.savez_compressed(tmp_path / "a.npz", **content)
    assert (tmp_path / "a.npz").stat().st_size < 2**16
    refused(tmp_path / "a.npz", "embeddings must fit into memory, 1 MiB free, found 4 MiB; free some")


@pytest.mark.parametrize("place", ["file", "store", "labels"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, place: str):
    if place == "file":
        os.mkfifo(path := tmp_path / "a.npz")
    elif place == "store":
        write_store(path := tmp_path / "store")
        os.mkfifo(path / "pipe")
    else:
        os.mkfifo(tmp_path / "labels.csv")
        path = written(tmp_path)
    labels = tmp_path / "labels.csv" if place == "labels" else None
    refused(path, "must be a regular file, found a named pipe", labels, blamed=labels)


PATHS = [f"{label}/{number}.png" for label in ("ant", "bee") for number in range(3)]
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


WRONG_TABLES = {
    "path;label\nant/0.png;1\n": r": must be a CSV with commas whose .* found 'path;label'; rename .* with commas",
    "path, label\nant/0.png, 1\n": "found 'path, label'; rename",
    "path,label,label\nant/0.png,1,2\n": "path and label once each",
    "": "path and label once each, found ''",
    "path,label\nant/0.png,1\nant/1.png,2\nant/0.png,2\n": "line 4: an image must have one label, found '1' and '2'",
    "path,label\nant/0.png,1,2\n": "line 2: must have 2 cells, as the header has, found 3; quote",
    'path,label\n"ant/0.png,1\n': "line 2: not a CSV with commas",
    "path,label\nant/0.png,é\n": "line 1: must be a list in UTF-8",
}


def written(folder: Path, paths: list[str] = PATHS, layer: str = "blocks.3") -> Path:
    """A table of features, in two shards."""
    shards = []
    for name, rows in (("0", slice(4)), ("1", slice(4, 6))):
        np.savez(folder / f"{name}.shard", features=VECTORS[rows])
        shards.append(Shard(folder / f"{name}.shard.npz", paths[rows], [name * 64] * len(paths[rows]), {}))
    WRITERS[".parquet"](folder / "new.parquet", shards, 4, {"layer": layer, "step": 0})
    return folder / "new.parquet"


def test_features_have_the_classes_of_their_folders_or_of_a_table(tmp_path: Path):
    layers, of_images = read(written(tmp_path, layer="blocks.3+blocks.6"))
    np.testing.assert_array_equal(layers["blocks.3_blocks.6"], VECTORS)
    assert (of_images["labels"].tolist(), of_images["ids"].tolist()) == (["ant"] * 3 + ["bee"] * 3, PATHS)
    rows = [f"{path},{number % 2}" for number, path in enumerate(PATHS)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *reversed(rows), "other.png,1"]))
    assert read(written(tmp_path), labels=table)[1]["labels"].tolist() == ["0", "1"] * 3
    table.write_text("\n".join(["path,label", *rows[1:]]))
    refused(tmp_path / "new.parquet", r"every image must have a label.* none for 1, first for 'ant/0\.png'", table)
    for content, message in WRONG_TABLES.items():
        table.write_bytes(content.encode("utf-16" if "é" in content else "utf-8"))
        refused(tmp_path / "new.parquet", message, table, blamed=table)
    refused(written(tmp_path, [f"{n}.png" for n in range(6)]), "as its folder's name, found none for 6")
    refused(write_npz(tmp_path / "a.npz", arrays()), "--labels: .* must be a .parquet", table)


def test_rows_are_chosen_with_pyarrow_and_another_table_is_told_what_it_lacks(tmp_path: Path):
    pq.write_table(pq.read_table(written(tmp_path), filters=[("path", "!=", PATHS[0])]), tmp_path / "some.parquet")
    layers, of_images = read(tmp_path / "some.parquet")
    assert of_images["ids"].tolist() == PATHS[1:]
    np.testing.assert_array_equal(layers["blocks.3"], VECTORS[1:])
    pq.read_table(written(tmp_path)).to_pandas().to_parquet(tmp_path / "pandas.parquet")
    refused(tmp_path / "pandas.parquet", r"must be a table as `whichlayer.*found .*features \(list<element: float>\)")


def test_a_store_is_read_at_its_last_step_in_main_poolings(tmp_path: Path):
    stored = write_store(tmp_path / "store")
    layers, of_images = read(tmp_path / "store")
    assert list(layers) == ["pixels", "stem", "blocks.0"]
    np.testing.assert_array_equal(layers["blocks.0"], stored["blocks.0", 10])
    assert of_images["seen"].tolist() == [True] * 24 + [False] * 20
    assert of_images["labels"].tolist() == [f"test{n // 8}" for n in range(24)] + ["unseen0"] * 9 + ["unseen1"] * 11
