"""Which images get a small picture, and what it shows."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import FolderParams
from stages.prepare.thumbnails import LONGER_SIDE, MAX_THUMBNAILS, choose_images, encode, make_thumbnails
from stages.shared.images.image_store import MANIFEST_COLUMNS, write_fold, write_images
from stages.shared.tables.gallery import THUMBNAILS_FILE, read_thumbnails
from tests.packed import pack

COUNTS = dict.fromkeys("abcdefgh", 12)


def images(counts: dict[str, int]) -> pd.DataFrame:
    rows = [(f"{label}/{i}", label) for label, count in counts.items() for i in range(count)]
    return pd.DataFrame(rows, columns=["sample_id", "label"])


def prepared(raw: Path, out: Path, seed: int = 0, **changes: object) -> list[str]:
    """Prepare the folder's images; returns the names of the folds."""
    values = {"image_size": 8, "test_fraction": 0.25, "unseen_classes": ["c", "d"], "unseen": 5, **changes}
    report = prepare_dataset(raw, out, FolderParams(source="folder", fit="squash", **values), seed, "mine", 10**6)
    return list(report.images)


def splits_of(folder: Path) -> dict[str, "pd.Series[str]"]:
    """fold -> the split of each of its images."""
    tables = {path.stem: pd.read_csv(path, index_col="sample_id") for path in (folder / "folds").glob("*.csv")}
    return {fold: table["split"] for fold, table in tables.items()}


def decoded(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)


def test_images_are_unseen_in_some_numbered_fold(make_folder, tmp_path):
    folds = prepared(make_folder(COUNTS), tmp_path / "out")
    assert folds == ["0", "1", "2", "3", "all"]
    make_thumbnails(tmp_path / "out", tmp_path / "small", folds, 0, "mine")
    table, splits = read_thumbnails(tmp_path / "small", "mine"), splits_of(tmp_path / "out")
    unseen = {sample for fold in "0123" for sample in splits[fold].index[splits[fold] == "unseen"]}
    assert set(table["sample_id"]) == unseen  # 8 classes of 5: fewer than the share of 25
    keys = list(table[["label", "sample_id"]].itertuples(index=False))
    assert keys == sorted(keys)


def test_where_every_class_is_unseen_all_may_have_one(make_folder, tmp_path):
    folds = prepared(make_folder(COUNTS), tmp_path / "out", test_fraction=None, unseen_classes="all", unseen=None)
    assert folds == ["0"]
    make_thumbnails(tmp_path / "out", tmp_path / "small", folds, 0, "mine")
    sizes = read_thumbnails(tmp_path / "small", "mine").groupby("label").size()
    assert sizes.to_dict() == COUNTS  # 12 each, fewer than the share of 25


def test_a_fold_that_leaves_no_class_out_has_none(tmp_path):
    rows = [(f"i{i}", "a", "", "", "") for i in range(3)]
    manifest = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))
    write_images(tmp_path, [np.zeros((8, 8, 3), np.uint8)] * 3, manifest, dataset="d", size=8, fill=255)
    write_fold(tmp_path, "0", manifest.assign(split=["train", "train", "test"]))
    make_thumbnails(tmp_path, tmp_path / "small", ["0"], 0, "mine")
    table = read_thumbnails(tmp_path / "small", "mine")
    assert (len(table), list(table)) == (0, ["sample_id", "label", "width", "height", "image"])


def test_a_picture_shows_its_image(tmp_path):
    """Enlarged again, it is nearer to its own image than to any other."""
    packed = pack(tmp_path / "out", size=64, unseen=12)
    make_thumbnails(tmp_path / "out", tmp_path / "small", ["0"], 0, "mine")
    table = read_thumbnails(tmp_path / "small", "mine")
    assert len(table) == 2 * 12
    assert table[["width", "height"]].to_numpy().tolist() == [[LONGER_SIDE, LONGER_SIDE]] * 24
    size = (LONGER_SIDE, LONGER_SIDE)
    pixels = packed.read(np.arange(len(packed.manifest)))
    reduced = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BOX)).astype(int) for p in pixels]
    for row in table.itertuples():
        distances = [np.abs(decoded(row.image) - each).mean() for each in reduced]
        assert packed.manifest["sample_id"][int(np.argmin(distances))] == row.sample_id
        assert packed.manifest["label"][int(np.argmin(distances))] == row.label


@pytest.mark.parametrize(
    ("shape", "expected"), [((32, 32), (32, 32)), ((224, 224), (48, 48)), ((40, 80), (48, 24)), ((96, 32), (16, 48))]
)
def test_the_longer_side_is_at_most_48_pixels(shape, expected):
    pixels = np.full((*shape, 3), (10, 120, 230), dtype=np.uint8)
    width, height, file = encode(pixels)
    assert (width, height) == expected == Image.open(io.BytesIO(file)).size
    assert np.abs(decoded(file) - (10, 120, 230)).max() <= 4
    assert len(file) < 1500


def test_grey_images_stay_grey_and_small():
    y, x = np.mgrid[0:64, 0:64]
    stroke = (255 * (np.abs(np.hypot(x - 32, y - 32) - 20) > 3)).astype(np.uint8)
    file = encode(np.repeat(stroke[..., None], 3, axis=2))[2]
    assert len(file) < 1000
    shown = decoded(file)
    assert np.abs(shown - shown.mean(axis=2, keepdims=True)).max() <= 1
    expected = np.asarray(Image.fromarray(stroke).resize((48, 48), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(shown[..., 0] - expected).mean() < 8


def test_every_class_has_as_many_and_they_are_200_at_most():
    drawn = choose_images(images(dict.fromkeys("abcdefg", 100)), 0, "mine")
    assert drawn.groupby("label").size().to_dict() == dict.fromkeys("abcdefg", MAX_THUMBNAILS // 7)
    assert drawn["sample_id"].is_unique


def test_a_small_class_gives_what_it_has():
    drawn = choose_images(images({"a": 3, "b": 500}), 0, "mine")
    assert drawn.groupby("label").size().to_dict() == {"a": 3, "b": 100}


def test_of_more_than_200_classes_200_have_one_image_each():
    names = [f"class {i:03}" for i in range(260)]
    drawn = choose_images(images(dict.fromkeys(names, 3)), 0, "mine")
    assert (len(drawn), drawn["label"].nunique()) == (200, 200)
    assert set(drawn["label"]) != set(names[:200])  # a draw, not the first by name
    assert set(choose_images(images(dict.fromkeys(reversed(names), 3)), 0, "mine")["label"]) == set(drawn["label"])


def test_the_draw_follows_the_seed_and_the_dataset_and_not_the_order_of_the_rows():
    all_images = images(dict.fromkeys("abcdefgh", 80))
    drawn, shuffled = choose_images(all_images, 0, "mine"), choose_images(all_images.sample(frac=1), 0, "mine")
    assert drawn["sample_id"].tolist() == shuffled["sample_id"].tolist()
    for other in (choose_images(all_images, 1, "mine"), choose_images(all_images, 0, "yours")):
        assert set(other["sample_id"]) != set(drawn["sample_id"])


def test_another_class_takes_from_each_share_and_changes_no_draw():
    few, more = (choose_images(images(dict.fromkeys(labels, 90)), 0, "mine") for labels in ("abcd", "abcde"))
    assert len(few) == len(more) == 200
    assert set(more.loc[more["label"] != "e", "sample_id"]) < set(few["sample_id"])


def test_a_second_run_writes_the_same_bytes(make_folder, tmp_path):
    folds = prepared(make_folder(COUNTS), tmp_path / "out")
    for name, seed in (("one", 3), ("two", 3)):
        make_thumbnails(tmp_path / "out", tmp_path / name, folds, seed, "mine")
    assert (tmp_path / "one" / THUMBNAILS_FILE).read_bytes() == (tmp_path / "two" / THUMBNAILS_FILE).read_bytes()
