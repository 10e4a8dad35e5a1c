"""classes.csv, depth.csv and steps.csv: scores averaged, followed over depth and over training."""

from collections.abc import Iterable

import pandas as pd

from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.workflow.csv_table import FLOAT, INTEGER, TEXT
from ..columns import BOOLEAN, frame
from ..curves import CURVE, KEYS, Scores
from ..network_data import CLASS_KEYS, NetworkData
from .uncertainty import INTERVALS

CLASS_COLUMNS = {**CLASS_KEYS, "label": TEXT, "n_images": INTEGER, "value": FLOAT}
"""Columns of classes.csv.

Attributes:
    label: the class.
    n_images: number of its images in the split.
    value: mean contribution of its images to the score, over seeds, at the score's last step.
"""

DEPTH_COLUMNS = {
    **dict.fromkeys([*CURVE, "split"], TEXT),
    **dict.fromkeys(["step", "depth"], INTEGER),
    "relative_depth": FLOAT,
    "layer": TEXT,
    **dict.fromkeys(["value", "sd", *INTERVALS], FLOAT),
    **dict.fromkeys(["tied_classes", "tied_images"], BOOLEAN),
    "better": TEXT,
    **dict.fromkeys(["parameters", "operations"], INTEGER),
}
"""Columns of depth.csv.

Attributes:
    split: `test` (seen classes) or `unseen`; intervals and ties are for unseen classes only.
    step: the last step at which the score was measured.
    depth, relative_depth, layer: the point; `relative_depth` is 0 at the first layer and 1 at the last.
    tied_classes, tied_images: whether the layer is not distinguishable from the best, in each scope.
"""

CHOSEN = {
    (UNSEEN, "each"): ("unseen", "unseen_sd", "best_layer", "best_depth"),
    (UNSEEN, "first"): ("unseen_fixed", "unseen_fixed_sd", "fixed_layer", "fixed_depth"),
    (SEEN, "each"): ("seen", "seen_sd", "seen_layer", "seen_depth"),
    (SEEN, "first"): ("seen_fixed", "seen_fixed_sd", "seen_fixed_layer", "seen_fixed_depth"),
}
"""Columns of the layer chosen on a split, at each step or at the first one: its value and sd, layer and depth."""

STEPS_COLUMNS = {
    **dict.fromkeys(CURVE, TEXT),
    **dict.fromkeys(["step", "n_folds", "n_seeds"], INTEGER),
    **dict.fromkeys(["accuracy", "accuracy_sd"], FLOAT),
    **{
        name: type_
        for names in CHOSEN.values()
        for name, type_ in zip(names, (FLOAT, FLOAT, TEXT, INTEGER), strict=True)
    },
}
"""Columns of steps.csv.

Attributes:
    accuracy: accuracy of the network's own head; empty at step 0.
    unseen, best_layer, best_depth: the layer chosen at each step, on unseen classes.
    unseen_fixed, fixed_layer, fixed_depth: the layer chosen at the first step, followed through the others.
    seen, seen_layer, seen_depth: the layer chosen at each step, on seen classes.
    seen_fixed, seen_fixed_layer, seen_fixed_depth: the layer chosen at the first step, on seen classes.
    accuracy_sd, unseen_sd, unseen_fixed_sd, seen_sd, seen_fixed_sd: standard deviations (ddof = 1): over seeds, of
        `mean` over folds.
"""


def classes_table(networks: Iterable[NetworkData]) -> pd.DataFrame:
    """Stack the means over each class's images of every network, `CLASS_COLUMNS`."""
    return frame(
        (table.drop(columns="step") for network in networks for table in network.images.classes), CLASS_COLUMNS
    )


def depth_table(scores: Scores) -> pd.DataFrame:
    """Give every curve's points at its last step.

    Returns:
        `DEPTH_COLUMNS`. relative_depth is 0 at the first layer and 1 at the last.
    """
    points = scores.at_last(SEEN, UNSEEN)
    deepest = points.groupby(KEYS)["depth"].transform("max").clip(lower=1)
    return frame([points.assign(relative_depth=(points["depth"] / deepest).round(6))[[*DEPTH_COLUMNS]]], DEPTH_COLUMNS)


def steps_table(scores: Scores) -> pd.DataFrame:
    """Give the best score of every curve that has one at every step, the layer chosen in both published ways.

    Returns:
        `STEPS_COLUMNS`. `unseen` and `seen` are the maxima over layers at that step; `unseen_fixed` and `seen_fixed`
        the scores, at that step, of the layers that were best at the first step. Each split chooses its own layers.
    """
    points = scores.points[(scores.points["better"] != "neither") & scores.points["split"].isin([SEEN, UNSEEN])]
    by_curve = points.groupby(KEYS, sort=False)
    points = points.assign(curve=by_curve.ngroup(), first_step=by_curve["step"].transform("min"))
    table = points.drop_duplicates(["curve", "step"]).sort_values(["curve", "step"])
    table = table[[*CURVE, "curve", "step", "accuracy", "accuracy_sd"]].assign(n_seeds=scores.n_seeds)
    table["n_folds"] = table["fold"].map(scores.n_folds)
    for (split, chosen_at), names in CHOSEN.items():
        own = points[points["split"] == split]
        at_first = own.loc[own["best"] & (own["step"] == own["first_step"]), ["curve", "layer"]]
        chosen = own[own["best"]] if chosen_at == "each" else own.merge(at_first)
        columns = chosen[["curve", "step", "value", "sd", "layer", "depth"]].set_axis(["curve", "step", *names], axis=1)
        table = table.merge(columns, how="left")
    return frame([table.drop(columns="curve")], STEPS_COLUMNS)
