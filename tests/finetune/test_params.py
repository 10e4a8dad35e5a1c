from typing import Any

import pytest

from stages.finetune.params import FinetuneParams, schedule_length
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import parse

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
        ({"steps": []}, "finetune.steps: List should have at least 1 item"),
        ({"steps": [-1]}, "finetune.steps.0: Input should be greater than or equal to 0"),
        ({"steps": 100}, "finetune.steps: Input should be a valid list; found 100 (int)"),
        ({"keep": "first"}, "finetune.keep: Input should be 'all' or 'last'"),
        ({"schedule_epochs": None}, "schedule_epochs or schedule_steps must be a number, found null in both; give one"),
        ({"schedule_epoch": 4}, "finetune.schedule_epoch is not a parameter: did you mean 'schedule_epochs'"),
        ({"schedule_epochs": 0}, "finetune.schedule_epochs: Input should be greater than or equal to 1"),
        (
            {"schedule_steps": 99},
            "finetune.schedule_steps: must be at least the last of finetune.steps, 100; lengthen it",
        ),
        ({"learning_rate": 0}, "finetune.learning_rate: Input should be greater than 0"),
        ({"learning_rate": float("inf")}, "finetune.learning_rate: Input should be less than or equal to 1000"),
        ({"learning_rate": 1e300}, "finetune.learning_rate: Input should be less than or equal to 1000; found 1e+300"),
        ({"learning_rate": float("nan")}, "finetune.learning_rate: Input should be"),
        ({"steps": [0, 10**12]}, "finetune.steps.1: Input should be less than or equal to 10000000; found"),
        ({"schedule_steps": 10**12}, "finetune.schedule_steps: Input should be less than or equal to 10000000; found"),
        ({"schedule_epochs": 10**30}, "finetune.schedule_epochs: Input should be less than or equal to 10000000"),
        ({"batch_size": 10**30}, "finetune.batch_size: Input should be less than or equal to 1000000"),
        ({"weight_decay": 1e300}, "finetune.weight_decay: Input should be less than or equal to 1000"),
        ({"clip_norm": 1e300}, "finetune.clip_norm: Input should be less than or equal to"),
        ({"learning_rate": "2e-4"}, "finetune.learning_rate: Input should be a valid number; found '2e-4' (str)"),
        ({"batch_size": 0}, "finetune.batch_size: Input should be greater than or equal to 1"),
        ({"weight_decay": -0.1}, "finetune.weight_decay: Input should be greater than or equal to 0"),
        ({"clip_norm": 0}, "finetune.clip_norm: Input should be greater than 0"),
        ({"augment": {"degrees": 10.0}}, "finetune.augment.padding is missing"),
        (
            {"augment": {"degrees": 200, "padding": 0}},
            "finetune.augment.degrees: Input should be less than or equal to 180",
        ),
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
