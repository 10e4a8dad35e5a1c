"""Collect the small results of finished cells into a folder that can be committed: a study to be kept."""

import shutil
from pathlib import Path

import click
import pandas as pd

from stages.commands.project import ProjectCommand, ProjectPath, params_option, stage_path
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import read_run
from stages.shared.tables.metric_table import (
    ANALYSIS_TABLES,
    MEASURE_AGAIN,
    REFITS,
    analysis_path,
    open_cell,
    read_records,
)


@click.command(cls=ProjectCommand)
@click.argument("study", type=ProjectPath())
@click.option(
    "--measures",
    type=ProjectPath(),
    default=lambda: stage_path("aggregate", "--measures"),
    help="What the measure stage wrote, <dataset>/<model>/<fold>/<seed>/; by default where dvc.yaml has it.",
)
@params_option
def collect(study: Path, measures: Path, params: Path) -> None:
    """Collect finished cells' small results into the folder STUDY, which can be committed.

    Of each cell of the grid whose measures exist, under the name <cell>, <dataset>-<model>-<fold>-<seed>: its metric
    table as cells/<cell>.csv, its last step's per-image contributions as images/<cell>.parquet, and where it has them,
    its scores fitted again as refits/<cell>.parquet and the tables of its last step's analyses as
    <analysis>/<cell>.csv. Galleries, which serve the results' page alone, are not kept. Cells that are not there are
    named.
    """
    run = read_run(params)
    cells = list(run.cells())
    missing = []
    for cell in cells:
        source, name = measures.joinpath(*map(str, cell)), "-".join(map(str, cell))
        if (source / "layers.csv").exists():
            digests = open_cell(source, cell)
            digests.check(*digests.record.files)
            collect_cell(source, study, name)
        else:
            missing.append(name)
    done = len(cells) - len(missing)
    print(f"collect: {done} of {len(cells)} cells in {study}; missing: {', '.join(missing) or 'none'}")


def collect_cell(source: Path, study: Path, name: str) -> None:
    """Copy one cell's tables, and the last step of its per-image contributions.

    Raises:
        UserError: the metric table is of another version, or the per-image contributions are missing or damaged.
    """
    read_records(source / "layers.csv")
    try:
        images = pd.read_parquet(source / "images.parquet")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{source / 'images.parquet'}: must be a Parquet table, found {error}; {MEASURE_AGAIN}"
        ) from None
    for folder in ("cells", "images"):
        (study / folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "layers.csv", study / "cells" / f"{name}.csv")
    _copy_if_there(source / REFITS, study / "refits" / f"{name}.parquet")
    for analysis in ANALYSIS_TABLES:
        _copy_if_there(analysis_path(source, analysis), study / analysis / f"{name}.csv")
    last = images[images["step"] == images["step"].max()].drop(columns="step")
    last.to_parquet(study / "images" / f"{name}.parquet", index=False, compression="zstd", compression_level=19)


def _copy_if_there(table: Path, kept: Path) -> None:
    """Copy a table, or remove the copy that an earlier measurement left."""
    if table.exists():
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(table, kept)
    else:
        kept.unlink(missing_ok=True)
