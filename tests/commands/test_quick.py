"""`whichlayer quick` on a folder of images: plain scores of every layer first, then the verdict; what it keeps."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stages.commands.quick import quick
from stages.shared.runtime.errors import UserError


def run(*args):
    return CliRunner().invoke(quick, [str(each) for each in args], catch_exceptions=False)


def test_a_folder_has_plain_scores_then_a_verdict_and_its_embeddings_are_kept(tmp_path):
    random, out = np.random.default_rng(0), tmp_path / "out"
    for number in range(4):
        (tmp_path / "photos" / f"class{number}").mkdir(parents=True)
        colour = random.integers(0, 256, 3)
        for image in range(7):
            pixels = np.clip(colour + random.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / f"class{number}" / f"{image}.png")
    done = run(tmp_path / "photos", "--image-size", 32, "--per-class", 6, "--out", out)
    assert done.exit_code == 0, done.stderr
    plain, _, choice = done.stdout.partition("Plain scores of each layer; the choice follows.")
    assert [line.split()[0] for line in plain.splitlines()[2:]] == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    assert "retrieval (MAP@R)" in choice
    assert (out / "report.html").is_file()
    with np.load(out / "embeddings.npz", allow_pickle=False) as kept:
        assert kept["bn2"].shape == (24, 1280)
        assert sorted({*kept["labels"].tolist()}) == [f"class{number}" for number in range(4)]


def test_a_folder_or_the_demo_and_not_both():
    for args in ((), (".", "--demo")):
        with pytest.raises(UserError, match="name a folder of images, or take --demo"):
            run(*args)
