"""The example of docs/use.md from a folder to a search index runs as it stands there."""

import re
import sys

import numpy as np
from PIL import Image

import stages.library as wl
from tests.workflow import ROOT


def test_a_folder_becomes_a_search_index(tmp_path, monkeypatch, capsys):
    section = (ROOT / "docs" / "use.md").read_text().partition("### A representation")[2]
    code = re.search(r"```python\n(.*?)```", section, flags=re.S)[1]
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
