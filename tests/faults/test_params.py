"""A wrong params file is one message, whatever is wrong; none hangs, and none ends in a traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.commands.check.sections import check_sections
from stages.commands.config import parse_config, read_config
from stages.shared.runtime.errors import CONTROL, UserError, printable
from stages.shared.settings.params import checked
from stages.shared.settings.yaml_file import read_yaml
from tests.faults.changed_params import FEW, small_params
from tests.faults.params import mutated, mutated_text

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = read_yaml(ROOT / "params.yaml")
SEEDS = st.integers(0, 2**32)


def check_message(error: UserError) -> None:
    said = printable(str(error))
    assert 0 < len(said) < 10_000
    assert not CONTROL.search(said.replace("\n", ""))
    assert "Error(" not in said


@settings(max_examples=600, derandomize=True, deadline=None, database=None)
@given(SEEDS)
def test_wrong_values_are_one_message(seed: int):
    content = mutated(CONTENT, seed)
    try:
        check_sections(parse_config(checked(content, Path("params.yaml"))))
    except UserError as error:
        check_message(error)


@pytest.fixture(scope="module")
def small() -> str:
    return small_params()


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(SEEDS)
def test_a_wrong_text_is_one_message(small: str, tmp_path_factory: pytest.TempPathFactory, seed: int):
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_bytes(mutated_text(small, seed).encode("utf-8", "surrogatepass"))
    try:
        check_sections(read_config(path))
    except UserError as error:
        check_message(error)


def test_the_file_that_is_mutated_is_right(small: str, tmp_path: Path):
    (tmp_path / "params.yaml").write_text(small)
    config = read_config(tmp_path / "params.yaml")
    check_sections(config)
    assert {*config.datasets, *config.models} == FEW
