"""The analyses of the last step: what may be computed of one layer beside the scores of the catalogue."""

from collections.abc import Callable

from stages.measure.analyses.class_subsets import class_subsets
from stages.measure.analyses.corruptions import corruptions
from stages.measure.analyses.k_sensitivity import k_sensitivity
from stages.measure.analyses.out_of_distribution import ood
from stages.measure.analyses.result import Found
from stages.measure.analyses.seen_matched import seen_matched
from stages.measure.cell import Cell
from stages.measure.embedded_split import EmbeddedSplit
from stages.shared.embedding_store import Layer

LAYER_ANALYSES: dict[str, Callable[[Cell, Layer, EmbeddedSplit], Found]] = {
    "class_subsets": class_subsets,
    "seen_matched": seen_matched,
    "k_sensitivity": k_sensitivity,
    "ood": ood,
    "corruptions": corruptions,
}
"""By name in `measure.analyses`; each is given the layer's embedding of the split that `plan.SPLITS` names first."""
