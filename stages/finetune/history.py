"""The table of one training run: loss, test accuracy and learning rate against the step."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ..shared.networks.training_table import write_training
from ..shared.runtime.errors import UserError
from ..shared.workflow.digests import cell_id
from ..shared.workflow.params import Cell


@dataclass
class History:
    """Collects losses on the device and turns them into rows.

    Attributes:
        rows: step, loss (mean since the row before; NaN at step 0), accuracy (NaN unless tested), learning_rate (of the
            step to come; NaN if there is none). A frozen network has one row, of step 0.
        skipped: optimizer steps without an update, because fp16 gradients overflowed (the loss scale then shrinks).
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    skipped: int = 0
    _losses: list[Tensor] = field(default_factory=list)

    def add_loss(self, loss: Tensor) -> None:
        """Add one step's loss, a scalar on any device, without waiting for it."""
        self._losses.append(loss.detach())

    def add_row(self, step: int, *, learning_rate: float = math.nan, accuracy: float = math.nan) -> None:
        """Close a row after `step` optimizer steps. `check_losses` must come first."""
        loss = float(torch.stack(self._losses).double().mean()) if self._losses else math.nan
        self._losses.clear()
        self.rows.append({"step": step, "loss": loss, "accuracy": accuracy, "learning_rate": learning_rate})

    def check_losses(self, step: int) -> None:
        """Check the losses since the last row.

        Args:
            step: optimizer steps taken so far.

        Raises:
            UserError: one is NaN or infinite: names the first such step and the likely remedies.
        """
        losses = torch.stack(self._losses).tolist() if self._losses else []
        for number, loss in enumerate(losses, start=step - len(losses) + 1):
            if not math.isfinite(loss):
                raise diverged(f"the training loss at optimizer step {number} is {loss}")

    def state(self) -> dict[str, Any]:
        """Return all that it holds, as tensors and plain values."""
        losses = torch.stack(self._losses).cpu() if self._losses else torch.empty(0)
        return {"rows": self.rows, "losses": losses}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Become what `state` gave; losses go to the device on which more will be added."""
        self.rows = list(state["rows"])
        self._losses = list(state["losses"].to(device).unbind())

    def summary(self) -> str:
        """Return in one phrase what was trained."""
        last = self.rows[-1]
        if math.isnan(last["accuracy"]):
            return "measured as it is (frozen)"
        skipped = f" ({self.skipped} without an update: fp16 overflow)" if self.skipped else ""
        return f"{last['step']:.0f} optimizer steps{skipped}, test accuracy {last['accuracy']:.3f}"

    def write(self, path: Path, cell: Cell) -> None:
        """Write the rows with the cell's names, in the columns of `stages.shared.networks.training_table`."""
        write_training(path, pd.DataFrame(self.rows).assign(**cell_id(cell)), cell)


def diverged(what: str) -> UserError:
    """Return the error of a training run with numbers that are not finite."""
    return UserError(
        f"training diverged: {what}, which must be finite. Lower finetune.learning_rate; on a GPU, train without fp16 "
        "(WHICHLAYER_PRECISION=bf16, or no); check the dataset's images and the network's initial weights"
    )
