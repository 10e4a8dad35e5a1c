"""Set a study beside the published results, as Markdown tables: accuracy, g, best layer, rank correlations."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd
from tabulate import tabulate

from stages.aggregate.formatting import place
from stages.aggregate.points import spearman
from stages.aggregate.result_files import check_result
from stages.commands.ablate import number, parse_summary
from stages.commands.project import ROOT, ProjectCommand, ProjectPath
from stages.shared.runtime.errors import UserError

SCORES = {"nmi": "NMI", "knn_purity": "k-NN purity", "probe_accuracy": "linear probe"}
COLUMNS = {"accuracy": "accuracy"} | {
    f"{metric} {name}": f"{title} {name}" for metric, title in SCORES.items() for name in ("seen", "unseen")
}
"""What a row may hold, and its title in the table."""

PAPER = "docs/paper.json"
BEST_DEPTHS = "best_depth_read_off_the_figure_unseen_nmi"
PUBLISHED = ("accuracy", "g", BEST_DEPTHS)
"""What is read of the published numbers."""


@click.command(cls=ProjectCommand)
@click.argument("summary", type=ProjectPath())
@click.option(
    "--published",
    type=ProjectPath(),
    default=lambda: ROOT / PAPER,
    help=f"The published numbers; by default {PAPER}.",
)
def compare(summary: Path, published: Path) -> None:
    """Set a study beside the published results, as Markdown tables.

    SUMMARY is the study's summary.csv, for example docs/study/results/summary.csv. A layer with several poolings counts
    under its main one.
    """
    try:
        rows = parse_summary(check_result(summary).read_text(), str(summary))
    except FileNotFoundError:
        raise UserError(f"{summary}: must be a study's summary.csv, found no file; run the workflow") from None
    numbers = read_published(published)
    for dataset, of_dataset in rows.groupby("dataset"):
        theirs = published_rows(numbers, str(dataset))
        print(f"\n### {dataset}\n\n{side_by_side(study_rows(of_dataset), theirs)}")


def side_by_side(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> str:
    """Lay out one dataset: the table of what the study measured, what it did not, and the rank correlations."""
    measured = [column for column in COLUMNS if any(column in row for row in ours)]
    absent = [title for column, title in COLUMNS.items() if column not in measured]
    parts = [markdown([*theirs, *ours], measured)]
    parts += [f"Not measured in this study: {', '.join(absent)}."] if absent else []
    parts += [f"{correlations(theirs, 'published')}\n" if theirs else "No published numbers for this dataset.\n"]
    return "\n\n".join(parts) + correlations(ours, "this study")


def read_published(path: Path) -> dict[str, Any]:
    """Read the published numbers.

    Raises:
        UserError: there are none, or the file is no such table.
    """
    try:
        published = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path}: must hold the published numbers, found no file; those of the paper: {PAPER}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: must be JSON, found {error}; see {PAPER}") from None
    missing = [key for key in PUBLISHED if not isinstance(published, dict) or key not in published]
    if missing:
        raise UserError(f"{path}: must have the keys {', '.join(PUBLISHED)}; lacks {', '.join(missing)}; see {PAPER}")
    return dict(published)


def study_rows(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Arrange one dataset's summary by network, sorted by name, as the published table does.

    Returns:
        One mapping per network: model, n, and those of `COLUMNS` that were measured, each with its `_sd`; `best` layer
        by NMI.
    """
    rows = []
    for model, scores in summary.groupby("model"):
        first = scores.iloc[0]
        row = {"model": model, "n": first["n_seeds"]}
        found = {"accuracy": (first["accuracy"], first["accuracy_sd"])}
        for _, score in scores[scores["metric"].isin(SCORES)].iterrows():
            found |= {f"{score['metric']} {name}": (score[name], score[f"{name}_sd"]) for name in ("seen", "unseen")}
            if score["metric"] == "nmi":
                row["best"] = f"{score['best_layer']} ({place(score['best_depth'], score['last_depth'])})"
        for column, (value, deviation) in found.items():
            row |= {} if pd.isna(value) else {column: value, f"{column}_sd": deviation}
        rows.append(row)
    return rows


def published_rows(published: Mapping[str, Any], dataset: str) -> list[dict[str, Any]]:
    """Bring the published numbers of one dataset into the form of `study_rows`; none if it is not among them."""
    depths = published[BEST_DEPTHS].get(dataset)
    if depths is None:
        return []
    rows = []
    for model, accuracies in published["accuracy"].items():
        last = pd.Series(accuracies[dataset][-1])
        scores = {
            f"{metric} {name}": published["g"][dataset][name][metric][model]
            for metric in SCORES
            for name in ("seen", "unseen")
        }
        accuracy = {"accuracy": last.mean(), "accuracy_sd": last.std(ddof=1)}
        best = f"about {place(*depths[model])}"
        rows.append({"model": f"{model} (published)", "n": len(last), **accuracy, **scores, "best": best})
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = tuple(COLUMNS)) -> str:
    """Lay rows out as a Markdown table, mean ± standard deviation where there is one, a dash where there is nothing.

    Args:
        rows: as `study_rows` gives them.
        columns: which of `COLUMNS`; the best layer goes with `nmi unseen`.
    """
    cells = [
        {"network": row["model"], "n": row["n"]}
        | {COLUMNS[column]: _cell(row, column) for column in columns}
        | ({"best layer (NMI)": row.get("best", "–")} if "nmi unseen" in columns else {})
        for row in rows
    ]
    aligned = ("left", *["right"] * (len(cells[0]) - 1))
    return tabulate(cells, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=aligned)


def _cell(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        return "–"
    deviation = row.get(f"{column}_sd")
    return f"{row[column]:.2f}" if deviation is None else number(row[column], deviation)  # published to two digits


def correlations(rows: Sequence[Mapping[str, Any]], whose: str) -> str:
    """Say how accuracy and g on unseen classes rank networks alike: Spearman's rho per score, without an interval."""
    return (
        f"Rank correlation of accuracy and g unseen over {len(rows)} networks, {whose}: " + ", ".join(_rhos(rows)) + "."
    )


def _rhos(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for metric, title in SCORES.items():
        both = [(r["accuracy"], r[f"{metric} unseen"]) for r in rows if {"accuracy", f"{metric} unseen"} <= r.keys()]
        rho = spearman(*map(pd.Series, zip(*both, strict=True))) if len(both) > 2 else float("nan")
        of = f" (over {len(both)})" if len(both) < len(rows) else ""
        yield f"{title} undefined" if pd.isna(rho) else f"{title} {rho:+.2f}{of}"
