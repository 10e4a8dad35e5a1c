"""The examples of docs/use.md and docs/embeddings.md run as they stand there."""

import re
import sys

import numpy as np
from PIL import Image

import stages.library as wl
from tests.workflow import ROOT


def first_code(text: str) -> str:
    return re.search(r"```python\n(.*?)```", text, flags=re.S)[1]


def test_texts_are_scored_like_images(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "whichlayer", wl)
    exec(first_code((ROOT / "docs" / "embeddings.md").read_text()), {})
    assert "retrieval (MAP@R)" in capsys.readouterr().out


def test_a_folder_becomes_a_search_index(tmp_path, monkeypatch, capsys):
    code = first_code((ROOT / "docs" / "use.md").read_text().partition("### A representation")[2])
    random = np.random.default_rng(0)
    for number in range(8):
        (tmp_path / "photos" / f"class{number}").mkdir(parents=True)
        pattern = random.integers(0, 256, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
        images = [
            Image.fromarray((pattern + random.normal(0, 9, (32, 32, 3))).clip(0, 255).astype(np.uint8))
            for _ in range(5)
        ]
        for image, name in zip(images, "abcd", strict=False):
            image.save(tmp_path / "photos" / f"class{number}" / f"{name}.png")
        images[-1].save(tmp_path / "new.png")  # of the last class
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "whichlayer", wl)
    known = {}
    exec(code, known)
    assert capsys.readouterr().out.startswith("For retrieval, joins of layers included, ")
    assert {known["paths"][row].parent.name for row in known["rows"][0][:4]} == {"class7"}
