"""The practitioner's way in small: own images, a recommendation, a network for all classes, features of new ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from sklearn.metrics import pairwise_distances

from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

NEW_CLASSES = ("crosses", "dots", "rings")


def mirrored(source: Path, target: Path) -> None:
    """Write the mirror images of three classes, whose orientations no known class has."""
    for path in sorted(path for name in NEW_CLASSES for path in (source / name).iterdir()):
        out = target / f"new_{path.parent.name}" / path.name
        out.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.mirror(Image.open(path)).save(out)


def one_nn_accuracy(table: pd.DataFrame) -> float:
    distances = pairwise_distances(np.stack(table["features"]))
    np.fill_diagonal(distances, np.inf)
    classes = table["path"].str.partition("/")[0].to_numpy()
    return float((classes[distances.argmin(axis=1)] == classes).mean())


def test_own_images_lead_to_features_of_new_classes(tmp_path):
    project = Workflow(tmp_path / "project")
    tiny_params(project, ["mine"], ["small"])
    project.edit_params(
        {"datasets.mine.unseen_classes": None, "datasets.mine.unseen_count": 2, "run.folds": [0, 1, "all"]}
        | {"embed.baseline_size": 0, "finetune.steps": [0, 8]}
    )
    tiny_images(tmp_path / "images", seed=0)
    (project.folder / "data" / "raw").mkdir(parents=True)
    (project.folder / "data" / "raw" / "mine").symlink_to(tmp_path / "images")
    mirrored(tmp_path / "images", tmp_path / "new")
    project.start_repository()
    project.repro()

    told = project.run("whichlayer", "recommend").stdout
    assert told.startswith("mine, small\nuse ")
    assert "\ndiscovery (NMI): layer " in told
    use = ("--use", "discovery")
    cell = ("--from", "mine/small/all/0", *use)
    project.run("whichlayer", "cut", *cell, "--out", "small-cut", "--no-onnx")
    project.run("whichlayer", "features", str(tmp_path / "new"), "--from", "small-cut", "--out", "cut.parquet")
    own = ("features", str(tmp_path / "new"), *use)
    project.run("whichlayer", *own, "--out", "cell.parquet")
    project.run("whichlayer", *own, "--from", "mine/small/all/0", "--out", "named.parquet")
    first, second = ((project.folder / name).read_bytes() for name in ("cell.parquet", "named.parquet"))
    assert first == second
    project.run("whichlayer", *own, "--layer", "last", "--out", "last.parquet")

    cut, whole, last = (pd.read_parquet(project.folder / f"{name}.parquet") for name in ("cut", "cell", "last"))
    assert len(cut) == 24 * len(NEW_CLASSES)
    scale = np.sqrt(np.mean(np.stack(whole["features"]) ** 2))
    np.testing.assert_allclose(np.stack(cut["features"]), np.stack(whole["features"]), atol=1e-4 * scale)
    assert list(cut["path"]) == list(last["path"])
    assert one_nn_accuracy(cut) > 0.6  # chance is 0.33
