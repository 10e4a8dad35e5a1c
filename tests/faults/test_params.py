"""A wrong params file is one message, whatever is wrong; none hangs, and none ends in a traceback."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stages.commands.check import check_sections
from stages.commands.config import parse_config, read_config
from stages.shared.runtime.errors import CONTROL, UserError, printable
from stages.shared.workflow.params import checked, read_yaml
from tests.faults.changed_params import FEW, small_params
from tests.faults.params import mutated, mutated_text

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = read_yaml(ROOT / "params.yaml")
LEAST_REFUSED = 0.5
"""Share of the changed files that are wrong, at least; the others hold other legal values."""


def refused(check: Callable[[], object], seed: int) -> bool:
    """Whether a check refuses what it is given, with one message."""
    try:
        check()
    except UserError as error:
        said = printable(str(error))
        assert 0 < len(said) < 10_000, f"seed {seed}"
        assert not CONTROL.search(said.replace("\n", "")), f"seed {seed}: {said!r}"
        assert "Error(" not in said, f"seed {seed}: {said}"
        return True
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    return False


def test_wrong_values_are_one_message():
    def check(seed: int) -> None:
        check_sections(parse_config(checked(mutated(CONTENT, seed), Path("params.yaml"))))

    count = sum(refused(partial(check, seed), seed) for seed in range(600))
    assert count > LEAST_REFUSED * 600


@pytest.fixture(scope="module")
def small() -> str:
    return small_params()


def test_a_wrong_text_is_one_message(small: str, tmp_path: Path):
    path = tmp_path / "mutated.yaml"

    def check(seed: int) -> None:
        path.write_bytes(mutated_text(small, seed).encode("utf-8", "surrogatepass"))
        check_sections(read_config(path))

    count = sum(refused(partial(check, seed), seed) for seed in range(150))
    assert count > LEAST_REFUSED * 150


def test_the_file_that_is_mutated_is_right(small: str, tmp_path: Path):
    (tmp_path / "params.yaml").write_text(small)
    config = read_config(tmp_path / "params.yaml")
    check_sections(config)
    assert {*config.datasets, *config.models} == FEW
