"""What `whichlayer features` wrote, with labels from folders or a CSV, as a file of embeddings."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from stages.commands.features.output import WRITERS
from stages.commands.features.shards import Shard
from stages.commands.score.embedding_file import EmbeddingFile, read_embedding_file
from stages.commands.score.features_file import open_file
from stages.shared.runtime.errors import UserError

PATHS = [f"{label}/{number}.png" for label in ("ant", "bee") for number in range(3)]
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def written(folder: Path, ending: str = ".parquet", paths: list[str] = PATHS, layer: str = "blocks.3") -> Path:
    shards = [Shard(paths[:4], ["0" * 64] * 4, VECTORS[:4], {}), Shard(paths[4:], ["1" * 64] * 2, VECTORS[4:], {})]
    WRITERS[ending](folder / f"new{ending}", shards, 6, 4, {"layer": layer, "step": 0})
    return folder / f"new{ending}"


def read(path: Path, labels: Path | None = None) -> tuple[EmbeddingFile, np.ndarray]:
    with ExitStack() as resources:
        file = read_embedding_file(open_file(path, labels, resources))
        return file, file.features(file.layers[0], "unseen")


@pytest.mark.parametrize("ending", WRITERS)
def test_every_kind_of_file_has_the_classes_of_its_folders(tmp_path: Path, ending: str):
    file, vectors = read(written(tmp_path, ending))
    assert [(layer.name, layer.width) for layer in file.layers] == [("blocks.3", 4)]
    assert file.labels["unseen"].tolist() == ["ant"] * 3 + ["bee"] * 3
    assert file.ids["unseen"].tolist() == PATHS
    np.testing.assert_array_equal(vectors, VECTORS)


def test_labels_may_come_from_a_table_in_any_order(tmp_path: Path):
    table = tmp_path / "labels.csv"
    rows = [f"{path},{'even' if number % 2 == 0 else 'odd'}" for number, path in enumerate(PATHS)]
    table.write_text("\n".join(["path,label", *reversed(rows), "other.png,odd"]))
    file, _ = read(written(tmp_path, layer="blocks.3+blocks.6"), table)
    assert file.labels["unseen"].tolist() == ["even", "odd"] * 3
    assert file.layers[0].name == "blocks.3_blocks.6"
    table.write_text("\n".join(["path,label", *rows[1:]]))
    with pytest.raises(UserError, match=r"every image must have a label.* none of 1, first of 'ant/0\.png'"):
        read(tmp_path / "new.parquet", table)


def test_images_without_folders_need_labels(tmp_path: Path):
    with pytest.raises(UserError, match=r"as the name of its folder, found none of 6, first of '0\.png'"):
        read(written(tmp_path, paths=[f"{number}.png" for number in range(6)]))


def test_other_files_are_refused(tmp_path: Path):
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(UserError, match=r"a\.parquet: must be a file that `whichlayer features` wrote, found"):
        read(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", labels=np.array(["a"] * 6), layer=VECTORS)
    with pytest.raises(UserError, match=r"--labels: .*a\.npz must be a file that `whichlayer features` wrote"):
        read(tmp_path / "a.npz", tmp_path / "labels.csv")
