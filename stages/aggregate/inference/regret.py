"""What a choice lost to the best candidate: between what, since the best one is known from the same images alone."""

from collections.abc import Sequence

import numpy as np

from stages.aggregate.inference.contrasts import Float64


def regret_between(halves: Float64, gains: Float64, chosen: Sequence[int]) -> tuple[float, float]:
    """Bracket the regret of a choice, in expectation.

    The best candidate of all images looks better than it is: the loss to it is too large. The best one of each half of
    the images, scored on the other half, is not always the best: the loss to that is too small.

    Args:
        halves: (B, C) scores of C candidates on halves, higher is better; halves 2 i and 2 i + 1 are a pair.
        gains: (C,) scores on all images, higher is better.
        chosen: indices of the choice; of several, one is drawn at random.

    Returns:
        At least, negative where the choice did better than the best of the halves, and at most.
    """
    other = np.arange(len(halves)) ^ 1
    best = halves[other, halves.argmax(axis=1)].mean()
    at_most = float(gains.max() - gains[list(chosen)].mean())
    return min(float(best - halves[:, list(chosen)].mean()), at_most), at_most
