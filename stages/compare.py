"""Set a study beside the published results, as Markdown tables: accuracy, g, best depth, rank correlations.

Reads the metric tables of a study's cells (`<study>/<dataset>-<model>-<seed>.csv`, each a cell's layers.csv) and the
published numbers; prints to standard output.

    python -m stages.compare docs/study/cells docs/paper.json
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from stages.shared.console import UserError, run_door
from stages.shared.records import concat_records, read_records

SCORES = {"nmi": "NMI", "knn_purity": "k-NN purity", "probe_accuracy": "linear probe"}


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(prog="python -m stages.compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of the cells' metric tables")
    parser.add_argument("published", type=Path, help="the published numbers")
    args = parser.parse_args()
    records = read_study(args.study)
    published = json.loads(args.published.read_text())
    for dataset in sorted(records["dataset"].unique()):
        ours = study_rows(records[records["dataset"] == dataset])
        theirs = published_rows(published, dataset)
        print(f"\n### {dataset}\n")
        print(markdown([*theirs, *ours]))
        print(f"\n{correlations(theirs, 'published')}\n{correlations(ours, 'this study')}")


def read_study(folder: Path) -> pd.DataFrame:
    """Read the metric tables of all cells of a study.

    Raises:
        UserError: there is none.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise UserError(f"{folder}: must hold metric tables named <dataset>-<model>-<seed>.csv, found none")
    return concat_records([read_records(path) for path in paths])


def study_rows(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Sum up every model of one dataset at its last step, as the published table does.

    Returns:
        One mapping per model: model, n, accuracy, and per score seen, unseen (maxima over layers of the seeds' means),
        their `_sd` at the chosen layer (ddof = 1), best and last depth.
    """
    return [_study_row(str(model), rows) for model, rows in records.groupby("model")]


def _study_row(model: str, rows: pd.DataFrame) -> dict[str, Any]:
    last = rows[rows["step"] == rows["step"].max()]
    accuracy = last.loc[last["metric"] == "accuracy", "value"]
    row: dict[str, Any] = {"model": model, "n": last["seed"].nunique()}
    row |= {"accuracy": accuracy.mean(), "accuracy_sd": accuracy.std(ddof=1)}
    layers = last[(last["depth"] >= 0).fillna(value=False)]
    for metric in SCORES:
        for split, name in (("test", "seen"), ("unseen", "unseen")):
            curve = layers[(layers["metric"] == metric) & (layers["split"] == split)].groupby("depth")["value"]
            best = int(curve.mean().idxmax())
            row |= {f"{metric} {name}": curve.mean()[best], f"{metric} {name}_sd": curve.std(ddof=1)[best]}
            row |= {f"{metric} {name} depth": f"{best} of {int(layers['depth'].max())}"}
    return row


def published_rows(published: Mapping[str, Any], dataset: str) -> list[dict[str, Any]]:
    """Bring the published numbers of one dataset into the form of `study_rows`."""
    depths = published["best_depth_read_off_the_figure_unseen_nmi"][dataset]
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


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out as a Markdown table, mean ± standard deviation where there is one."""
    columns = ["accuracy", *(f"{metric} {name}" for metric in SCORES for name in ("seen", "unseen"))]
    titles = ["accuracy", *(f"{title} {name}" for title in SCORES.values() for name in ("seen", "unseen"))]
    lines = [f"| network | n | {' | '.join(titles)} | best depth (NMI) |", "|---|--:|" + "--:|" * len(titles) + "--:|"]
    for row in rows:
        cells = [_number(row[c], row.get(f"{c}_sd")) for c in columns]
        lines.append(f"| {row['model']} | {row['n']} | {' | '.join(cells)} | {row['nmi unseen depth']} |")
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
        if len(rows) < 3:
            yield f"{title} undefined"
            continue
        rho = spearmanr([r["accuracy"] for r in rows], [r[f"{metric} unseen"] for r in rows]).statistic
        yield f"{title} {rho:+.2f}"


if __name__ == "__main__":
    run_door(main)
