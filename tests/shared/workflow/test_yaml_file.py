import os
from pathlib import Path

import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import read_yaml


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def test_values_are_read(path: Path):
    path.write_text("a: {b: [1, '2', null, true]} # [[[\n")
    assert read_yaml(path) == {"a": {"b": [1, "2", None, True]}}


def test_nothing_in_it_is_executed(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("executed"))
    for tag in ("!!python/object/apply:os.system [id]", "!!python/name:os.system", "!evil x"):
        path.write_text(f"a: {tag}\n")
        with pytest.raises(UserError, match="not valid YAML, line 1: could not determine a constructor for the tag"):
            read_yaml(path)


def test_the_parsers_advice_is_not_passed_on(path: Path):
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(UserError) as error:
        read_yaml(path)
    assert str(error.value).endswith('line 2: found duplicate key "a" with value "2" (original value: "1")')
    path.write_text(f"a: {'9' * 6000}\n")
    with pytest.raises(UserError) as error:
        read_yaml(path)
    assert str(error.value).endswith("value has 6000 digits")


def test_pipes_and_devices_are_refused_without_opening_them(path: Path):
    os.mkfifo(path)
    for special in (path, Path("/dev/zero")):
        with pytest.raises(UserError, match=r"must be a regular file, found a .*; give one with --params"):
            read_yaml(special)


def test_another_encoding_is_refused_as_dvc_does(path: Path):
    path.write_text("a: 1", encoding="utf-16")
    with pytest.raises(UserError, match="must be text in UTF-8"):
        read_yaml(path)
