"""The two scopes of a statement, the columns of each, and in which of them a score's intervals have a proven level."""

from itertools import chain
from typing import Literal

from stages.aggregate.columns import BOOLEAN
from stages.shared.core.csv_table import FLOAT

Scope = Literal["classes", "images"]
"""What a statement is about: other classes of the domain, or other images of these classes."""

BOTH: tuple[Scope, ...] = ("classes", "images")

INTERVAL_ENDS = {scope: (f"ci_{scope}_low", f"ci_{scope}_high") for scope in BOTH}
TIED = {scope: f"tied_{scope}" for scope in BOTH}
LEADS = {scope: (f"lead_{scope}", f"lead_{scope}_at_least", f"lead_{scope}_at_most") for scope in BOTH}
"""Names of the columns of each scope, the wider one first."""

INTERVALS = dict.fromkeys(chain(*INTERVAL_ENDS.values()), FLOAT)
COMPARISONS = dict.fromkeys(TIED.values(), BOOLEAN) | dict.fromkeys(chain(*LEADS.values()), FLOAT)
UNCERTAINTY = INTERVALS | COMPARISONS
"""How sure an unseen point at its last step is. From `lead_classes` on it is the whole curve's, repeated at each point.

Attributes:
    ci_classes_low, ci_classes_high: interval: other classes, training repeated; it does not know of the layer's choice.
    ci_images_low, ci_images_high: interval: other images of these classes, these networks; nor does it.
    lead_classes, lead_classes_at_least, lead_classes_at_most: estimate of the best earlier layer's lead over the last,
        which can be negative, and its bounds: other classes.
    lead_images, lead_images_at_least, lead_images_at_most: the same: other images.
"""

PROVEN: dict[str, tuple[Scope, ...]] = {
    "nmi": ("classes",),
    "ami": ("classes",),
    "knn_purity": BOTH,
    "nn1_accuracy": BOTH,
    "silhouette": ("images",),
    "r_precision": BOTH,
    "map_at_r": BOTH,
}
"""The scopes in which simulation bears out the level of a score's intervals; docs/uncertainty.md#validation names the
designs with less than 0.92. A score that is not listed has none."""


def is_proven(metric: str, scope: Scope) -> bool:
    """Return whether statements about a score keep their level in a scope; only then is a claim supported by it."""
    return scope in PROVEN.get(metric, ())
