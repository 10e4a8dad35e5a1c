"""Reads what the cells of the grid wrote, walking the grid, never the folder: a model taken out leaves its files."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from stages.shared.console import UserError
from stages.shared.params import RunParams
from stages.shared.records import concat_records, read_records

TRAINING_COLUMNS = ("dataset", "model", "seed", "step", "loss", "accuracy", "learning_rate")


def read_layers(measures: Path, run: RunParams) -> pd.DataFrame:
    """Stack the metric tables of all cells, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<seed>/layers.csv`.
        run: the grid.

    Raises:
        UserError: a cell has no table, or one of another version or of another cell.
    """
    tables = []
    for cell in cells(run):
        path = _existing(measures, cell, "layers.csv", "measures", "measure")
        tables.append(_of_cell(read_records(path), cell, path, "measure"))
    return concat_records(tables)


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
