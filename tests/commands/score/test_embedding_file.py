"""What is read of a file, from either kind, and one error for each thing that is wrong with it."""

import os
import pickle
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr

from stages.commands.features.command import WRITERS
from stages.commands.features.extraction import Shard
from stages.commands.score.arrays_file import open_arrays
from stages.commands.score.embedding_file import EmbeddingFile, open_file, read_embedding_file
from stages.shared.runtime.errors import UserError
from tests.commands.score.made import WIDTHS, arrays, with_seen, write_npz, write_zarr


@pytest.fixture
def resources():
    with ExitStack() as stack:
        yield stack


def read(path: Path, resources: ExitStack) -> EmbeddingFile:
    return read_embedding_file(open_arrays(path, resources))


@pytest.mark.parametrize("seen", [False, True])
def test_both_kinds_of_file_give_the_same(tmp_path: Path, resources: ExitStack, seen: bool):
    content = with_seen() if seen else arrays()
    content |= {"layers": np.array(list(WIDTHS)), "pixels": np.ones((28, 3), np.float32)}
    content |= {"seen/pixels": np.ones((24, 3), np.float32)} if seen else {}
    files = [
        read(write_npz(tmp_path / "a.npz", content), resources),
        read(write_zarr(tmp_path / "a", content), resources),
    ]
    for each in files:
        assert [(x.name, x.module, x.depth, x.width) for x in each.layers] == [
            ("pixels", "", -1, 3),
            ("stem", "stem", 0, 4),
            ("blocks.0", "blocks.0", 1, 9),
        ]
        assert list(each.labels) == (["test", "unseen"] if seen else ["unseen"])
        for split, prefix in (("test", "seen/"), ("unseen", ""))[0 if seen else 1 :]:
            np.testing.assert_array_equal(each.labels[split], content[f"{prefix}labels"])
            np.testing.assert_array_equal(each.features(each.layers[2], split), content[f"{prefix}blocks.0"])


def test_an_npz_file_keeps_its_order_and_any_real_numbers_will_do(tmp_path: Path, resources: ExitStack):
    content = arrays(number=True) | {"ids": np.array([f"{i}.png" for i in range(28)])}
    content["stem"] = content["stem"].astype(np.float64) + 1e-12
    content["blocks.0"] = content["blocks.0"].astype(np.int8)
    found = read(write_npz(tmp_path / "a.npz", dict(reversed(content.items()))), resources)
    assert [layer.name for layer in found.layers] == ["blocks.0", "stem"]
    assert found.labels["unseen"].tolist() == [str(y) for y in content["labels"]]
    assert found.ids["unseen"].tolist() == content["ids"].tolist()
    for layer in found.layers:
        values = found.features(layer, "unseen")
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, content[layer.name].astype(np.float32))


def replaced(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (arrays() | changes).items() if value is not None}


NAN = arrays()["stem"].copy()
NAN[[3, 5], 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (replaced(labels=None), "has no array 'labels'; it must hold an array"),
        ({"labels": arrays()["labels"]}, "has no layer, found only labels"),
        (
            replaced(stem=arrays()["stem"][1:]),
            r"with a row for each of 'labels' .* as 'stem', \(28, 4\), found float.. of shape \(27, 4\)",
        ),
        (
            replaced(stem=np.ones((28, 4, 2, 2))),
            r"'stem' must be \(images, features\) of real numbers, .* found float64 of",
        ),
        (replaced(stem=np.ones((27, 2))), r"of shape \(27, 2\); give every array the same images in the same order"),
        (replaced(stem=np.ones((28, 0))), r"of shape \(28, 0\)"),
        (replaced(stem=np.ones((28, 2), complex)), "found complex128"),
        (replaced(stem=np.ones((28, 2)).astype(str)), "of real numbers, .* found <U32"),
        (replaced(labels=np.zeros(28, int)), "'labels' must have at least 2 classes .*, found '0' .28.; take"),
        (replaced(labels=np.arange(28) // 27), "of at least 2 images each, found '1' .1., '0' .27.; take"),
        (
            replaced(labels=np.ones(28)),
            "'labels' must be one-dimensional, of at most .* texts or whole numbers, found float64",
        ),
        (replaced(labels=np.ones((28, 1), int)), r"of shape \(28, 1\)"),
        (
            replaced(labels=np.array(["a", ""] * 14)),
            "'labels' must not hold empty texts or control characters, found ''",
        ),
        (replaced(labels=np.array(["a", "b\r"] * 14)), r"found 'b\\r'"),
        (
            replaced(**{"a@mean": np.ones((28, 2))}),
            "must be of at most 200 letters.*found 'a@mean'; rename",
        ),
        (replaced(**{"a/b": np.ones((28, 2))}), "found 'a/b'"),
        (replaced(group=np.ones((28, 2))), "none of step, .*; found 'group'"),
        (
            replaced(layers=np.array(["stem"])),
            "must name stem, blocks.0 once each, .* found stem; beside layers there may be",
        ),
        (replaced(layers=np.array(["stem", "blocks.0", "x"])), "found stem, blocks.0, x; beside"),
        (replaced(layers=np.array(["stem", "blocks.0", "stem"])), "found stem, blocks.0, stem; beside"),
        (
            replaced(ids=np.array(["a"] * 28)),
            "'ids' must name each of the 28 images of 'labels' once, found 28 names, 1 ",
        ),
        (replaced(**{"seen/labels": np.arange(6) // 2}), "below `seen/` must be labels and the same .* found labels$"),
        (
            replaced(**{"seen/stem": np.ones((6, 4))}),
            "below `seen/` must be labels and the same layers.* found stem$",
        ),
        (with_seen() | {"seen/other": np.ones((24, 4))}, "found blocks.0, labels, other, stem$"),
        (
            with_seen() | {"seen/stem": np.ones((24, 3))},
            r"array 'seen/stem' must be .* as many features as 'stem', \(24, 4\), found float.. of shape \(24, 3\)",
        ),
        (with_seen(prefix="seen"), "a class must be seen or unseen, found 'seen0' in 'seen/labels' and in 'labels'"),
    ],
)
def test_what_is_wrong_is_named_before_any_embedding_is_read(
    tmp_path: Path, resources: ExitStack, content: dict[str, Any], message: str
):
    file = open_arrays(write_npz(tmp_path / "a.npz", content), resources)
    read_one = file.read
    file.read = lambda name: read_one(name) if "label" in name or name in ("ids", "layers") else pytest.fail(name)  # type: ignore[method-assign]
    with pytest.raises(UserError, match=message) as caught:
        read_embedding_file(file)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("values", [NAN, np.where(np.isfinite(NAN), NAN.astype(float), 1e39)])
def test_values_that_are_not_finite_are_counted(tmp_path: Path, resources: ExitStack, values: Any):
    found = read(write_npz(tmp_path / "a.npz", replaced(stem=values)), resources)
    with pytest.raises(
        UserError, match=r"array 'stem' must be finite in float32, found NaN or infinity in 2 of 28 images"
    ):
        found.features(found.layers[0], "unseen")


def test_a_zarr_group_needs_the_order_of_its_layers_and_no_other_groups(tmp_path: Path, resources: ExitStack):
    path = write_zarr(tmp_path / "a", arrays())
    with pytest.raises(UserError, match=r"must have an array 'layers', since a Zarr group has no order"):
        read(path, resources)
    zarr.open_group(path).create_group("last_step")
    with pytest.raises(UserError, match="of groups, `seen` alone, found the group 'last_step'"):
        read(path, resources)


class Trap:
    """What unpickling would run."""

    def __reduce__(self):
        return pytest.fail, ("was unpickled",)


def test_objects_are_never_unpickled(tmp_path: Path, resources: ExitStack):
    path = tmp_path / "a.npz"
    np.savez(path, **replaced(labels=np.array([Trap()] * 28, dtype=object)), allow_pickle=True)
    with pytest.raises(UserError, match=r"found object of shape \(28,\); objects are not read: save np") as caught:
        read(path, resources)
    advice = str(caught.value).rpartition("save ")[2]
    for dtype in (object, np.dtypes.StringDType()):  # the latter are a store's labels
        texts = eval(advice, {"np": np, "labels": np.array(["ant", "bee"] * 14, dtype)})
        found = read(write_npz(tmp_path / "c.npz", replaced(labels=texts)), resources)
        assert found.labels["unseen"].tolist() == ["ant", "bee"] * 14
    (tmp_path / "b.npz").write_bytes(pickle.dumps([Trap()]))
    with pytest.raises(UserError, match="found BadZipFile"):
        read(tmp_path / "b.npz", resources)


def test_files_of_other_kinds_and_damaged_ones_are_refused(tmp_path: Path, resources: ExitStack):
    with pytest.raises(UserError, match=r"must be an \.npz file, .* found FileNotFoundError"):
        read(tmp_path / "none.npz", resources)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"the folder of a Zarr group, or .*, found a folder without zarr\.json"):
        read(tmp_path / "folder", resources)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("labels.npy", "no header")
    with pytest.raises(UserError, match=r"a\.zip: must be an \.npz file"):
        read(tmp_path / "a.zip", resources)
    whole = write_npz(tmp_path / "b.npz", arrays((999, 999))).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:20000] + bytes(40) + whole[20040:])
    found = read(tmp_path / "b.npz", resources)
    with pytest.raises(UserError, match=r"b\.npz: array 'stem' must be readable, found BadZipFile"):
        found.features(found.layers[0], "unseen")


PATHS = [f"{label}/{number}.png" for label in ("ant", "bee") for number in range(3)]
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def written(folder: Path, ending: str = ".parquet", paths: list[str] = PATHS, layer: str = "blocks.3") -> Path:
    shards = [Shard(paths[:4], ["0" * 64] * 4, VECTORS[:4], {}), Shard(paths[4:], ["1" * 64] * 2, VECTORS[4:], {})]
    WRITERS[ending](folder / f"new{ending}", shards, 6, 4, {"layer": layer, "step": 0})
    return folder / f"new{ending}"


def read_features(path: Path, labels: Path | None = None) -> tuple[EmbeddingFile, np.ndarray]:
    with ExitStack() as resources:
        file = read_embedding_file(open_file(path, labels, resources))
        return file, file.features(file.layers[0], "unseen")


@pytest.mark.parametrize("ending", WRITERS)
def test_every_kind_of_file_has_the_classes_of_its_folders(tmp_path: Path, ending: str):
    file, vectors = read_features(written(tmp_path, ending))
    assert [(layer.name, layer.width) for layer in file.layers] == [("blocks.3", 4)]
    assert file.labels["unseen"].tolist() == ["ant"] * 3 + ["bee"] * 3
    assert file.ids["unseen"].tolist() == PATHS
    np.testing.assert_array_equal(vectors, VECTORS)


def test_labels_may_come_from_a_table_in_any_order(tmp_path: Path):
    table = tmp_path / "labels.csv"
    rows = [f"{path},{'even' if number % 2 == 0 else 'odd'}" for number, path in enumerate(PATHS)]
    table.write_text("\n".join(["path,label", *reversed(rows), "other.png,odd"]))
    file, _ = read_features(written(tmp_path, layer="blocks.3+blocks.6"), table)
    assert file.labels["unseen"].tolist() == ["even", "odd"] * 3
    assert file.layers[0].name == "blocks.3_blocks.6"
    table.write_text("\n".join(["path,label", *rows[1:]]))
    with pytest.raises(UserError, match=r"every image must have a label.* none of 1, first of 'ant/0\.png'"):
        read_features(tmp_path / "new.parquet", table)


def test_a_pipe_in_the_place_of_labels_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(UserError, match=r"labels\.csv: must be a regular file, found a named pipe"):
        read_features(written(tmp_path), tmp_path / "labels.csv")


def test_images_without_folders_need_labels(tmp_path: Path):
    with pytest.raises(UserError, match=r"as the name of its folder, found none of 6, first of '0\.png'"):
        read_features(written(tmp_path, paths=[f"{number}.png" for number in range(6)]))


def test_rows_are_chosen_with_pyarrow_and_another_table_is_told_what_it_lacks(tmp_path: Path):
    pq.write_table(pq.read_table(written(tmp_path), filters=[("path", "!=", PATHS[0])]), tmp_path / "some.parquet")
    file, vectors = read_features(tmp_path / "some.parquet")
    assert file.ids["unseen"].tolist() == PATHS[1:]
    np.testing.assert_array_equal(vectors, VECTORS[1:])
    pd.read_parquet(tmp_path / "new.parquet").to_parquet(tmp_path / "pandas.parquet")
    pd.DataFrame({"label": ["a", "b"], "stem": [[1.0], [2.0]]}).to_parquet(tmp_path / "own.parquet")
    for name, found in (("pandas", r"features \(list<element: float>\)"), ("own", r"label \(.*string\), stem \(list")):
        with pytest.raises(
            UserError, match=rf"{name}\.parquet: must be a table as `whichlayer.*found .*{found}.*\.npz"
        ):
            read_features(tmp_path / f"{name}.parquet")


def test_other_files_are_refused(tmp_path: Path):
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(UserError, match=r"a\.parquet: must be .*what `whichlayer features` wrote, and readable, found"):
        read_features(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", labels=np.array(["a"] * 6), layer=VECTORS)
    with pytest.raises(UserError, match=r"--labels: .*a\.npz must be a file that `whichlayer features` wrote"):
        read_features(tmp_path / "a.npz", tmp_path / "labels.csv")
