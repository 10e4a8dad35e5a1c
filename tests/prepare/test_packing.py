import errno
import filecmp
import hashlib
import json
import os
import re
import shutil
import tarfile
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import FolderParams
from stages.shared.images.image_store import open_images
from stages.shared.runtime.console import run_main
from stages.shared.runtime.errors import UserError


def params(**values):
    defaults = {"image_size": 8, "test_fraction": 0.25, "unseen_classes": ["d", "e"], "fit": "squash"}
    return FolderParams(source="folder", **{**defaults, **values})


def same_files(left, right):
    paths = sorted(p.relative_to(left) for p in left.rglob("*") if p.is_file())
    assert paths == sorted(p.relative_to(right) for p in right.rglob("*") if p.is_file())
    _, different, unreadable = filecmp.cmpfiles(left, right, paths, shallow=False)
    return not different and not unreadable


def test_packs_each_image_in_its_row(five_classes, tmp_path):
    report = prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    images = open_images(tmp_path / "out", "0")
    assert report.images["0"] == {"train": 18, "test": 6, "unseen": 16}
    assert (images.seen, images.unseen, images.size, images.fill) == (("a", "b", "c"), ("d", "e"), 8, 255)
    pixels = images.read(np.arange(40))
    for row, sample in enumerate(images.manifest.to_dict("records")):
        file = five_classes / sample["source"]
        assert sample["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        expected = np.asarray(Image.open(file).resize((8, 8), Image.Resampling.BILINEAR))
        assert np.array_equal(pixels[row], expected)


def test_rows_are_ordered_by_label_and_id(five_classes, tmp_path):
    prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    manifest = open_images(tmp_path / "out", "0").manifest
    keys = list(manifest[["label", "sample_id"]].itertuples(index=False))
    assert keys == sorted(keys)
    assert manifest["sample_id"].is_unique


def test_a_second_run_writes_the_same_bytes(five_classes, tmp_path):
    for name in ("one", "two"):
        prepare_dataset(five_classes, tmp_path / name, params(train=4), 3, "mine", 10**6)
    assert same_files(tmp_path / "one", tmp_path / "two")
    prepare_dataset(five_classes, tmp_path / "other", params(train=4), 4, "mine", 10**6)
    assert not same_files(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_gives_what_its_folder_gives(five_classes, tmp_path, mode):
    archive = tmp_path / "images.tar.gz"
    with tarfile.open(archive, mode) as tar:
        for path in sorted(five_classes.rglob("*.png"), reverse=True):
            tar.add(path, path.relative_to(five_classes))
    prepare_dataset(five_classes, tmp_path / "folder", params(), 0, "mine", 10**6)
    prepare_dataset(archive, tmp_path / "archive", params(), 0, "mine", 10**6)
    assert same_files(tmp_path / "folder", tmp_path / "archive")


def test_the_report_says_what_is_there_and_no_more_than_that(five_classes, tmp_path):
    (five_classes / "notes.txt").write_text("about")
    report = prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["classes"]["0"]["unseen"] == {"d": 8, "e": 8}
    assert content["ignored"] == ["notes.txt"]
    assert content["small_classes"]["test"] == dict.fromkeys("abcde", 2)  # in one fold or another
    assert set(content["small_classes"]["unseen"]) == {"d", "e", *content["classes"]["1"]["unseen"]}
    assert str(tmp_path) not in json.dumps(content)
    assert len(report.notes()) == 3
    assert report.summary() == "2 folds, the first of 3 seen and 2 unseen classes (18 train, 6 test, 16 unseen images)"


@pytest.fixture
def with_bad_files(five_classes):
    whole = (five_classes / "d" / "00.png").read_bytes()
    (five_classes / "d" / "bad.png").write_bytes(whole[: len(whole) // 2])
    (five_classes / "e" / "text.jpg").write_text("not an image")
    return five_classes


def test_all_bad_images_are_named(with_bad_files, tmp_path):
    said = r"(?s)datasets.mine: .* found 2 that .*`on_bad_image: skip`.*\n  d/bad.png cannot be decoded: .*truncated"
    with pytest.raises(UserError, match=said + r".*\n  e/text.jpg cannot be decoded: not an image"):
        prepare_dataset(with_bad_files, tmp_path / "out", params(), 0, "mine", 10**6)
    assert not (tmp_path / "out").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"raw"}


def test_skipped_images_are_counted_and_listed(with_bad_files, tmp_path):
    report = prepare_dataset(with_bad_files, tmp_path / "out", params(on_bad_image="skip"), 0, "mine", 10**6)
    assert [s.source for s in report.skipped] == ["d/bad.png", "e/text.jpg"]
    assert report.classes["0"]["unseen"] == {"d": 8, "e": 8}
    assert any("2 file(s) cannot be decoded" in note and "e/text.jpg" in note for note in report.notes())
    assert len(open_images(tmp_path / "out", "0").manifest) == 40


def test_a_file_that_cannot_be_read_is_a_bad_image(five_classes, tmp_path):
    (five_classes / "d" / "gone.png").symlink_to(five_classes / "nowhere.png")
    with pytest.raises(UserError, match=r"d/gone.png cannot be decoded: cannot be read .No such file"):
        prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)


def test_a_class_whose_images_were_all_skipped_is_refused(five_classes, tmp_path):
    for path in (five_classes / "e").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"every class must have at least 2 unseen image.*found 'e' \(0\)"):
        prepare_dataset(five_classes, tmp_path / "out", params(on_bad_image="skip"), 0, "mine", 10**6)


def test_copies_in_another_format_are_found(five_classes, tmp_path):
    Image.open(five_classes / "a" / "00.png").save(five_classes / "d" / "copy.bmp")
    with pytest.raises(UserError, match=r"same image in two classes: a/00.png \(.*, a\) and d/copy.bmp \(train, d\)"):
        prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    entry = params(on_duplicate="drop", test_fraction=0.5)
    report = prepare_dataset(five_classes, tmp_path / "out", entry, 0, "mine", 10**6)
    assert report.duplicates.dropped == 2
    manifest = open_images(tmp_path / "out", "0").manifest
    assert len(manifest) == 39
    assert not set(manifest["source"]) & {"a/00.png", "d/copy.bmp"}


def test_a_carriage_return_in_a_name_is_refused(five_classes, tmp_path):
    """In a manifest it would end a row."""
    (five_classes / "b" / "03.png").rename(five_classes / "b" / "0\r3.png")
    with pytest.raises(UserError, match=r"name of a file must not have control characters, found 'b/0\\r3.png'"):
        prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    (five_classes / "b").rename(five_classes / "b\rx")
    with pytest.raises(UserError, match=r"name of a class must not have control characters, found 'b\\rx'"):
        prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    assert not (tmp_path / "out").exists()


def test_raw_data_are_never_written_to(five_classes, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in [five_classes, *five_classes.rglob("*")]}
    prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", 10**6)
    assert {p: p.stat().st_mtime_ns for p in [five_classes, *five_classes.rglob("*")]} == before


def test_more_images_than_a_block_or_a_shard(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.prepare.decode.IMAGES_AHEAD", 3)
    monkeypatch.setattr("stages.shared.images.image_store.MAX_IMAGES_PER_SHARD", 16)
    raw = make_folder(dict.fromkeys("abcde", 8))
    prepare_dataset(raw, tmp_path / "small", params(), 0, "mine", 10**6)
    monkeypatch.undo()
    prepare_dataset(raw, tmp_path / "large", params(), 0, "mine", 10**6)
    small, large = (open_images(tmp_path / name, "0").read(np.arange(40)) for name in ("small", "large"))
    assert np.array_equal(small, large)
    shutil.rmtree(tmp_path / "small")


def test_what_is_left_out_or_beyond_a_limit_is_said(five_classes, tmp_path, save_image):
    save_image(five_classes / ".f" / "00.png", 99)
    Image.new("L", (40, 40)).save(five_classes / "a" / "large.png")
    with pytest.raises(UserError, match=r"a/large\.png cannot be decoded: more than 1599 pixels, prepare\.max_pixels"):
        prepare_dataset(five_classes, tmp_path / "out", params(), 0, "mine", max_pixels=1599)
    report = prepare_dataset(five_classes, tmp_path / "out", params(on_bad_image="skip"), 0, "mine", max_pixels=1599)
    assert report.hidden == (".f",)
    assert "1 hidden folder(s) were left out: .f" in report.notes()
    assert [skipped.source for skipped in report.skipped] == ["a/large.png"]


def no_more_files(path):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))


def cannot_be_read(path):
    raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


def may_not_be_read(path):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def no_memory(*arguments):
    raise MemoryError


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
@pytest.mark.parametrize(
    ("place", "lack", "said"),
    [
        ("raw_files.read_file", no_more_files, r"/d/07\.png: too many files are open; raise the limit"),
        ("raw_files.read_file", cannot_be_read, r"/d/07\.png: could not be read or written, found: .*; check the disk"),
        ("raw_files.read_file", may_not_be_read, r"/d/07\.png: must be a place that you may read and write"),
        ("decode.to_rgb", no_memory, "datasets.mine: not enough memory; free some"),
    ],
    ids=["files", "disk", "permission", "memory"],
)
def test_what_the_machine_lacks_leaves_no_image_out(
    five_classes, tmp_path, monkeypatch, capsys, place, lack, said, on_bad_image
):
    """The last image of class d cannot be had; it is whole."""
    module, _, name = place.rpartition(".")
    real = getattr(import_module(f"stages.prepare.{module}"), name)
    pixels = Image.open(five_classes / "d" / "07.png").tobytes()

    def one_fails(file, *others):
        failing = file.tobytes() == pixels if isinstance(file, Image.Image) else file.match("d/07.png")
        return (lack if failing else real)(file, *others)

    monkeypatch.setattr(f"stages.prepare.{place}", one_fails)
    entry = params(on_bad_image=on_bad_image)
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: prepare_dataset(five_classes, tmp_path / "out", entry, 0, "mine", 10**6))
    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert re.search(said, printed)
    assert printed.count("\n") == 1
    assert "on_bad_image" not in printed
    assert not (tmp_path / "out").exists()
