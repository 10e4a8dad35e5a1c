"""The two scopes of a statement, and in which of them a score's intervals have a proven level."""

from typing import Literal

Scope = Literal["classes", "images"]
"""What a statement is about: other classes of the domain, or other images of these classes."""

BOTH: tuple[Scope, ...] = ("classes", "images")

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
