"""A finished study of two layers: packed images, embeddings of classes, and tables of scores."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from stages.aggregate.tables.summary import summary_table
from stages.shared.workflow.csv_table import write_table
from tests.aggregate.networks import NETWORK
from tests.measure.synthetic import write_store
from tests.packed import pack

SIZES = {"test": (8, 8, 8), "unseen": (9, 11)}
VALUES = {"0": (0.8, 0.3), "1": (0.58, 0.2), "2": (0.6, 0.25), "mean": (0.72, 0.25)}
ROW = replace(
    NETWORK, dataset="toy", model="net", step=10, n_folds=3, best_layer="stem", best_depth=0, last_depth=1,
    last_layer="blocks.0", unseen=0.72, last_value=0.25, baseline=0.1, chance=0.02, tied_classes="0",
    lead_classes_at_least=0.2, lead_classes_at_most=0.5,
)  # fmt: skip


def depth_table() -> pd.DataFrame:
    rows = [
        {"dataset": "toy", "model": "net", "fold": fold, "pooling": "mean", "metric": "nmi", "split": split, "step": 10}
        | {
            "depth": depth,
            "relative_depth": float(depth),
            "layer": layer,
            "value": VALUES[fold][depth] - 0.1 * (split == "test"),
        }
        | ({"ci_classes_low": 0.1, "ci_classes_high": 0.9} if (fold, split) == ("mean", "unseen") else {})
        for fold in VALUES
        for split in ("test", "unseen")
        for depth, layer in enumerate(("stem", "blocks.0"))
    ]
    return pd.DataFrame(rows)


def write_study(root: Path) -> None:
    """Write the results, the packed images and the embeddings of fold 0, which is the typical one."""
    with patch("tests.packed.UNSEEN", ("unseen0", "unseen1")):  # the classes of the embeddings
        pack(root / "prepared", dataset="toy", unseen=5, size=16)
    write_store(root / "embeddings", sizes=SIZES)
    write_table(root / "results" / "summary.csv", summary_table([ROW]), {})
    depth_table().to_csv(root / "results" / "depth.csv", index=False)
