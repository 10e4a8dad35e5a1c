"""The statuses of the findings, and of what fine-tuning did, each by the words that all texts use."""

from enum import StrEnum

from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead


class Claim(StrEnum):
    """What is put to the test; the paper claims the first two."""

    ACCURACY = "accuracy"
    DEPTH = "depth"
    FINE_TUNING = "fine_tuning"


class Status(StrEnum):
    """What holds of a claim, in the order in which statuses are counted."""

    SHOWN = "shown"
    SHOWN_HERE = "shown for these classes and trained networks"
    NO_COUNTER_EXAMPLE = "no counter-example"
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"
    RAISED = "raised"
    LOWERED = "lowered"
    NOT_DISTINGUISHABLE = "not distinguishable"
    OUT_OF_SCOPE = "out of scope"
    UNKNOWN = "cannot be judged"


class Reason(StrEnum):
    """Why a claim cannot be judged, or a network is out of its scope."""

    NO_HEAD = "no fine-tuned head"
    NO_ACCURATE_NETWORK = "no accurate network"
    ONE_ACCURATE_NETWORK = "one accurate network"
    NO_INTERVAL = "no interval of a proven level"
    ONE_LAYER = "one layer"
    NO_STEPS = "no step 0 beside a later step"
    NOT_AT_START = "the score was not measured at step 0"
    LESS_ACCURATE = "less accurate than the best"
    PIXELS_AS_ACCURATE = "not above raw pixels"
    NO_LAYER_BEATS_PIXELS = "no layer is shown to beat chance and raw pixels"


def lead_status(lead: Lead) -> Status:
    """Return whether some layer is shown to be better than the last, or none is."""
    return Status.SUPPORTED if lead.low > 0 else Status.CONTRADICTED if lead.high <= 0 else Status.INCONCLUSIVE


def change_status(change: Estimate) -> Status:
    """Return whether the two-sided interval of a change lies above 0, below it, or holds it."""
    low, high = change.interval()
    return Status.RAISED if low > 0 else Status.LOWERED if high < 0 else Status.NOT_DISTINGUISHABLE
