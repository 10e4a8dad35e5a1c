"""Set a study beside the published results, as Markdown tables: accuracy, g, best depth, rank correlations.

Reads the metric tables of a study's cells (`<study>/<dataset>-<model>-<seed>.csv`, each a cell's layers.csv) and the
published numbers; prints to standard output. A layer with several poolings counts under its main one.

    python -m stages.commands.study.compare docs/study/cells docs/paper.json
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from stages.aggregate.points import spearman
from stages.shared.console import UserError, run_main
from stages.shared.metric_table import concat_records, read_records

SCORES = {"nmi": "NMI", "knn_purity": "k-NN purity", "probe_accuracy": "linear probe"}
COLUMNS = {"accuracy": "accuracy"} | {
    f"{metric} {name}": f"{title} {name}" for metric, title in SCORES.items() for name in ("seen", "unseen")
}
"""What a row may hold, and its title in the table."""

PAPER = "docs/paper.json"
BEST_DEPTHS = "best_depth_read_off_the_figure_unseen_nmi"
PUBLISHED = ("accuracy", "g", BEST_DEPTHS)
"""What is read of the published numbers."""


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of the cells' metric tables")
    parser.add_argument("published", type=Path, help="the published numbers")
    args = parser.parse_args()
    records = read_study(args.study)
    published = read_published(args.published)
    for dataset in sorted(records["dataset"].unique()):
        ours = study_rows(records[records["dataset"] == dataset])
        theirs = published_rows(published, dataset)
        print(f"\n### {dataset}\n\n{side_by_side(ours, theirs)}")


def side_by_side(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> str:
    """Lay out one dataset: the table of what the study measured, what it did not, and the rank correlations."""
    measured = [column for column in COLUMNS if any(column in row for row in ours)]
    absent = [title for column, title in COLUMNS.items() if column not in measured]
    parts = [markdown([*theirs, *ours], measured)]
    parts += [f"Not measured in this study: {', '.join(absent)}."] if absent else []
    parts += [f"{correlations(theirs, 'published')}\n" if theirs else "No published numbers for this dataset.\n"]
    return "\n\n".join(parts) + correlations(ours, "this study")


def read_study(folder: Path) -> pd.DataFrame:
    """Read the metric tables of all cells of a study.

    Raises:
        UserError: there is none.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise UserError(f"{folder}: must hold metric tables named <dataset>-<model>-<seed>.csv, found none")
    return concat_records([read_records(path) for path in paths])


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


def study_rows(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Sum up every model of one dataset at its last step, as the published table does.

    Returns:
        One mapping per model: model, n, accuracy, and per score seen, unseen (maxima over layers of the seeds' means),
        their `_sd` at the chosen layer (ddof = 1), the layer's name, its and the last depth. What was not measured is
        not in it.
    """
    return [_study_row(str(model), rows) for model, rows in records.groupby("model")]


def _study_row(model: str, rows: pd.DataFrame) -> dict[str, Any]:
    last = rows[rows["step"] == rows["step"].max()]
    accuracy = last.loc[(last["metric"] == "accuracy") & (last["split"] == "test"), "value"]
    row: dict[str, Any] = {"model": model, "n": last["seed"].nunique()}
    row |= {"accuracy": accuracy.mean(), "accuracy_sd": accuracy.std(ddof=1)} if len(accuracy) else {}
    layers = _main_poolings(last)
    names = layers.groupby("depth")["layer"].first()
    for metric in SCORES:
        for split, name in (("test", "seen"), ("unseen", "unseen")):
            scored = layers[(layers["metric"] == metric) & (layers["split"] == split)]
            if scored.empty:
                continue
            curve = scored.groupby("depth")["value"]
            best = cast(int, curve.mean().idxmax())
            row |= {f"{metric} {name}": curve.mean()[best], f"{metric} {name}_sd": curve.std(ddof=1)[best]}
            row |= {f"{metric} {name} depth": f"{names[best]} ({best} of {names.index.max()})"}
    return row


def _main_poolings(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of every layer under its main pooling, whose rows come first (see `stages.aggregate.curves`)."""
    layers = rows[(rows["depth"] >= 0).fillna(value=False)]
    further = layers["layer"].str.contains("@", regex=False)
    return layers[~further & (layers["pooling"] == layers.groupby("depth")["pooling"].transform("first"))]


def published_rows(published: Mapping[str, Any], dataset: str) -> list[dict[str, Any]]:
    """Bring the published numbers of one dataset into the form of `study_rows`; none if it is not among them."""
    depths = published[BEST_DEPTHS].get(dataset)
    if depths is None:
        return []
    rows = []
    for model, accuracies in published["accuracy"].items():
        last = pd.Series(accuracies[dataset][-1])
        row = {
            "model": f"{model} (published)",
            "n": len(last),
            "accuracy": last.mean(),
            "accuracy_sd": last.std(ddof=1),
        }
        for metric in SCORES:
            for name in ("seen", "unseen"):
                row[f"{metric} {name}"] = published["g"][dataset][name][metric][model]
        row["nmi unseen depth"] = f"about {depths[model][0]} of {depths[model][1]}"
        rows.append(row)
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = tuple(COLUMNS)) -> str:
    """Lay rows out as a Markdown table, mean ± standard deviation where there is one, a dash where there is nothing.

    Args:
        rows: as `study_rows` gives them.
        columns: which of `COLUMNS`; the best depth goes with `nmi unseen`.
    """
    depth = "nmi unseen" in columns
    titles = [*(COLUMNS[c] for c in columns), *(["best depth (NMI)"] if depth else [])]
    lines = [f"| network | n | {' | '.join(titles)} |", "|---|--:|" + "--:|" * len(titles)]
    for row in rows:
        cells = [_number(row[c], row.get(f"{c}_sd")) if c in row else "–" for c in columns]
        cells += [row.get("nmi unseen depth", "–")] if depth else []
        lines.append(f"| {row['model']} | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float, deviation: float | None) -> str:
    spread = "" if deviation is None or pd.isna(deviation) else f" ± {deviation:.3f}"
    return f"{value:.3f}{spread}" if spread or round(value, 2) != value else f"{value:.2f}"


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


if __name__ == "__main__":
    run_main(main)
