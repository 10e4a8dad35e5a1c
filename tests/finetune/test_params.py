from typing import Any

import pytest

from stages.finetune.params import FinetuneParams, schedule_length
from stages.shared.core.params import parse
from stages.shared.runtime.errors import UserError
from tests.pydantic_says import a, above, at_least, at_least_items, at_most, one_of

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
        ({"steps": []}, f"finetune.steps: {at_least_items(1, 0)}"),
        ({"steps": [-1]}, f"finetune.steps.0: {at_least(0)}"),
        ({"steps": 100}, f"finetune.steps: {a('list')}; found 100 (int)"),
        ({"keep": "first"}, f"finetune.keep: {one_of('all', 'last')}"),
        ({"schedule_epochs": None}, "schedule_epochs or schedule_steps must be a number, found null in both; give one"),
        ({"schedule_epoch": 4}, "finetune.schedule_epoch is not a parameter: did you mean 'schedule_epochs'"),
        ({"schedule_epochs": 0}, f"finetune.schedule_epochs: {at_least(1)}"),
        (
            {"schedule_steps": 99},
            "finetune.schedule_steps: must be at least the last of finetune.steps, 100; lengthen it",
        ),
        ({"learning_rate": 0}, f"finetune.learning_rate: {above(0)}"),
        ({"learning_rate": float("inf")}, f"finetune.learning_rate: {at_most(1000)}"),
        ({"learning_rate": 1e300}, f"finetune.learning_rate: {at_most(1000)}; found 1e+300"),
        ({"learning_rate": float("nan")}, f"finetune.learning_rate: {at_most(1000)}; found nan"),
        ({"steps": [0, 10**12]}, f"finetune.steps.1: {at_most(10000000)}; found"),
        ({"schedule_steps": 10**12}, f"finetune.schedule_steps: {at_most(10000000)}; found"),
        ({"schedule_epochs": 10**30}, f"finetune.schedule_epochs: {at_most(10000000)}"),
        ({"batch_size": 10**30}, f"finetune.batch_size: {at_most(1000000)}"),
        ({"weight_decay": 1e300}, f"finetune.weight_decay: {at_most(1000)}"),
        ({"clip_norm": 1e300}, f"finetune.clip_norm: {at_most(1000)}"),
        ({"learning_rate": "2e-4"}, f"finetune.learning_rate: {a('float')}; found '2e-4' (str)"),
        ({"batch_size": 0}, f"finetune.batch_size: {at_least(1)}"),
        ({"weight_decay": -0.1}, f"finetune.weight_decay: {at_least(0)}"),
        ({"clip_norm": 0}, f"finetune.clip_norm: {above(0)}"),
        ({"augment": {"degrees": 10.0}}, "finetune.augment.padding is missing"),
        (
            {"augment": {"degrees": 200, "padding": 0}},
            f"finetune.augment.degrees: {at_most(180)}",
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
