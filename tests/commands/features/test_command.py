"""`whichlayer features`: the store's vectors for the same images, kept with their paths, from folders and archives."""

import hashlib
import json
import shutil
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result
from sklearn.preprocessing import StandardScaler, normalize

from stages.commands.cli import whichlayer
from stages.commands.cut import folder as cut_folder
from stages.commands.features import extraction
from stages.embed import embedder
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.errors import UserError
from tests.commands.features.made import CELL, finish_cell

IMAGES = 30


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        yield finish_cell(tmp_path_factory.mktemp("cell"), patch)


def features(cell: Path, images: Path, out: Path, *options: object, layer: str = "layer2") -> Result:
    arguments = [images, "--from", CELL, "--out", out, "--params", cell / "params.yaml", *options]
    arguments += ["--layer", layer] if layer else []
    return CliRunner().invoke(whichlayer, ["features", *map(str, arguments)])


def made(cell: Path, images: Path, out: Path, *options: object, layer: str = "layer2") -> pd.DataFrame:
    """Run it, and read the Parquet table by path."""
    done = features(cell, images, out, *options, layer=layer)
    assert done.exception is None or done.exit_code == 0, done.exception
    return pd.read_parquet(out).set_index("path")


@pytest.fixture(scope="module")
def plain(cell: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The dataset's own images."""
    return made(cell, cell / "raw", tmp_path_factory.mktemp("plain") / "a.parquet")


def refused(cell: Path, message: str, images: Path, out: Path, *options: object, layer: str = "layer2") -> None:
    done = features(cell, images, out, *options, layer=layer)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize(("layer", "step"), [("layer2", 50), ("layer2@max", 0), ("last", 50)])
def test_vectors_of_the_dataset_are_those_of_the_store(cell: Path, tmp_path: Path, layer: str, step: int):
    table = made(cell, cell / "raw", tmp_path / "a.parquet", "--step", step, layer=layer)
    assert len(table) == IMAGES
    store = open_embeddings(cell / "embeddings")
    name = store.layers[-2].name if layer == "last" else layer  # layer4, before its second pooling
    (stored,) = [each for each in store.layers if each.name == name]
    manifest = pd.read_csv(cell / "prepared" / "manifest.csv", dtype=str).set_index("sample_id")
    for split in store.splits:
        ids = store.samples.loc[store.samples["split"] == split, "sample_id"]
        found = np.stack(table.loc[manifest.loc[ids, "source"], "features"].to_list())
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, store.features(stored, step, split), rtol=0, atol=2e-6)
        assert table.loc[manifest.loc[ids, "source"], "sha256"].tolist() == manifest.loc[ids, "sha256"].tolist()


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of timm than the cell was embedded with."""
    now = {"timm": "99.0.0", "torch": version("torch").partition("+")[0]}
    monkeypatch.setattr(cut_folder, "library_versions", lambda *_, **__: now)


@pytest.mark.usefixtures("upgraded")
def test_another_version_of_the_networks_library_is_noted(cell: Path, tmp_path: Path):
    done = features(cell, cell / "raw", tmp_path / "a.parquet")
    assert done.exit_code == 0
    said = f"note: trees-tiny-0-3 was made with different library versions: timm {version('timm')}, now 99.0.0\n"
    assert said in done.stderr


@pytest.mark.usefixtures("upgraded")
def test_without_the_datasets_images_another_version_is_only_noted(cell: Path, plain: pd.DataFrame, tmp_path: Path):
    shutil.move(cell / "prepared", tmp_path / "gone")
    try:
        done = features(cell, cell / "raw", tmp_path / "b.parquet")
    finally:
        shutil.move(tmp_path / "gone", cell / "prepared")
    assert done.exit_code == 0
    assert "now 99.0.0; its images are gone" in done.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "b.parquet").set_index("path"), plain)


def test_another_version_of_pillow_than_decoded_the_dataset_is_noted(cell: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cut_folder, "version", lambda _: "99.0.0")
    done = features(cell, cell / "raw", tmp_path / "a.parquet")
    assert done.exit_code == 0
    assert f"different library versions: pillow {version('pillow')}, now 99.0.0\n" in done.stderr


@pytest.mark.usefixtures("upgraded")
def test_a_version_that_makes_another_network_is_refused(cell: Path, tmp_path: Path, monkeypatch):
    build = embedder.build_network

    def with_other_activations(*arguments, **options):
        network = build(*arguments, **options)
        for name, module in [*network.module.named_modules()]:
            if isinstance(module, torch.nn.ReLU):
                network.module.set_submodule(name, torch.nn.GELU())
        return network

    monkeypatch.setattr(embedder, "build_network", with_other_activations)
    refused(cell, "must give the stored embeddings to within 0.001 of", cell / "raw", tmp_path / "a.parquet")
    monkeypatch.setattr(cut_folder, "library_versions", lambda *_, **__: {})  # as without the comparison
    assert features(cell, cell / "raw", tmp_path / "a.parquet").exit_code == 0


def test_in_the_same_batches_vectors_are_the_same_bits(cell: Path, tmp_path: Path):
    store = open_embeddings(cell / "embeddings")
    manifest = pd.read_csv(cell / "prepared" / "manifest.csv", dtype=str).set_index("sample_id")
    (tmp_path / "images").mkdir()
    for number, sample in enumerate(store.samples["sample_id"]):
        source = cell / "raw" / manifest.loc[sample, "source"]
        shutil.copy(source, tmp_path / "images" / f"{number:03}{source.suffix}")
    table = made(cell, tmp_path / "images", tmp_path / "a.parquet")
    layer = next(each for each in store.layers if each.name == "layer2")
    expected = np.concatenate([store.features(layer, 50, split) for split in store.splits])
    np.testing.assert_array_equal(np.stack(table["features"].to_list()), expected)


def test_both_kinds_of_file_hold_the_same(cell: Path, tmp_path: Path):
    table = made(cell, cell / "raw", tmp_path / "a.parquet").reset_index()
    about = {"dataset": "trees", "model": "tiny", "fold": "0", "seed": 3, "step": 50}
    about |= {"layer": "layer2", "pooling": "mean", "scale": "none"}
    assert json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"whichlayer"]) == about
    done = features(cell, cell / "raw", tmp_path / "b.npz")
    assert f"30 images at layer layer2 (width {len(table['features'][0])}, step 50, scale none)" in done.output
    with np.load(tmp_path / "b.npz", allow_pickle=False) as saved:
        assert json.loads(str(saved["about"])) == about
        np.testing.assert_array_equal(saved["features"], np.stack(table["features"].to_list()))
        assert saved["path"].tolist() == table["path"].tolist()
        assert saved["sha256"].tolist() == table["sha256"].tolist()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.parquet", "b.npz"}  # nothing else is left


def test_archives_and_folders_in_folders_give_the_same(cell: Path, plain: pd.DataFrame, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted((cell / "raw").rglob("*.*")):
            archive.write(path, f"deep/er/{path.relative_to(cell / 'raw')}")
    with tarfile.open(tmp_path / "images.tar.gz", "w:gz") as archive:
        archive.add(cell / "raw", "raw")
    for name, prefix in (("images.zip", "deep/er/"), ("images.tar.gz", "raw/")):
        found = made(cell, tmp_path / name, tmp_path / f"{name}.parquet")
        assert sorted(found.index) == sorted(prefix + path for path in plain.index)
        for path, row in plain.iterrows():
            np.testing.assert_allclose(found.loc[f"{prefix}{path}", "features"], row["features"], rtol=0, atol=2e-6)
            digest = hashlib.sha256((cell / "raw" / path).read_bytes()).hexdigest()
            assert found.loc[f"{prefix}{path}", "sha256"] == digest


def test_a_list_and_one_image_give_the_same_as_their_folder(cell: Path, plain: pd.DataFrame, tmp_path: Path):
    paths = ["elm/01.jpg", "ash/00.png", "birch/02.bmp"]
    (cell / "some.csv").write_text("label,path\n" + "".join(f"x,raw/{path}\n" for path in paths))
    (tmp_path / "some.txt").write_text("\n".join(str(cell / "raw" / path) for path in paths) + "\n\n")
    for images, names in (
        (cell / "some.csv", [f"raw/{path}" for path in paths]),
        (tmp_path / "some.txt", [str(cell / "raw" / path) for path in paths]),
        (cell / "raw" / "elm" / "01.jpg", ["01.jpg"]),
    ):
        found = made(cell, images, tmp_path / f"{images.stem}{images.suffix}.parquet")
        assert found.index.tolist() == names
        vectors = np.stack(found["features"].to_list())
        np.testing.assert_allclose(vectors, np.stack(plain.loc[paths[: len(names)], "features"]), rtol=0, atol=2e-6)


def test_unreadable_files_stop_it_or_are_listed(cell: Path, plain: pd.DataFrame, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(extraction, "IMAGES_PER_SHARD", 10)
    images = tmp_path / "images"
    shutil.copytree(cell / "raw", images)
    (images / "ash" / "no_ending").write_bytes((images / "ash" / "00.png").read_bytes())
    whole = (images / "elm" / "01.jpg").read_bytes()
    (images / "elm" / "01.jpg").write_bytes(whole[: len(whole) // 2])
    message = "found 1 that cannot be read: elm/01.jpg (damaged or unusual: "
    refused(cell, message, images, tmp_path / "a.parquet")
    kept = sorted(tmp_path.glob(".a.parquet*/*.npz"))
    assert len(kept) == 2  # of four shards those before it
    (images / "notes.txt").write_text("not an image")
    (images / "elm" / "02.bmp").write_bytes(b"")
    done = features(cell, images, tmp_path / "a.parquet", "--skip-unreadable")
    listing = pd.read_csv(tmp_path / "a.parquet.unreadable.csv")
    assert sorted(listing["path"]) == ["elm/01.jpg", "elm/02.bmp", "notes.txt"]
    assert "features: left out 3 that cannot be read: " in done.stderr
    found = pd.read_parquet(tmp_path / "a.parquet").set_index("path")
    assert len(found) == IMAGES + 1 - 2
    for path in plain.index.intersection(found.index):
        np.testing.assert_allclose(found.loc[path, "features"], plain.loc[path, "features"], rtol=0, atol=2e-6)


def test_vectors_are_scaled_as_asked_for_and_a_cut_has_its_own_scaling(cell: Path, plain: pd.DataFrame, tmp_path: Path):
    store = open_embeddings(cell / "embeddings")
    layer = next(each for each in store.layers if each.name == "layer2")
    fitted = StandardScaler().fit(store.features(layer, 50, "test"))
    vectors = np.stack(plain["features"].to_list())
    for scale, expected in (("l2", normalize(vectors)), ("standard", fitted.transform(vectors))):
        table = made(cell, cell / "raw", tmp_path / f"{scale}.parquet", "--scale", scale)
        np.testing.assert_allclose(np.stack(table["features"].to_list()), expected, rtol=1e-4, atol=1e-5)
    out = tmp_path / "cut"
    words = f"cut --from {CELL} --layer layer2 --scale l2 --no-onnx --out {out} --params {cell}/params.yaml"
    done = CliRunner().invoke(whichlayer, words.split())
    assert done.exit_code == 0, done.exception
    of_cut = made(cell, cell / "raw", tmp_path / "b.parquet", "--from", out, layer="")
    np.testing.assert_allclose(np.stack(of_cut["features"].to_list()), normalize(vectors), atol=1e-5)
    message = f"--scale: {out} is cut at l2, not at none"
    refused(cell, message, cell / "raw", tmp_path / "c.parquet", "--from", out, "--scale", "none", layer="")


def test_several_layers_are_scaled_to_length_1_and_joined(cell: Path, tmp_path: Path):
    parts = [made(cell, cell / "raw", tmp_path / f"{name}.parquet", layer=name) for name in ("layer3", "layer1")]
    joined = made(cell, cell / "raw", tmp_path / "both.parquet", "--layer", "layer3", layer="layer1")
    arrays = [np.stack(part["features"].to_list()) for part in parts]
    expected = np.hstack([array / np.sqrt(np.square(array).sum(axis=1))[:, None] for array in arrays])
    np.testing.assert_allclose(np.stack(joined["features"].to_list()), expected, rtol=0, atol=1e-6)


def test_new_images_are_decoded_as_the_prepared_ones_were_and_are_not_rotated(
    cell: Path, plain: pd.DataFrame, tmp_path: Path
):
    text = (cell / "params.yaml").read_text()
    for name, before, after in (("a", "augment: false", "augment: true"), ("f", "fill: 200", "fill: 199")):
        assert before in text
        (tmp_path / f"{name}.yaml").write_text(text.replace(before, after))
        edited = made(cell, cell / "raw", tmp_path / f"{name}.parquet", "--params", tmp_path / f"{name}.yaml")
        assert np.array_equal(np.stack(edited["features"].to_list()), np.stack(plain["features"].to_list()))


def test_a_mistake_is_one_error(cell: Path, tmp_path: Path, monkeypatch):
    raw, out = cell / "raw", tmp_path / "a.parquet"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, extraction.__name__, None)  # which imports torch
        refused(cell, "--out must end in .parquet, .npz, found 'a.csv'", raw, tmp_path / "a.csv")
        (tmp_path / "none").mkdir()
        refused(cell, "must hold images, found no file", tmp_path / "none", out)
        refused(cell, "must not lie in the image folder", raw, raw / "a.parquet")
    refused(cell, "--layer: 'layer9' must be", raw, out, layer="layer9")
    refused(cell, "has embeddings at the steps 0, 50, not 7", raw, out, "--step", 7)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    refused(cell, "must hold images, found none that can be read", tmp_path / "texts", out, "--skip-unreadable")
    assert not list(tmp_path.glob(".*"))
    for text, said in {"file\na\n": "a row without path", "path\na\na\n": "'a' twice"}.items():
        (tmp_path / "list.csv").write_text(text)
        refused(cell, f"found {said}", tmp_path / "list.csv", out)
    (tmp_path / "list.txt").write_text("texts/none.png\n")
    refused(cell, "found 1 that cannot be read: texts/none.png", tmp_path / "list.txt", out)
    (tmp_path / "texts" / "\udcff.png").touch()
    refused(cell, "a file's name must be in UTF-8, as the table is, found '\\udcff.png'", tmp_path / "texts", out)
    out.touch()
    assert "must not exist, since nothing is overwritten" in str(features(cell, raw, out).exception)
