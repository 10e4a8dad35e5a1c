"""Which checkpoints a cell has, from the part of `finetune` that embed reads too."""

from typing import Any

import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import CheckpointSteps, parse


def steps(**values: Any) -> CheckpointSteps:
    return parse({"steps": [0, 50, 100], "keep": "all", **values}, CheckpointSteps, where="finetune")


def test_all_or_the_last_are_kept_and_step_0_of_a_frozen_network() -> None:
    assert steps().kept(frozen=False) == (0, 50, 100)
    assert steps(keep="last").kept(frozen=False) == (100,)
    assert steps(steps=[50, 100]).kept(frozen=True) == steps(keep="last").kept(frozen=True) == (0,)


def test_what_only_training_needs_is_not_looked_at() -> None:
    assert steps(learning_rate="high").kept(frozen=False) == (0, 50, 100)


@pytest.mark.parametrize(
    "wrong", [{"steps": []}, {"steps": [50, 0]}, {"steps": [0, 0]}, {"steps": [-1]}, {"keep": "one"}]
)
def test_a_wrong_value_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"finetune\.{next(iter(wrong))}"):
        steps(**wrong)
