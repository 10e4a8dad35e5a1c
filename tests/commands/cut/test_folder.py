"""A cut's folder: what is written is read, and what is damaged is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.commands.cut.folder import Cut, read_cut, write_json
from stages.shared.runtime.errors import UserError


def write(path: Path) -> Cut:
    path.mkdir()
    cut = Cut(path, "trees", "tiny", "0", 3, 50, "blocks.1", 2, "class_token", 64, 32, "pad", 128)
    write_json(path / "preprocess.json", cut.preprocess())
    write_json(path / "card.json", {**cut.card(), "more": {}})
    (path / "model.pt2").write_bytes(b"")
    return cut


def test_a_folder_says_what_was_written(tmp_path: Path):
    cut = write(tmp_path / "cut")
    assert read_cut(tmp_path / "cut") == cut
    preprocess = json.loads((tmp_path / "cut" / "preprocess.json").read_text())
    assert preprocess["input"] == {"name": "pixels", "dtype": "uint8", "shape": ["batch", 3, 32, 32]}
    assert preprocess["output"] == {"name": "embedding", "dtype": "float32", "shape": ["batch", 64]}
    assert (preprocess["decode"]["fit"], preprocess["decode"]["fill"]) == ("pad", 128)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_no_cut_is_named(tmp_path: Path):
    path = tmp_path / "cut"
    with pytest.raises(UserError, match=r"preprocess\.json: no such file; a cut has one"):
        read_cut(path)
    write(path)
    edit(path / "card.json", layer={"name": "blocks.1"})
    with pytest.raises(UserError, match=r"lacks something \('depth'\)"):
        read_cut(path)
    edit(path / "card.json", format="whichlayer.cut/0")
    with pytest.raises(UserError, match=r"must be of format whichlayer\.cut/1, found 'whichlayer\.cut/0'"):
        read_cut(path)
    (path / "card.json").write_text("{")
    with pytest.raises(UserError, match=r"card\.json: must be a JSON file"):
        read_cut(path)


def test_a_folder_without_the_network_is_named(tmp_path: Path):
    write(tmp_path / "cut")
    (tmp_path / "cut" / "model.pt2").unlink()
    with pytest.raises(UserError, match=r"must hold model\.pt2"):
        read_cut(tmp_path / "cut")
