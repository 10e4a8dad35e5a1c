"""When a training run keeps where it stands: at every checkpoint and, between them, as often as is cheap."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stages.finetune.training_state import TrainingState
from stages.shared.stage_run.kept_work import KeptWork

EVERY_SECONDS = 30.0
"""Least time between two resume points that are not at checkpoints."""

SHARE_OF_TIME = 0.02
"""Most of the training time that these may take."""


@dataclass
class ResumePoints:
    """Keeps a training run in its work folder and brings it back.

    Attributes:
        work: the folder.
        weights: where checkpoints are written, in it.
        say: prints one line.
    """

    work: KeptWork
    weights: Path
    say: Callable[[str], None]
    _cost: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def restore(self, state: TrainingState) -> int:
        """Bring a run to where an earlier one was kept.

        Args:
            state: the run, before its first step.

        Returns:
            The number of steps taken; 0: nothing was kept.
        """
        if self.work.progress is None:
            return 0
        step = int(self.work.progress["step"])
        if not state.read(self._path(step)):
            self.say("starts anew: this network adds tensors to itself in training, which cannot be brought back")
            return 0
        self.say(f"goes on after {self.work.progress['done']}, where an earlier run was stopped")
        return step

    def after_step(self, step: int, state: TrainingState, *, last: int, checkpoint: bool) -> None:
        """Keep the run if this is a checkpoint, or if keeping it is due.

        Args:
            step: optimizer steps taken.
            state: the run.
            last: the step at which it ends, for messages.
            checkpoint: whether a checkpoint of this step was just written.
        """
        began = time.monotonic()
        if not checkpoint and began - self._last < max(EVERY_SECONDS, self._cost / SHARE_OF_TIME):
            return
        self.work.folder.mkdir(parents=True, exist_ok=True)
        state.write(self._path(step))
        progress = {"step": step, "done": f"optimizer step {step} of {last}"}
        self.work.keep(progress, [self._path(step), *sorted(self.weights.glob("*.safetensors"))])
        self._last = time.monotonic()
        self._cost = self._last - began

    def _path(self, step: int) -> Path:
        return self.work.folder / f"training_{step:06d}.pt"
