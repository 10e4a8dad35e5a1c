import os
from pathlib import Path

import pytest

from stages.shared.workflow import snapshot
from stages.shared.workflow.snapshot import code_changes, code_state, differences, file_states, flat, value_at


def test_code_is_hashed_file_by_file():
    state = code_state()
    assert state.keys() >= {"measure/__main__.py", "shared/networks/timm.py", "shared/workflow/digests.py"}
    assert state == snapshot.CODE_AT_START
    assert len(set(state.values())) > len(state) / 2


def test_changed_code_is_a_stages_own_or_imported_shared_code(monkeypatch: pytest.MonkeyPatch):
    names = ["measure/__main__.py", "measure/new.py", "embed/__main__.py", "shared/unused.py"]
    names += ["shared/workflow/digests.py", "shared/runtime/console.py"]  # of which the second decides nothing
    monkeypatch.setattr(snapshot, "CODE_AT_START", {**snapshot.CODE_AT_START, **dict.fromkeys(names, "another hash")})
    own = ["stages/measure/__main__.py", "stages/measure/new.py"]
    assert list(code_changes("measure")) == [*own, "stages/shared/workflow/digests.py"]


def test_files_are_known_by_size_and_time_below_folders_and_links_but_hidden_ones(tmp_path: Path):
    (tmp_path / "raw" / "cats").mkdir(parents=True)
    (tmp_path / "raw" / "cats" / "1.png").write_text("abc")
    (tmp_path / "raw" / ".DS_Store").touch()
    (tmp_path / "raw" / "lost").symlink_to("nowhere")
    os.mkfifo(tmp_path / "raw" / "pipe")
    (tmp_path / "link").symlink_to("raw")
    states = file_states(tmp_path / "link")
    assert {Path(path).name for path in states} == {"1.png", "lost", "pipe"}
    assert states[str(tmp_path / "link" / "cats" / "1.png")][0] == 3
    assert file_states(tmp_path / "raw" / "cats" / "1.png").keys() == {str(tmp_path / "raw" / "cats" / "1.png")}
    assert file_states(tmp_path / "none") == {}


def test_another_size_time_or_file_is_a_difference(tmp_path: Path):
    for name in "abcd":
        (tmp_path / name).write_text(name)
    before = file_states(tmp_path)
    (tmp_path / "a").write_text("longer")
    found = (tmp_path / "b").stat()
    os.utime(tmp_path / "b", ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    (tmp_path / "c").unlink()
    (tmp_path / "e").touch()
    changed = differences(before, file_states(tmp_path))
    assert changed == [str(tmp_path / name) for name in "abce"]


def test_parameters_are_looked_up_and_flattened_by_dotted_name():
    tree = {"models": {"a": {"network": {"name": "x", "weights": {"source": "hub"}, "mean": [1, 2]}}}}
    network = value_at(tree, "models.a.network")
    assert flat(network, "n") == {"n.name": "x", "n.weights.source": "hub", "n.mean": [1, 2]}
    assert value_at(tree, "models.b.network") is None
    assert flat(value_at(tree, "models.a.network.name"), "n") == {"n": "x"}
