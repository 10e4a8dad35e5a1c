"""What fine-tuning did to g: the last step against step 0, as two networks on the same folds.

It need not help: fine-tuning on seen classes can raise accuracy on them and lower g.
"""

from dataclasses import dataclass
from typing import Literal

from stages.aggregate.inference.contrasts import LEVEL, Estimate

Status = Literal["raised", "lowered", "not distinguishable"]


@dataclass(frozen=True)
class FineTuningFinding:
    """What fine-tuning did to one network.

    Attributes:
        network: its name.
        classes: g at the last step less g at step 0, on other classes and after training again, turned so that a
            positive difference is better; None with fewer than three folds.
        images: the same on these classes with these trained networks; None without halves.
        accuracy: that of chance, which a head that was not trained has, and at the last step; None where not measured.
    """

    network: str
    classes: Estimate | None
    images: Estimate | None
    accuracy: tuple[float, float] | None = None

    @property
    def on_other_classes(self) -> Status | None:
        """What holds for other classes; None where nothing can be said."""
        return fine_tuning_status(self.classes)

    @property
    def on_these_classes(self) -> Status | None:
        """What holds for these classes; None where nothing can be said."""
        return fine_tuning_status(self.images)


def fine_tuning_status(change: Estimate | None, level: float = LEVEL) -> Status | None:
    """Say whether the two-sided interval of a change lies above 0, below it, or holds it."""
    if change is None:
        return None
    low, high = change.interval(level)
    return "raised" if low > 0 else "lowered" if high < 0 else "not distinguishable"
