"""The CSV files of data/results, but for layers.csv: which there are, and their columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from stages.aggregate.columns import stack
from stages.aggregate.curves import Scores
from stages.aggregate.inference.network_data import Name, NetworkData
from stages.aggregate.read import CELL, CURVE_COLUMNS
from stages.aggregate.tables.classes import CLASS_COLUMNS, classes_table
from stages.aggregate.tables.depth import DEPTH_COLUMNS, depth_table
from stages.aggregate.tables.regret import REGRET_COLUMNS, RegretRow, regret_table
from stages.aggregate.tables.robustness import ROBUSTNESS_COLUMNS, robustness_table
from stages.aggregate.tables.steps import STEPS_COLUMNS, steps_table
from stages.aggregate.tables.summary import SUMMARY_COLUMNS, SummaryRow, summary_table
from stages.shared.files.csv_table import TEXT, write_table
from stages.shared.tables.metric_table import ANALYSIS_TABLES

COLUMNS = {
    "training.csv": CURVE_COLUMNS,
    "classes.csv": CLASS_COLUMNS,
    "depth.csv": DEPTH_COLUMNS,
    "regret.csv": REGRET_COLUMNS,
    "robustness.csv": ROBUSTNESS_COLUMNS,
    "steps.csv": STEPS_COLUMNS,
    "summary.csv": SUMMARY_COLUMNS,
    **{f"{analysis}.csv": CELL | columns for analysis, columns in ANALYSIS_TABLES.items()},
}


def score_tables(layers: pd.DataFrame, scores: Scores, networks: Mapping[Name, NetworkData]) -> dict[str, pd.DataFrame]:
    """Make the tables of scores, by file name.

    Args:
        layers: metric rows of all cells that leave classes out.
        scores: their means, with `UNCERTAINTY`.
        networks: the measured data of each network.
    """
    return {
        "classes.csv": classes_table(networks.values()),
        "depth.csv": depth_table(scores),
        "robustness.csv": robustness_table(layers),
        "steps.csv": steps_table(scores),
    }


def fact_tables(summary: Sequence[SummaryRow], regrets: Sequence[RegretRow]) -> dict[str, pd.DataFrame]:
    """Make the tables of facts, by file name."""
    return {"summary.csv": summary_table(summary), "regret.csv": regret_table(regrets)}


def write_tables(out: Path, tables: Mapping[str, pd.DataFrame], notice: str = "") -> None:
    """Write every table.

    Args:
        out: the folder.
        tables: by file name.
        notice: a sentence for a column of every table; empty: no such column.

    Raises:
        ValueError: one has an unknown column, or lacks one.
    """
    for file, table in tables.items():
        columns = {**COLUMNS[file], **({"notice": TEXT} if notice else {})}
        write_table(out / file, stack([table.assign(notice=notice) if notice else table], columns), columns)
