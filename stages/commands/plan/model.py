"""What stages take by counts of images, layers and operations alone, in seconds of a processor.

A study that takes less than a minute by them is not timed, which would take as long. Measured on one machine, to within
a factor of 2 to 3: EfficientNet-Lite0 at 64 px, layers of 500 to 10,000 images in 5 to 100 classes, joins of 9 layers.
"""

from collections.abc import Sequence

from ...core.representations.candidates import FITTED, list_candidates
from ...core.representations.choice import MIN_FITTED_CLASSES
from ...core.scores.refits import MAX_GROUPS
from ...measure.params import RepresentationsParams

UNTIMED = 60.0
"""Seconds below which a study is not timed."""

START = 6.0
"""Of one process: imports, and building a network."""

OPERATIONS = 8e9
"""Multiply-adds of a network's forward pass in a second."""

PER_IMAGE_AND_CLASS = 3e-4
"""Of one layer's scores and refits, k-means above all."""

PER_IMAGE, PER_PAIR = 1e-5, 1.5e-8
"""Of one candidate of the analysis `representations`, without each set and group of classes: per image, and per pair in
one gallery."""


def network_seconds(passed: float, operations: int) -> float:
    """Of a process that passes so many images forward, of so many multiply-adds each; training counts three times."""
    return START + passed * operations / OPERATIONS


def score_seconds(layers: float, splits: Sequence[tuple[int, int]]) -> float:
    """Of so many layers' scores, of splits of so many images and classes."""
    return layers * sum(images * classes for images, classes in splits) * PER_IMAGE_AND_CLASS


def representations_seconds(
    params: RepresentationsParams, layers: Sequence[str], images: int, classes: int, sets: int
) -> float:
    """Of the analysis `representations`, which looks at all sets of unseen classes at once.

    Args:
        params: its candidates.
        layers: names.
        images, classes: of all sets together.
        sets: number of them; of one there is no such analysis.
    """
    if sets < 2:
        return 0.0
    many = classes >= MIN_FITTED_CLASSES
    recipes = {"plain", *(recipe for recipe in params.recipes if many or recipe not in FITTED)}
    count = len(list_candidates(dict.fromkeys(layers, ""), {"single", *params.joins}, recipes))
    parts = sets + min(classes, MAX_GROUPS) * many
    return count * parts * (images * PER_IMAGE + images**2 / sets * PER_PAIR)
