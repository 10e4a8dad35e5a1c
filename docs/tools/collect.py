"""Collect the small results of finished cells into a folder that can be committed: a study to be kept.

Of each cell of the grid whose measures exist, under the name <cell>, <dataset>-<model>-<fold>-<seed>: its metric table
as cells/<cell>.csv, the per-image contributions of its last step as images/<cell>.parquet, and where it has them, its
refits as refits/<cell>.parquet and the tables of its analyses as <analysis>/<cell>.csv. Missing cells are named.

    python -m docs.tools.collect docs/study --params docs/study/params.yaml
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.commands.dvc_project.workspace import stage_path
from stages.shared.core.params import read_run
from stages.shared.tables.metric_table import ANALYSIS_TABLES, REFITS, analysis_path, open_cell, read_layer_scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Collect what there is, and print what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="its grid")
    args = parser.parse_args(arguments)
    cells, missing = list(read_run(args.params).cells()), []
    for cell in cells:
        source, name = stage_path("aggregate", "--measures").joinpath(*map(str, cell)), "-".join(map(str, cell))
        if (source / "layers.csv").exists():
            digests = open_cell(source, cell)
            digests.check(*digests.record.files)
            collect_cell(source, args.study, name)
        else:
            missing.append(name)
    done = len(cells) - len(missing)
    print(f"collect: {done} of {len(cells)} cells in {args.study}; missing: {', '.join(missing) or 'none'}")


def collect_cell(source: Path, study: Path, name: str) -> None:
    """Copy the tables of one cell; of the per-image contributions, the last step.

    Raises:
        UserError: the metric table is of another version.
    """
    read_layer_scores(source / "layers.csv")
    images = pd.read_parquet(source / "images.parquet")
    copies = {source / "layers.csv": study / "cells" / f"{name}.csv"}
    copies |= {source / REFITS: study / "refits" / f"{name}.parquet"}
    copies |= {analysis_path(source, analysis): study / analysis / f"{name}.csv" for analysis in ANALYSIS_TABLES}
    for table, copy in copies.items():
        if table.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(table, copy)
        else:
            copy.unlink(missing_ok=True)  # of an earlier measurement
    (study / "images").mkdir(exist_ok=True)
    last = images[images["step"] == images["step"].max()].drop(columns="step")
    last.to_parquet(study / "images" / f"{name}.parquet", index=False, compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
