"""depth.csv: every curve's points at its last step, with how sure they are."""

import pandas as pd

from stages.aggregate.columns import BOOLEAN, frame
from stages.aggregate.curves import CURVE, INTERVALS, Scores, curves
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

DEPTH_COLUMNS = {
    **dict.fromkeys(CURVE, TEXT),
    "split": TEXT,
    "step": INTEGER,
    "depth": INTEGER,
    "relative_depth": FLOAT,
    "layer": TEXT,
    "value": FLOAT,
    "sd": FLOAT,
    **INTERVALS,
    "tied_classes": BOOLEAN,
    "tied_images": BOOLEAN,
    "better": TEXT,
    "parameters": INTEGER,
    "operations": INTEGER,
}
"""Columns of depth.csv.

Attributes:
    split: `test` (seen classes) or `unseen`; what follows `sd`, up to the ties, is of unseen classes alone.
    step: the last at which the score was measured.
    depth, relative_depth, layer: the point; `relative_depth` is 0 at the first layer and 1 at the last.
    tied_classes, tied_images: whether the layer is not distinguishable from the best, in each scope.
"""


def depth_table(scores: Scores) -> pd.DataFrame:
    """Give every curve's points at its last step.

    Returns:
        `DEPTH_COLUMNS`. relative_depth is 0 at the first layer and 1 at the last.
    """
    rows = []
    for curve in curves(scores.curves):
        points = [*curve.at(SEEN, curve.last), *curve.at(UNSEEN, curve.last)]
        deepest = max(*(int(point["depth"]) for point in points), 1)
        for point in points:
            own = {name: point[name] for name in DEPTH_COLUMNS if name != "relative_depth"}
            rows.append(own | {"relative_depth": round(point["depth"] / deepest, 6)})
    return frame(rows, DEPTH_COLUMNS)
