"""Which checkpoints a cell has: finetune writes these, later stages take no others. Imports no network library."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from stages.shared.settings.params import Params

MOST_STEPS = 10_000_000
"""Optimizer steps of a training; that many take weeks."""


class CheckpointSteps(Params):
    """The part of the `finetune` section that says which checkpoints there are; later stages read this part alone.

    Attributes:
        steps: optimizer steps after which the network is saved, tested and later embedded; training ends at the last.
            `[0]`: no training, and a random head (to measure a network as it is: `frozen`, docs/models.md).
        keep: which of them stay on disk: `all`, or `last` (accuracies of all are still recorded).
    """

    model_config = ConfigDict(extra="ignore")

    steps: Annotated[list[Annotated[int, Field(ge=0, le=MOST_STEPS)]], Field(min_length=1)]
    keep: Literal["all", "last"]

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError("must ascend, without repeats")
        return steps

    def kept(self, *, frozen: bool) -> tuple[int, ...]:
        """Steps of the checkpoints on disk, ascending; of a frozen network, step 0 alone."""
        if frozen:
            return (0,)
        return tuple(self.steps if self.keep == "all" else self.steps[-1:])
