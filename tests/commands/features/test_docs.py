"""The classifier of new classes that docs/use.md shows runs on an embedding store, and prints its accuracies."""

import ast
import re
from pathlib import Path

import pytest

from stages.shared.embeddings.embeddings import Layer
from tests.measure.synthetic import write_store

PAGE = Path(__file__).parents[3] / "docs" / "use.md"


def test_the_classifier_of_new_classes_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    blocks = re.findall(r"```python\n(.+?)```", PAGE.read_text(), flags=re.S)
    first = next(n for n, each in enumerate(blocks) if "open_zarr" in each)
    block = "\n".join(blocks[first : first + 2])
    (path,) = re.findall(r'open_zarr\("(.+?)"', block)
    (named,) = re.findall(r"for layer in (\(.+?\)):", block)
    layers = [Layer(name, name, depth, "mean", 9, 1, 1) for depth, name in enumerate(ast.literal_eval(named))]
    (tmp_path / path).parent.mkdir(parents=True)
    write_store(tmp_path / path, sizes={"test": (8, 8), "unseen": (20,) * 5}, layers=layers, classes=("a", "b"))
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert list(printed) == [layer.name for layer in layers]
    assert all(0.2 < float(score) <= 1 for score in printed.values())
