"""summary.csv as the commands of a study read it: a row per dataset, network and score, under the main pooling."""

from io import StringIO

import pandas as pd

from stages.shared.runtime.errors import UserError

NEEDED = [
    "dataset",
    "model",
    "pooling",
    "metric",
    "main",
    "n_seeds",
    "accuracy",
    "accuracy_sd",
    "seen",
    "seen_sd",
    "seen_depth",
    "unseen",
    "unseen_sd",
    "best_layer",
    "best_depth",
    "last_depth",
]


def parse_summary(text: str, where: str) -> pd.DataFrame:
    """Read the rows of a summary.csv whose layers are under their main pooling, means over folds alone.

    A table of a version without folds has no column `fold`: all its rows are means.

    Args:
        text: the file's content.
        where: its name, for messages.

    Raises:
        UserError: it is no such table.
    """
    try:
        summary = pd.read_csv(StringIO(text), keep_default_na=False, na_values=[""])  # a model may be called `NA`
    except ValueError as error:  # of pandas
        raise UserError(f"{where}: must be a summary.csv of the aggregate stage, found no table ({error})") from None
    missing = [column for column in NEEDED if column not in summary]
    if missing:
        raise UserError(
            f"{where}: must be a summary.csv of the aggregate stage, lacks {', '.join(missing)}; it was written by "
            "another version: run that stage again"
        )
    summary = summary[summary["fold"] == "mean"] if "fold" in summary else summary
    first = summary.sort_values("main", ascending=False, kind="stable")  # `main` marks the main score's main pooling
    main = first.groupby(["dataset", "model"])["pooling"].transform("first")
    return summary[summary["pooling"] == main.loc[summary.index]]


def number(value: float, deviation: float) -> str:
    """Write a mean to three digits, ± its standard deviation where there is one."""
    return f"{value:.3f}" if pd.isna(deviation) else f"{value:.3f} ± {deviation:.3f}"
