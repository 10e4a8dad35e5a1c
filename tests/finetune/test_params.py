from typing import Any

import pytest

from stages.finetune.params import FinetuneParams, schedule_length
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.pydantic_says import at_most

VALUES = {
    "steps": [0, 50, 100], "keep": "all", "schedule_epochs": 4, "schedule_steps": None, "learning_rate": 2e-4,
    "batch_size": 72, "weight_decay": 0.0, "clip_norm": 1.0, "augment": {"degrees": 10.0, "padding": 20},
}  # fmt: skip


def params(**changes: Any) -> FinetuneParams:
    return parse({**VALUES, **changes}, FinetuneParams, where="finetune")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"steps": [0, 100, 50]}, "finetune.steps: must ascend, without repeats; found [0, 100, 50]"),
        ({"steps": [0, 0]}, "finetune.steps: must ascend, without repeats"),
        ({"schedule_epochs": None}, "schedule_epochs or schedule_steps must be a number, found null in both; give one"),
        ({"schedule_epoch": 4}, "finetune.schedule_epoch is not a parameter: did you mean 'schedule_epochs'"),
        (
            {"schedule_steps": 99},
            "finetune.schedule_steps: must be at least the last of finetune.steps, 100; lengthen it",
        ),
        ({"learning_rate": float("nan")}, f"finetune.learning_rate: {at_most(1000)}; found nan"),
    ],
)
def test_a_wrong_value_says_why(changes: dict[str, Any], expected: str):
    with pytest.raises(UserError) as error:
        params(**changes)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("schedule", "epochs", "images", "length"),
    [
        ({"epochs": 4}, None, 9100, 508),  # the paper's calligraphy
        ({"epochs": 4}, None, 10000, 556),  # its CIFAR-100
        ({"epochs": 4}, 5, 9100, 635),  # its ResNet
        ({"epochs": 4}, None, 1800, 100),
        ({"epochs": None, "steps": 508}, None, 10, 508),
        ({"epochs": None, "steps": 508}, 5, 10, 508),
        ({"epochs": 4, "steps": 100}, None, 10, 100),
    ],
)
def test_the_schedule_counts_last_batches(
    schedule: dict[str, int | None], epochs: int | None, images: int, length: int
):
    changes = {f"schedule_{name}": value for name, value in schedule.items()}
    assert schedule_length(params(**changes), images, epochs=epochs) == length


def test_steps_beyond_the_schedule_are_an_error_that_says_its_length():
    with pytest.raises(
        UserError, match=r"at most the schedule's length of 100 optimizer steps \(4 epochs of 25 batches, from 1800"
    ):
        schedule_length(params(steps=[0, 101]), 1800)
    assert schedule_length(params(steps=[0]), 1) == 4
