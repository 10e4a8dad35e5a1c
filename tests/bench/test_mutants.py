from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="needs whichlayer[dev]")

from tests.bench.mutants import files_that_test, mutants_of

SOURCE = '''\
def clipped(values: Float | None, *, low: int = 2) -> Float | None:
    """Not below 2 + 1."""
    return np.clip(values.T.sum(axis=1), low - 1, 9) if low < 5 else values
'''


@pytest.fixture
def changes(tmp_path: Path) -> set[str]:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    return {mutant.after.removeprefix("return ") for mutant in mutants_of(path)}


def test_comparisons_arithmetic_and_numbers_are_changed(changes: set[str]):
    line = "np.clip(values.T.sum(axis=1), low - 1, 9) if low < 5 else values"
    for old, new in (
        ("low <", "low <="),
        ("low <", "low >="),
        ("low -", "low +"),
        (" 9", " 10"),
        ("axis=1", "axis= 0"),
    ):
        assert line.replace(old, new) in changes
    assert "def clipped(values: Float | None, *, low: int = 3) -> Float | None:" in changes


def test_mistakes_of_numeric_code_are_made(changes: set[str]):
    assert "values.T.sum(axis=1) if low < 5 else values" in changes
    assert "np.clip(values.sum(axis=1), low - 1, 9) if low < 5 else values" in changes
    assert "np.clip(values.T.sum(), low - 1, 9) if low < 5 else values" in changes


def test_annotations_signatures_and_docstrings_are_left_alone(changes: set[str]):
    assert not [change for change in changes if "&" in change or "/" in change or "Not below" in change]


def test_a_module_is_tested_by_its_mirror_first_and_then_by_its_users():
    narrow, wide = files_that_test(Path("stages/core/scores/kmeans.py"))
    assert narrow[0] == "tests/core/scores/test_kmeans.py"
    assert "tests/core/scores/test_probe.py" in wide
    assert set(narrow) < set(wide)
