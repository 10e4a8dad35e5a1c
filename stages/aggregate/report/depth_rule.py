"""Finding (ii), "deeper is not always better": the rule, network by network."""

from dataclasses import dataclass
from typing import Literal

from stages.aggregate.inference.layer_comparison import Lead

Status = Literal["supported", "contradicted", "inconclusive", "out of scope"]


@dataclass(frozen=True)
class DepthFinding:
    """Whether an earlier layer of one network separates unseen classes better than the last.

    Attributes:
        network: its name.
        lead: cross-fitted: of a layer that was chosen on other folds, or on the other half; None where not computed.
        classes: best earlier layer against the last on other classes of the domain; None with fewer than three folds.
        images: the same for these classes; None without halves.
        in_scope: whether some layer is shown to beat raw pixels; True where these were not measured.
    """

    network: str
    lead: float | None
    classes: Lead | None
    images: Lead | None
    in_scope: bool

    @property
    def on_other_classes(self) -> Status | None:
        """What holds for other classes of the domain; None where nothing can be said."""
        return self._status(self.classes)

    @property
    def on_these_classes(self) -> Status | None:
        """What holds for these classes; None where nothing can be said."""
        return self._status(self.images)

    def _status(self, lead: Lead | None) -> Status | None:
        return None if lead is None else lead.status if self.in_scope else "out of scope"


def judge_depth(
    network: str, lead: float | None, *, classes: Lead | None, images: Lead | None, over_pixels: Lead | None
) -> DepthFinding:
    """Rule on one network.

    Args:
        network: its name.
        lead: cross-fitted lead of the best earlier layer over the last.
        classes: best earlier layer against the last, on other classes.
        images: the same, on these classes.
        over_pixels: best of all layers against raw pixels, in the scope in which most is known; None where raw pixels
            were not measured. A network that does not beat them has learnt nothing that depth could be asked about.
    """
    return DepthFinding(network, lead, classes, images, over_pixels is None or over_pixels.low > 0)
