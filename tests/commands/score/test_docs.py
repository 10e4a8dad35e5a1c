"""What docs/use.md says of scoring: the example with timm alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.neighbors import NearestNeighbors

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three colours, embedded by the example."""
    folder = tmp_path_factory.mktemp("example")
    random = np.random.default_rng(0)
    for label, colour in {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}.items():
        (folder / "images" / label).mkdir(parents=True)
        for number in range(6):
            pixels = (colour + random.normal(0, 40, (40, 40, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{number}.png")
    example = [ROOT / "docs" / "examples" / "score_timm.py", folder / "images", "resnet18", folder / "embeddings.npz"]
    subprocess.run([sys.executable, *map(str, example), "--random-weights"], check=True)
    return folder / "embeddings.npz"


@pytest.mark.slow
def test_the_example_with_timm_is_scored(file: Path):
    out = file.with_name("embeddings-scores")
    options = ["--metrics", "nn1_accuracy,nmi", "--model", "resnet18", "--out", str(out)]
    code = "import sys; from stages.commands.launcher import main; main()"
    command = [sys.executable, "-W", "error", "-c", code, "score", str(file), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("embeddings, resnet18: try stage")
    assert "1 fold of 3 classes, 18 images" in done.stdout
    records = pd.read_csv(out / "layers.csv")
    saved = np.load(file)
    assert [saved[f"stage{n}"].shape for n in range(5)] == [(18, width) for width in (64, 64, 128, 256, 512)]
    for name in (f"stage{n}" for n in range(5)):
        nearest = NearestNeighbors(n_neighbors=1).fit(saved[name]).kneighbors(return_distance=False)[:, 0]
        value = records[(records["layer"] == name) & (records["metric"] == "nn1_accuracy")]["value"].item()
        assert value == np.mean(saved["labels"][nearest] == saved["labels"])
