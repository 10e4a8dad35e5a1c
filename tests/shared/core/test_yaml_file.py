import os
from pathlib import Path

import pytest

from stages.shared.core.params import MAX_BYTES, read_yaml
from stages.shared.runtime.errors import UserError


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
        with pytest.raises(UserError, match=r"must be a regular file, found a .*; name one with --params"):
            read_yaml(special)


def test_a_file_is_read_up_to_a_limit(path: Path):
    path.write_text("a: 1 #".ljust(MAX_BYTES))
    assert read_yaml(path) == {"a": 1}
    path.write_text("a: 1 #".ljust(MAX_BYTES + 1))
    with pytest.raises(UserError, match=f"must have at most {MAX_BYTES} bytes"):
        read_yaml(path)


def test_another_encoding_is_refused_as_dvc_does(path: Path):
    path.write_text("a: 1", encoding="utf-16")
    with pytest.raises(UserError, match="must be text in UTF-8"):
        read_yaml(path)


def test_merge_keys_are_refused_before_they_multiply(path: Path):
    """Eight lines of ten merges each would take a billion items."""
    lines = ["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 9))]
    for text in ("\n".join(lines), "a: &a {b: 1}\nc: {!!merge x: *a}\n", "a: &a {b: 1}\nc: {<<: *a}\n"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"line 2: merge keys \(<<\) are not read; write the items$"):
            read_yaml(path)
    path.write_text("a: &a {b: 1, '<<': 2}\nc: *a\n")  # an alias, and a text, as before
    assert read_yaml(path) == {"a": {"b": 1, "<<": 2}, "c": {"b": 1, "<<": 2}}
