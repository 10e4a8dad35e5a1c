"""Collect the scores of unseen classes from measured cells into cells.csv, the file that the other scripts here read.

FOLDER holds KIND/DATASET/MODEL/FOLD/SEED, a cell each: `l2` and `raw` are what the measure stage wrote with rows of
length 1 and with raw rows, and a file `done` says that both are complete. Of a cell that was measured again the new
scores replace the old ones; cells that FOLDER lacks stay as they are in cells.csv.

    python docs/study/collect.py FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

CELLS = Path(__file__).with_name("cells.csv")
NETWORKS = {
    "efficientnet_lite0": ("Lite0", 64),
    "efficientnet_lite2": ("Lite2", 64),
    "mobilenet_v2_tuned": ("MobileNetV2", 64),
    "vit_tuned": ("ViT-S", 98),
    "lite0_frozen_128": ("Lite0", 128),
    "lite0_128": ("Lite0", 128),
    "lite0_frozen_224": ("Lite0", 224),
    "lite0_224": ("Lite0", 224),
    "lite2_frozen_224": ("Lite2", 224),
    "mobilenet_v2_frozen_224": ("MobileNetV2", 224),
    "lite0_random": ("Lite0, random", 64),
    "mobilenet_v2_random": ("MobileNetV2, random", 64),
    "vit_random": ("ViT-S, random", 98),
}
"""Models of the parameters -> network and input in pixels."""

UNSCALED = ["probe_accuracy", "ood_auroc_knn"]
SCALED = ["map_at_r", "nn1_accuracy", "nmi"]
CELL = ["dataset", "network", "input", "tuned", "fold", "seed"]
KEYS = [*CELL, "step", "depth", "layer", "rows", "score"]


def read_cell(folder: Path) -> Iterator[pd.DataFrame]:
    """Yield the scores of a cell, in rows of length 1 and raw; those to which it makes no difference once, as raw."""
    network, pixels = NETWORKS[folder.parents[1].name]
    tuned = folder.parents[3].name.startswith("tuned")
    for rows, scores in (("l2", UNSCALED), ("l2", SCALED), ("raw", SCALED)):
        table = pd.read_csv(folder / rows / "layers.csv", dtype={"fold": str})
        own = table[(table["split"] == "unseen") & (table["depth"] >= 0) & table["metric"].isin(scores)]
        kind = "unit" if rows == "l2" and scores is SCALED else "raw"
        yield own.assign(network=network, input=pixels, tuned=tuned, rows=kind).rename(columns={"metric": "score"})


def main(folder: Path) -> None:
    """Write cells.csv, and print how many cells it has."""
    cells = [done.parent for done in sorted(folder.glob("*/*/*/*/*/done"))]
    found = pd.concat([table for cell in cells for table in read_cell(cell)])[[*KEYS, "value"]]
    before = [pd.read_csv(CELLS, dtype={"fold": str})] if CELLS.exists() else []
    every = pd.concat([*before, found]).drop_duplicates(KEYS, keep="last").sort_values(KEYS)
    every.to_csv(CELLS, index=False, float_format="%.6f")
    print(f"collect: {len(cells)} cells read, {len(every[CELL].drop_duplicates())} in {CELLS}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
