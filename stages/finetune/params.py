"""The `finetune` section of params.yaml."""

import math
from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ..shared.runtime.errors import UserError
from ..shared.workflow.params import MAX_STEPS, CheckpointSteps, Params

Length = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class AugmentParams(Params):
    """The training transform; {degrees: 0, padding: 0} turns it off.

    Attributes:
        degrees: every image is rotated by an angle uniform in [-degrees, degrees].
        padding: width in pixels, at 224 px, of the padding that a rotation may uncover: 20 px suffice for 10 degrees.
            Beyond it the image is black.
    """

    degrees: Annotated[float, Field(ge=0, le=180)]
    padding: Annotated[int, Field(ge=0, le=224)]


class FinetuneParams(CheckpointSteps):
    """How a network is fine-tuned on the seen classes.

    `CheckpointSteps` has `steps` and `keep`.

    Attributes:
        schedule_epochs: length of the linear decay of the learning rate to 0, in epochs; at least as long as the
            training.
        schedule_steps: the same in optimizer steps; if given, it replaces the epochs. At least the last of `steps`.
        learning_rate: learning rate at the first step.
        batch_size: images per optimizer step.
        weight_decay: AdamW's weight decay, for weights of at least two dimensions (not biases, not normalization).
        clip_norm: largest norm of the gradient of all weights together.
        augment: the training transform.
    """

    model_config = ConfigDict(extra="forbid")

    schedule_epochs: Length | None
    schedule_steps: Length | None
    learning_rate: Annotated[float, Field(gt=0, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    weight_decay: Annotated[float, Field(ge=0, le=1000)]
    clip_norm: Annotated[float, Field(gt=0, le=1e12)]
    augment: AugmentParams

    @field_validator("schedule_steps")
    @classmethod
    def _outlasts_training(cls, schedule_steps: int | None, info: ValidationInfo) -> int | None:
        last = info.data.get("steps", [0])[-1]
        if schedule_steps is not None and schedule_steps < last:
            raise ValueError(f"must be at least the last of finetune.steps, {last}; lengthen it or lower those")
        return schedule_steps

    @model_validator(mode="after")
    def _has_a_schedule(self) -> Self:
        if self.schedule_epochs is None and self.schedule_steps is None:
            raise ValueError("schedule_epochs or schedule_steps must be a number, found null in both; give one")
        return self


def schedule_length(params: FinetuneParams, train_images: int, *, epochs: int | None = None) -> int:
    """Compute the schedule's length in optimizer steps; the last, smaller batch of an epoch counts as one.

    Args:
        params: the section.
        train_images: number of train images N, >= 1.
        epochs: the network's own number of epochs, in place of `schedule_epochs`; `schedule_steps` stands.

    Raises:
        UserError: the last of `params.steps` lies beyond it.
    """
    if params.schedule_steps is not None:
        return params.schedule_steps
    per_epoch = math.ceil(train_images / params.batch_size)
    count = epochs or params.schedule_epochs or 0
    length = count * per_epoch
    if params.steps[-1] > length:
        raise UserError(
            f"finetune.steps: the last must be at most the schedule's length of {length} optimizer steps ({count} "
            f"epochs of {per_epoch} batches, from {train_images} train images by {params.batch_size}), "
            f"found {params.steps[-1]}; lower the steps or raise finetune.schedule_epochs"
        )
    return length
