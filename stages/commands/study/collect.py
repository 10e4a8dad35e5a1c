"""Collect the small results of finished cells into a folder that can be committed: a study to be kept.

Of each cell of the grid whose measures exist: its metric table as `cells/<dataset>-<model>-<seed>.csv`, its last
step's per-image contributions as `images/<dataset>-<model>-<seed>.parquet`, and the tables of its last step's analyses,
where it has them, as `<analysis>/<dataset>-<model>-<seed>.csv`. Cells that are not there are named.

    python -m stages.commands.study.collect data/measures docs/study
"""

import argparse
import shutil
from itertools import product
from pathlib import Path

import pandas as pd

from stages.shared.console import UserError, run_main
from stages.shared.metric_table import ANALYSIS_TABLES, MEASURE_AGAIN, analysis_path, read_records
from stages.shared.params import read_run


def main() -> None:
    """Copy what is finished, and say what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("measures", type=Path, help="what the measure stage wrote: <dataset>/<model>/<seed>/")
    parser.add_argument("study", type=Path, help="the folder to collect into")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run = read_run(args.params)
    missing = []
    for cell in product(run.datasets, run.models, run.seeds):
        source = args.measures.joinpath(*map(str, cell))
        name = "-".join(map(str, cell))
        if (source / "layers.csv").exists():
            collect_cell(source, args.study, name)
        else:
            missing.append(name)
    total = len(run.datasets) * len(run.models) * len(run.seeds)
    print(f"collect: {total - len(missing)} of {total} cells in {args.study}; missing: {', '.join(missing) or 'none'}")


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
    for analysis in ANALYSIS_TABLES:
        table, kept = analysis_path(source, analysis), study / analysis / f"{name}.csv"
        if table.exists():
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(table, kept)
        else:
            kept.unlink(missing_ok=True)  # of an earlier measurement
    last = images[images["step"] == images["step"].max()].drop(columns="step")
    last.to_parquet(study / "images" / f"{name}.parquet", index=False, compression="zstd", compression_level=19)


if __name__ == "__main__":
    run_main(main)
