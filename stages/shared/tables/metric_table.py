"""What measure hands to aggregate: the layout of a cell's tables.

layers.csv      the tidy metric table: one row per dataset, model, fold, seed, step, split, layer, pooling and metric
<analysis>.csv  the table of an analysis that has one (`ANALYSIS_TABLES`)
images.parquet  one row per step, split, layer, pooling and image: its contribution to every score, its cluster, and
                its distances to the training images
refits.parquet  one row per step, layer, pooling, score and part of the unseen images that it was fitted to again
versions.json   the versions of the libraries with which each stage made the cell, by stage
digests.json    of all files of the cell (`stages.shared.workflow.digests`)

Where the classes of a cell are scored in sets, `sets/<number>/` has these of each, as of a fold of that number.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..workflow import csv_table
from ..workflow.csv_table import CELL_COLUMNS, FLOAT, INTEGER, TEXT
from ..workflow.digests import DIGESTS, Digests, cell_id, read_digests, rerun_hint, write_digests
from ..workflow.params import Cell

FORMAT = "whichlayer.measures/1"

ROW_KEYS = {"step": INTEGER, "split": TEXT, "layer": TEXT, "depth": INTEGER, "pooling": TEXT}
"""What names an embedding within its cell."""

KEYS = {**CELL_COLUMNS, **ROW_KEYS, "metric": TEXT}
"""What names a score.

Attributes:
    dataset, model, fold, seed: the cell; `fold` is a number or `all`.
    step: optimizer steps taken; 0 is the network before fine-tuning.
    split: `test` (seen classes) or `unseen`; at the last step also `seen_matched` and `unseen_matched`
        (docs/scores.md#analyses).
    layer, depth, pooling: the embedding; `depth` counts from 0 at the input side, -1 is the raw-pixel baseline
        (`pixels`). For `accuracy` the layer is `head`, the other two are empty, and step 0 has no row.
    metric: the score (docs/scores.md).
"""
COLUMNS = KEYS | {
    "value": FLOAT,
    "chance": FLOAT,
    "ceiling": FLOAT,
    "n_images": INTEGER,
    "n_classes": INTEGER,
    "parameters": INTEGER,
    "operations": INTEGER,
    "width": INTEGER,
    "better": TEXT,
}
"""The contract's columns (the keys and `value`), then what stands beside a value.

Attributes:
    value: the score.
    chance: the value expected of an embedding that is unrelated to the classes; empty for scores without labels.
    ceiling: the best value that these class sizes allow; empty for scores without labels.
    n_images, n_classes: size of the split; notes of the measure stage count the images that a score leaves out.
    parameters: number of parameters of the network up to this layer.
    operations: multiply-adds per image up to this layer, at the network's image size: convolutions, linear layers and
        attention.
    width: the layer's number of features.
    better: which values are better: `higher`, `lower` or `neither`.
"""

HEAD = "head"
"""The `layer` of the network's own accuracy; its depth and pooling are empty."""

Scaling = Literal["none", "l2", "standard"]
"""How the rows of an embedding are scaled: as they are, each to length 1, or every column standardized."""

JUDGED, CHOOSING = "judged", "choosing"
"""What a score of a representation is for: that of a class, or the mean by which one would choose for a set."""

LAYERS_SEPARATOR = ";"

_PAIR = {f"{name}_{end}": ROW_KEYS[name] for end in "ab" for name in ("layer", "depth", "pooling")}

ANALYSIS_TABLES = {
    "k_sensitivity": {**ROW_KEYS, "clusters": INTEGER, "nmi": FLOAT, "ami": FLOAT},
    "layer_pairs": {"step": INTEGER, "split": TEXT, **_PAIR, "cka": FLOAT},
    "scalings": {**ROW_KEYS, "scaling": TEXT, "metric": TEXT, "value": FLOAT},
    "representations": {
        "step": INTEGER,
        **dict.fromkeys(("layers", "join", "recipe", "kind", "part"), TEXT),
        "value": FLOAT,
    },
}
"""Columns of the tables that analyses fill, by the analysis; `<analysis>.csv` is the file.

Attributes:
    clusters: number of k-means clusters.
    nmi, ami: agreement of the clusters with the classes.
    layer_a, depth_a, pooling_a, layer_b, depth_b, pooling_b: the two embeddings, `a` not deeper than `b`.
    cka: debiased linear centred kernel alignment of the two.
    scaling: `none`: unnormalized embeddings; `l2`: L2-normalized rows; `standard`: columns standardized.
    layers: names of the layers that stand side by side, from input to output, joined by `;`.
    join: which layers these are: `single`, `last_2`, `last_4`, `upper_half` or `all`.
    recipe: what is done with rows: `plain` (L2-normalized), `centred`, `whitened`, `within` or `whitened_within`.
    kind: `judged`: MAP@R of a class in its set or fold, with recipes fitted to the other sets, of a fine-tuned network
        to test images of the seen classes; `choosing`: the mean over the classes of the other sets, with recipes fitted
        without this set; `class`: the mean over all classes but one, or but one of 20 groups of classes, of the fold,
        or of all sets (in the first alone).
    part: the class, or as in refits.parquet the class or classes left out.
"""

ALL_BUT_ONE_CLASS, HALF = "class", "half"
REFIT_COLUMNS = {**ROW_KEYS, "metric": TEXT, "kind": TEXT, "part": TEXT, "value": FLOAT}
"""Columns of refits.parquet, scores of the unseen split fitted again to parts of it.

Attributes:
    kind: `class`: all classes but one, or one of 20 groups of classes; `half`: half of the images of each class.
    part: the class left out, or the classes of the group left out as a JSON list; or the number of the half: halves 2 i
        and 2 i + 1 complement each other.
"""

CLUSTER = "cluster"
"""Column of images.parquet: the image's cluster in the k-means clustering of least inertia."""

OOD_KNN, OOD_MAHALANOBIS = "ood_knn", "ood_mahalanobis"
"""Columns of images.parquet: the image's distances to the seen training images, at the last step."""

REFITS, VERSIONS = "refits.parquet", "versions.json"


MEASURE_AGAIN = rerun_hint("measure")
"""The remedy for a table that is not as it should be."""


def write_versions(folder: Path, made_with: Mapping[str, Mapping[str, str]]) -> None:
    """Write the versions of the libraries with which each stage made a cell, by stage, into its folder."""
    (folder / VERSIONS).write_text(json.dumps(made_with, indent=1) + "\n", encoding="utf-8")


def read_versions(folder: Path) -> dict[str, dict[str, str]]:
    """Read what `write_versions` wrote into a cell's folder, with checked digests; nothing if it wrote nothing."""
    path = folder / VERSIONS
    made_with: dict[str, dict[str, str]] = json.loads(path.read_bytes()) if path.is_file() else {}
    return made_with


SETS = "sets"


def set_folder(folder: Path, number: str) -> Path:
    """Where the tables of one set of classes lie in the folder of their cell."""
    return folder / SETS / number


def count_sets(folder: Path) -> int:
    """Return in how many sets the classes of a cell are scored; 0: all at once."""
    return len([*(folder / SETS).glob("*")])


def cell_folder(measures: Path, cell: Cell) -> Path:
    """Where the tables of a cell lie: `<dataset>/<model>/<fold>/<seed>`; of a set, in that folder of fold 0."""
    dataset, model, number, seed = cell
    of_set = set_folder(measures / dataset / model / "0" / str(seed), number)
    return of_set if of_set.is_dir() else measures.joinpath(*map(str, cell))


def finish_cell(folder: Path, cell: Cell) -> None:
    """Write the digests of all files in a cell's folder, after the last of them."""
    files = (file for file in folder.iterdir() if file.name != DIGESTS)
    write_digests(folder / DIGESTS, files, format=FORMAT, of=cell_id(cell))


def open_cell(folder: Path, cell: Cell) -> Digests:
    """Read the digests of a cell's folder, to check files before they are read.

    Raises:
        UserError: it is unfinished, or of another version or cell.
    """
    return read_digests(folder / DIGESTS, format=FORMAT, of=cell_id(cell), stage="measure")


def row_keys(step: int, split: str, layer: str = HEAD, depth: int | None = None, pooling: str = "") -> dict[str, Any]:
    """Name a table's rows: those of one embedding, or (without a layer) of the network's head."""
    return dict(zip(ROW_KEYS, (step, split, layer, depth, pooling), strict=True))


def write_layer_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write a metric table: `COLUMNS` in order, then any further columns; rows as given, floats in full precision.

    Raises:
        ValueError: a contract column is missing, or two rows have the same keys.
    """
    csv_table.write_table(path, scores, COLUMNS, keys=list(KEYS))


def read_layer_scores(path: Path) -> pd.DataFrame:
    """Read a metric table: `COLUMNS`, then any others.

    Raises:
        UserError: it is missing, is no table, or lacks a column (written by another version).
    """
    return csv_table.read_table(path, COLUMNS, what="a metric table", stage="measure")


def concat_layer_scores(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack metric tables of several cells."""
    return typed(pd.concat(tables, ignore_index=True))


def typed(scores: pd.DataFrame) -> pd.DataFrame:
    """Give a metric table's columns their types: nullable integers, plain text with '' for empty, floats."""
    return csv_table.typed(scores, COLUMNS)


def write_analysis(folder: Path, analysis: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the table of an analysis, with a header alone where it has no rows."""
    columns = ANALYSIS_TABLES[analysis]
    csv_table.write_table(analysis_path(folder, analysis), pd.DataFrame(rows, columns=list(columns)), columns)


def read_analysis(folder: Path, analysis: str) -> pd.DataFrame:
    """Read the table of an analysis from a cell's folder.

    Raises:
        UserError: it is no table, or lacks a column (written by another version).
    """
    path, columns = analysis_path(folder, analysis), ANALYSIS_TABLES[analysis]
    return csv_table.read_table(path, columns, what=f"a table of {analysis}", stage="measure")[list(columns)]


def write_refits(folder: Path, refits: pd.DataFrame) -> None:
    """Write scores fitted again, `REFIT_COLUMNS`; the same bytes for the same rows and library version."""
    import pyarrow as pa  # here: arrays are scored without it
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(csv_table.typed(refits[list(REFIT_COLUMNS)], REFIT_COLUMNS), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), folder / REFITS, compression="zstd")


def read_refits(folder: Path) -> pd.DataFrame:
    """Read scores fitted again from a cell's folder, whose digests were checked; without rows where none were.

    Raises:
        UserError: a column is missing (written by another version).
    """
    path = folder / REFITS
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=list(REFIT_COLUMNS))
    csv_table.require_columns(path, table.columns, REFIT_COLUMNS, "measure")
    return csv_table.typed(table[list(REFIT_COLUMNS)], REFIT_COLUMNS)


def analysis_path(folder: Path, analysis: str) -> Path:
    """Where the table of an analysis lies, or would lie, in a cell's folder."""
    return folder / f"{analysis}.csv"
