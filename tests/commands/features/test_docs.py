"""The code of docs/use.md that opens an embedding store runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from stages.shared.embeddings.embeddings import Layer
from tests.measure.synthetic import write_store

PAGE = Path(__file__).parents[3] / "docs" / "use.md"


def test_an_embedding_store_opens_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    block = next(
        each for each in re.findall(r"```python\n(.+?)```", PAGE.read_text(), flags=re.S) if "open_zarr" in each
    )
    (path,), (name,) = re.findall(r'open_zarr\("(.+?)"', block), re.findall(r'"(blocks\.\d)"', block)
    (tmp_path / path).parent.mkdir(parents=True)
    layers = [Layer(name, name, 0, "mean", 9, 1, 1)]
    write_store(tmp_path / path, sizes={"test": (8, 8), "unseen": (20,) * 5}, layers=layers, classes=("a", "b"))
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(block, found)
    assert (len(found["X"]), len(found["y"]), len({*found["y"].tolist()})) == (100, 100, 5)
