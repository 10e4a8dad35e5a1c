"""The columns that state how sure a score at its last step is."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from ...core.inference.layer_comparison import LayerInference, infer_layers
from ...core.scores.description import Scope
from ...shared.embeddings.split_names import UNSEEN
from ...shared.workflow.csv_table import FLOAT
from ..columns import BOOLEAN, frame
from ..curves import MEAN, POINT, Name, Scores, each_curve, point_keys
from ..network_data import NetworkData
from .summary_row import INTERVAL_ENDS, LEADS, TIED

INTERVALS = dict.fromkeys(chain(*INTERVAL_ENDS.values()), FLOAT)
COMPARISONS = dict.fromkeys(TIED.values(), BOOLEAN) | dict.fromkeys(chain(*LEADS.values()), FLOAT)
UNCERTAINTY = INTERVALS | COMPARISONS
"""How sure an unseen point at its last step is. From `lead_classes` on it is the whole curve's, repeated at each point.

Attributes:
    ci_classes_low, ci_classes_high: interval over classes, with training repeated; not corrected for choosing a layer.
    ci_images_low, ci_images_high: interval over images, for these classes and networks; not corrected, either.
    lead_classes, lead_classes_at_least, lead_classes_at_most: estimate of the best earlier layer's gain over the last,
        which can be negative, and its bounds, over classes.
    lead_images, lead_images_at_least, lead_images_at_most: the same over images.
"""


def add_uncertainty(scores: Scores, networks: dict[Name, NetworkData]) -> Scores:
    """Put beside every score how sure it is (`UNCERTAINTY`); empty where that is not known."""
    with threadpool_limits(1):  # faster on such matrices, and sums do not depend on the number of threads
        intervals = infer_curves(scores, networks)
    return replace(scores, curves=scores.curves.merge(intervals, how="left", validate="many_to_one"))


def infer_curves(scores: Scores, networks: dict[Name, NetworkData]) -> pd.DataFrame:
    """Infer how sure the unseen points of every curve at its last step are.

    Returns:
        Columns of `POINT` and `UNCERTAINTY`; no row where nothing can be said.
    """
    tables = []
    for (dataset, model, fold, _, metric), points in each_curve(scores.at_last(UNSEEN)):
        refits = networks[dataset, model].at(metric, int(points["step"].iloc[0]), point_keys(points))
        if refits is not None:
            known = infer_layers(refits if fold == MEAN else refits.of_fold(scores.folds.index(fold)))
            tables.append(points[list(POINT)].assign(**_columns(known)))
    return frame(tables, POINT | UNCERTAINTY, optional=UNCERTAINTY)


def _columns(known: Mapping[Scope, LayerInference]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for scope, layers in known.items():
        numbers = layers.low, layers.high, layers.lead.value, layers.lead.low, layers.lead.high, layers.tied
        columns |= zip((*INTERVAL_ENDS[scope], *LEADS[scope], TIED[scope]), numbers, strict=True)
    return columns
