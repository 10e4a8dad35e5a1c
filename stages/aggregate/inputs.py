"""Reads what the cells of the grid wrote, walking the grid, never the folder: a model taken out leaves its files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from stages.shared.console import UserError
from stages.shared.metric_table import concat_records, read_analysis, read_records
from stages.shared.params import RunParams
from stages.shared.training_table import read_training

CELL = ("dataset", "model", "seed")


def read_layers(measures: Path, run: RunParams) -> pd.DataFrame:
    """Stack the metric tables of all cells, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<seed>/layers.csv`.
        run: the grid.

    Returns:
        All columns of `stages.shared.metric_table`.

    Raises:
        UserError: a cell has no table, or one of another version or of another cell.
    """
    tables = []
    for cell in cells(run):
        path = _existing(measures, cell, "layers.csv", "measures", "measure")
        tables.append(_of_cell(read_records(path), cell, path, "measure"))
    return concat_records(tables)


def read_analyses(measures: Path, run: RunParams, analysis: str) -> pd.DataFrame:
    """Stack the table of an analysis, in the order of the grid, under columns that name the cell.

    Args:
        measures: holds `<dataset>/<model>/<seed>/<analysis>.csv`, where the cell was asked for it.
        run: the grid.
        analysis: one of `ANALYSIS_TABLES`.

    Returns:
        Columns dataset, model, seed, then those of `ANALYSIS_TABLES`; no rows where no cell has the file.

    Raises:
        UserError: a table of another version.
    """
    tables = []
    for cell in cells(run):
        dataset, model, seed = cell
        table = read_analysis(measures / dataset / model / str(seed), analysis)
        table = table.assign(dataset=dataset, model=model, seed=seed)[[*CELL, *table.columns]]
        tables.append(table)
    return _stacked(tables)


def read_curves(training: Path, run: RunParams) -> pd.DataFrame:
    """Stack the training curves of all cells, in the order of the grid, under a further column `cell`.

    Args:
        training: holds `<dataset>/<model>/<seed>/training.csv`.
        run: the grid.

    Returns:
        Columns cell (`<dataset>/<model>/<seed>`) and those of the curve. It has no rows where nothing was trained.

    Raises:
        UserError: a cell has no curve, or one of another version or of another cell.
    """
    tables = []
    for cell in cells(run):
        path = _existing(training, cell, "training.csv", "training curve", "finetune")
        table = _of_cell(read_training(path), cell, path, "finetune")
        table.insert(0, "cell", "/".join(map(str, cell)))
        tables.append(table)
    return _stacked(tables)


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack those that have rows."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def cells(run: RunParams) -> Iterator[tuple[str, str, int]]:
    """Yield every (dataset, model, seed) of the grid."""
    for dataset in run.datasets:
        for model in run.models:
            for seed in run.seeds:
                yield dataset, model, seed


def image_paths(measures: Path, dataset: str, model: str, run: RunParams) -> dict[int, Path]:
    """Where every seed of one dataset and model has its per-image contributions, whether or not they are there."""
    return {seed: measures / dataset / model / str(seed) / "images.parquet" for seed in run.seeds}


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
