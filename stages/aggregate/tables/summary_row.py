"""One row of summary.csv: one score of one network on one dataset, at its last step. It loads no table library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.choose import Levels, unbeaten_by
from ...core.inference.layer_comparison import Bounds, Level
from ...core.inference.scopes import is_proven
from ...core.scores.description import BOTH, Better, Scope, sign_of

INTERVAL_ENDS = {scope: (f"ci_{scope}_low", f"ci_{scope}_high") for scope in BOTH}
TIED = {scope: f"tied_{scope}" for scope in BOTH}
LEADS = {scope: (f"lead_{scope}", f"lead_{scope}_at_least", f"lead_{scope}_at_most") for scope in BOTH}
"""Names of the columns of each scope, the wider one first."""


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One row of summary.csv, None where a field is empty.

    Of fold `mean` the best layer is that of the mean over folds and seeds, of equally good ones (within 1e-6) the
    shallowest. The raw-pixel baseline is never chosen.

    Attributes:
        step, n_folds, n_seeds: the step, and the numbers of folds and seeds in every mean.
        seen, seen_layer, seen_depth: maximum of the seen curve (minimum if lower is better), and its layer.
        unseen, best_layer, best_depth: g, the maximum of the unseen curve, and its layer; chosen and scored on the same
            images.
        last_layer, last_depth, last_value: the deepest layer and its unseen score.
        accuracy, accuracy_chance: accuracy of the network's own head on test images of the seen classes, and the
            accuracy of guessing; empty for a network that was not fine-tuned.
        seen_sd, unseen_sd, last_value_sd, accuracy_sd: standard deviations (ddof = 1) at the chosen layer: over seeds,
            in rows `mean` over folds if there are several.
        baseline: unseen score of the raw pixels.
        chance, ceiling: chance and ceiling of the best layer's score.
        main: true in the row that the verdict uses: main score, main pooling, fold `mean`.
        tied_classes, tied_images: depths of the layers that are not distinguishable from the best, in each scope,
            joined by `;`.
        seen_matched, unseen_matched: maxima of the curves with as many classes and images in both splits; these may be
            compared (docs/scores.md#matched-classes).
    """

    dataset: str
    model: str
    fold: str
    pooling: str
    step: int
    n_folds: int
    n_seeds: int
    metric: str
    seen: float | None = None
    unseen: float
    best_layer: str
    best_depth: int
    last_depth: int
    last_value: float | None = None
    accuracy: float | None = None
    seen_sd: float | None = None
    unseen_sd: float | None = None
    last_value_sd: float | None = None
    accuracy_sd: float | None = None
    baseline: float | None = None
    chance: float | None = None
    ceiling: float | None = None
    last_layer: str
    seen_layer: str | None = None
    seen_depth: int | None = None
    main: bool
    better: Better
    ci_classes_low: float | None = None
    ci_classes_high: float | None = None
    ci_images_low: float | None = None
    ci_images_high: float | None = None
    lead_classes: float | None = None
    lead_classes_at_least: float | None = None
    lead_classes_at_most: float | None = None
    lead_images: float | None = None
    lead_images_at_least: float | None = None
    lead_images_at_most: float | None = None
    tied_classes: str | None = None
    tied_images: str | None = None
    seen_matched: float | None = None
    unseen_matched: float | None = None
    accuracy_chance: float | None = None

    @property
    def tied_scope(self) -> Scope | None:
        """The wider scope in which ties are known, as figures show them; None where they are in none."""
        return next((scope for scope, column in TIED.items() if getattr(self, column)), None)

    @property
    def tied_depths(self) -> list[int]:
        """Depths of the layers that tie with the best in that scope; may be empty."""
        return [int(depth) for depth in getattr(self, TIED[self.tied_scope]).split(";")] if self.tied_scope else []

    def unbeaten_by(self, value: float) -> tuple[Level, float] | None:
        """The baseline that a score does not beat, raw pixels first, and its score; None where it beats both."""
        sign, levels = sign_of(self.better), self.levels
        level = unbeaten_by(sign * value, levels)
        return None if level is None else (level, sign * levels[level])

    @property
    def levels(self) -> Levels:
        """What a layer must beat, as far as it was measured, turned so that higher is better."""
        levels: dict[Level, float | None] = {"raw_pixels": self.baseline, "chance": self.chance}
        return {name: sign_of(self.better) * level for name, level in levels.items() if level is not None}

    @property
    def intervals(self) -> dict[Scope, tuple[Any, ...]]:
        """Intervals of the best layer's score, in each scope in which it has one, the wider one first."""
        return self._known(INTERVAL_ENDS)

    @property
    def proven_leads(self) -> dict[Scope, Bounds]:
        """The best earlier layer's lead over the last, in each scope in which its bounds have a proven level."""
        leads = {scope: Bounds(low, high, value) for scope, (value, low, high) in self._known(LEADS).items()}
        return {scope: lead for scope, lead in leads.items() if is_proven(self.metric, scope)}

    def _known(self, columns: Mapping[Scope, tuple[str, ...]]) -> dict[Scope, tuple[Any, ...]]:
        found = {scope: tuple(getattr(self, name) for name in names) for scope, names in columns.items()}
        return {scope: numbers for scope, numbers in found.items() if None not in numbers}
