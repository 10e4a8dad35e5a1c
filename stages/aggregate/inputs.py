"""Reads what the cells of the grid wrote, walking the grid, never the folder: a model taken out leaves its files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stages.shared.console import UserError
from stages.shared.metric_table import MEASURE_AGAIN, concat_records, read_records
from stages.shared.params import RunParams

CELL = ("dataset", "model", "seed")
_LAYER = ("step", "split", "layer", "depth", "pooling")
_PAIR = ("layer_a", "depth_a", "pooling_a", "layer_b", "depth_b", "pooling_b")
ANALYSES = {
    "subsets.csv": (*_LAYER, "metric", "left_out", "n_classes", "value"),
    "k_sensitivity.csv": (*_LAYER, "clusters", "nmi", "ami"),
    "layer_pairs.csv": ("step", "split", *_PAIR, "cka"),
}
"""Further tables that the measure stage leaves where it is asked to, and their columns."""

TEXTS = ("dataset", "model", "split", "layer", "pooling", "metric", "left_out", *_PAIR[::3], *_PAIR[2::3])
TRAINING_COLUMNS = ("dataset", "model", "seed", "step", "loss", "accuracy", "learning_rate")


def read_layers(measures: Path, run: RunParams) -> pd.DataFrame:
    """Stack the metric tables of all cells, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<seed>/layers.csv`.
        run: the grid.

    Returns:
        The contract's columns (stages.shared.metric_table), then `better` and `relative`, empty where a value is not
        relative to another.

    Raises:
        UserError: a cell has no table, or one of another version or of another cell.
    """
    tables = []
    for cell in cells(run):
        path = _existing(measures, cell, "layers.csv", "measures", "measure")
        tables.append(_of_cell(read_records(path), cell, path, "measure"))
    layers = concat_records(tables)
    return layers.assign(relative=layers.get("relative", np.nan))


def read_analysis(measures: Path, run: RunParams, file: str) -> pd.DataFrame:
    """Stack one of the further tables that a cell may have, in the order of the grid, under columns that name the cell.

    Args:
        measures: holds `<dataset>/<model>/<seed>/<file>`, where the cell was asked for it.
        run: the grid.
        file: one of `ANALYSES`.

    Returns:
        Columns dataset, model, seed, then those of `ANALYSES`; no rows where no cell has the file.

    Raises:
        UserError: a table of another version.
    """
    columns, tables = ANALYSES[file], []
    for cell in cells(run):
        path = measures.joinpath(*map(str, cell), file)
        if not path.is_file():
            continue
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
        missing = [c for c in columns if c not in table.columns]
        if missing:
            raise UserError(
                f"{path}: must have the columns {', '.join(columns)}; lacks {', '.join(missing)}: it was written by "
                f"another version; {MEASURE_AGAIN}"
            )
        dataset, model, seed = cell
        tables.append(table[list(columns)].assign(dataset=dataset, model=model, seed=seed)[[*CELL, *columns]])
    stacked = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*CELL, *columns])
    texts = [c for c in stacked.columns if c in TEXTS]
    return stacked.assign(**{c: stacked[c].astype(object).where(stacked[c].notna(), "").astype(str) for c in texts})


def read_training(training: Path, run: RunParams) -> pd.DataFrame:
    """Stack the training curves of all cells, in the order of the grid, under a further column `cell`.

    Args:
        training: holds `<dataset>/<model>/<seed>/training.csv`.
        run: the grid.

    Returns:
        Columns cell (`<dataset>/<model>/<seed>`) and `TRAINING_COLUMNS`. It has no rows where nothing was trained.

    Raises:
        UserError: a cell has no curve, or one of another version or of another cell.
    """
    tables = []
    for cell in cells(run):
        path = _existing(training, cell, "training.csv", "training curve", "finetune")
        table = pd.read_csv(path, dtype={"dataset": str, "model": str}, keep_default_na=False, na_values=[""])
        missing = [c for c in TRAINING_COLUMNS if c not in table.columns]
        if missing:
            raise UserError(
                f"{path}: must have the columns {', '.join(TRAINING_COLUMNS)}; lacks {', '.join(missing)}: "
                "it was written by another version; run the finetune stage again (`dvc repro --force`)"
            )
        table = _of_cell(table, cell, path, "finetune")
        table.insert(0, "cell", "/".join(map(str, cell)))
        tables.append(table)
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True)


def cells(run: RunParams) -> Iterator[tuple[str, str, int]]:
    """Yield every (dataset, model, seed) of the grid."""
    for dataset in run.datasets:
        for model in run.models:
            for seed in run.seeds:
                yield dataset, model, seed


def image_paths(measures: Path, dataset: str, model: str, run: RunParams) -> list[Path]:
    """Where every seed of one dataset and model has its per-image contributions, whether or not they are there."""
    return [measures / dataset / model / str(seed) / "images.parquet" for seed in run.seeds]


def _existing(root: Path, cell: tuple[str, str, int], file: str, what: str, stage: str) -> Path:
    path = root.joinpath(*map(str, cell), file)
    if not path.is_file():
        dataset, model, seed = cell
        raise UserError(
            f"{dataset}, {model}, seed {seed}: the grid (`run` in params.yaml) names this cell, but it has no "
            f"{what}: {path} does not exist; compute it with `dvc repro {stage}@{dataset}-{model}-{seed}`, "
            "or take it out of the grid"
        )
    return path


def _of_cell(table: pd.DataFrame, cell: tuple[str, str, int], path: Path, stage: str) -> pd.DataFrame:
    found = set(zip(table["dataset"], table["model"], table["seed"], strict=True)) - {cell}
    if found:
        raise UserError(
            f"{path}: must hold the cell {'/'.join(map(str, cell))}, found rows of "
            f"{'/'.join(map(str, sorted(found)[0]))}; run the {stage} stage again (`dvc repro --force`)"
        )
    return table
