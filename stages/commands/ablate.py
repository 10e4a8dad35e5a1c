"""Tabulate DVC experiments: what a choice of parameters does to g, from each experiment's summary.csv.

DVC runs and caches the experiments (`dvc exp run -n NAME -S ...`); this only reads what they wrote.
"""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import click
import pandas as pd
from tabulate import tabulate

from stages.aggregate.words.formatting import number
from stages.commands.dvc_project.workspace import read_revision, stage_path
from stages.commands.project import ROOT, ProjectCommand, ProjectPath, check_new, new_output
from stages.shared.core.csv_table import require_columns
from stages.shared.runtime.errors import UserError, check_known

NEEDED = (
    *("dataset", "model", "metric", "seen", "seen_sd", "seen_depth", "unseen", "unseen_sd", "best_depth"),
    *("fold", "pooling", "main"),
)
"""Columns that a summary.csv must have."""

SCORES = ("nmi", "knn_purity", "nn1_accuracy")


@click.command(cls=ProjectCommand)
@click.argument("experiments", nargs=-1, required=True)
@click.option("--metric", "metrics", multiple=True, show_default=", ".join(SCORES), help="A score; may be repeated.")
@click.option("--out", type=ProjectPath(), help="Write the rows of summary.csv, too, each with its experiment.")
def ablate(experiments: Sequence[str], metrics: Sequence[str], out: Path | None) -> None:
    """Tabulate DVC experiments: what each choice of parameters does to g, for every dataset and network.

    EXPERIMENTS are names of experiments, or git revisions (HEAD), in the order of the table's lines. Run them before:

    \b
        dvc exp run -n augment -S embed.augment=true
        dvc exp run -n stored -S measure.normalize=none
        whichlayer ablate HEAD augment stored

    A cell is g, the best layer's score, ± its standard deviation over folds (of one fold: over seeds), and the layer's
    depth.
    """
    if out is not None:
        check_new(out, folder=False)
    path = stage_path("aggregate", "--out").relative_to(ROOT) / "summary.csv"
    summaries = {name: parse_summary(read_revision(path, name), Path(f"{path} of {name}")) for name in experiments}
    table = pd.concat(summaries, names=["experiment"]).reset_index("experiment")
    for name in metrics:
        check_known(name, set(table["metric"]), f"--metric: must name scores of the experiments, found {name}")
    table = table[table["metric"].isin(metrics or SCORES)]
    if table.empty:
        raise UserError(f"--metric: must name a score, since the experiments have none of {', '.join(SCORES)}")
    if out is not None:
        with new_output(out) as scratch:
            table.to_csv(scratch, index=False)
    for (dataset, model), rows in table.groupby(["dataset", "model"], sort=False):
        print(f"\n**{dataset}, {model}**\n\n{markdown(rows, metrics or SCORES)}")


def markdown(rows: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Return a Markdown table of one network's experiments: g on seen and on unseen classes by every score."""
    lines = []
    for experiment, scores in rows.groupby("experiment", sort=False):
        line = {"experiment": experiment}
        for metric in metrics:
            for _, row in scores[scores["metric"] == metric].iterrows():
                for split, depth in (("seen", row["seen_depth"]), ("unseen", row["best_depth"])):
                    place = "" if pd.isna(depth) else f" ({depth:.0f})"
                    line[f"{metric} {split}"] = f"{number(row[split], row[f'{split}_sd'])}{place}"
        lines.append(line)
    aligned = ("left", *["right"] * (max(map(len, lines)) - 1))
    return tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True, missingval="–", colalign=aligned)


def parse_summary(text: str, where: Path) -> pd.DataFrame:
    """Return the rows of a summary.csv that are means over folds, of the layers under their main pooling.

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
    require_columns(where, summary.columns, NEEDED, "aggregate")
    summary = summary[summary["fold"] == "mean"]
    first = summary.sort_values("main", ascending=False, kind="stable")  # `main` marks the main score's main pooling
    main = first.groupby(["dataset", "model"])["pooling"].transform("first")
    return summary[summary["pooling"] == main.loc[summary.index]]
