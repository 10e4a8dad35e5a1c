"""A finished study of two layers: packed images, embeddings of classes, and tables of scores."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from stages.aggregate.columns import typed
from stages.aggregate.tables.depth import DEPTH_COLUMNS
from stages.aggregate.tables.summary import summary_table
from stages.commands.study.hero.contents import Cell
from stages.shared.files.csv_table import write_table
from tests.aggregate.report.networks import NETWORK
from tests.measure.synthetic import write_store
from tests.packed import pack

CELL = Cell("toy", "net", "0", 7)
SIZES = {"test": (8, 8, 8), "unseen": (9, 11)}
VALUES = {"0": (0.6, 0.3), "1": (0.8, 0.2), "mean": (0.7, 0.25)}
ROW = replace(
    NETWORK, dataset="toy", model="net", step=10, n_folds=2, best_layer="stem", best_depth=0, last_depth=1,
    last_layer="blocks.0", unseen=0.7, last_value=0.25, baseline=0.1, chance=0.02, tied_classes="0",
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
    return typed(pd.DataFrame(rows).assign(better="higher"), DEPTH_COLUMNS)


def write_study(root: Path) -> tuple[Path, Path, Path]:
    """Write the results, the packed images and the embeddings; returns where each is."""
    pack(root / "prepared", dataset="toy", unseen=5, size=16)
    write_store(root / "embeddings", sizes=SIZES)
    write_table(root / "results" / "summary.csv", summary_table([ROW]), {})
    write_table(root / "results" / "depth.csv", depth_table(), {})
    return root / "results", root / "prepared", root / "embeddings"
