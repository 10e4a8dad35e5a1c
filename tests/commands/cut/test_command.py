"""`whichlayer cut`: from a finished cell to a folder, and what it says."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.commands.cut.command import cut
from stages.commands.cut.folder import read_cut
from stages.commands.cut.source import CellPaths
from stages.shared.runtime.errors import UserError
from tests.commands.cut.finished import finish_cell


def test_a_finished_cell_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    params, _, paths = finish_cell(tmp_path / "cell")
    asked = []
    monkeypatch.setattr(CellPaths, "of", lambda cell: asked.append(cell) or paths)
    arguments = ["--from", "trees/tiny/0/3", "--layer", "blocks.1", "--params", str(params), "--no-onnx"]
    arguments += ["--out", str(tmp_path / "cut"), "--licence", "CC BY 4.0"]
    printed = CliRunner().invoke(cut, arguments, catch_exceptions=False).stdout
    assert asked == [("trees", "tiny", "0", 3)]
    assert printed.startswith("cut trees-tiny-0-3 at layer 3 of 7 (`blocks.1`): ")
    assert printed.endswith(f"from the embedding store; in {tmp_path / 'cut'}\n")
    about = read_cut(tmp_path / "cut")[0]
    assert (about["layer"], about["step"], about["fold"]) == ("blocks.1", 50, "0")
    with pytest.raises(UserError, match="cut: must not exist, since nothing is overwritten"):
        CliRunner().invoke(cut, arguments, catch_exceptions=False)
