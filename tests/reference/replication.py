"""The table of docs/paper.md: what became of accuracy, of g and of its layer, in the committed study and pilot."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from tests.reference.pages import table

HEAD = ("dataset", "network", "accuracy", "g", "best layer", "last layer", "best - last", "g before training")
NAMES = {"calligraphy": "calligraphy", "cifar100": "CIFAR-100"}
FOLD_HEAD = ("fold", "accuracy", "g", "best layer", "last layer", "lead")
LAST_STEP = 500
ROWS_HEAD = (
    *("dataset", "network", "score", "raw: g", "best layer", "best - last"),
    *("length 1: g", "best layer", "best - last"),
)
ROWS = {"default": "raw", "none": "raw", "l2": "length 1"}
"""Names in the studies' tables -> the rows that scores are of."""

SCORES = {"nmi": "NMI", "knn_purity": "k-NN purity", "nn1_accuracy": "1-NN"}


def replication_table(study: Path) -> str:
    """Tabulate every network of a study by NMI, the datasets in the order of `NAMES`.

    Args:
        study: holds `cells/*.csv`, the scores of every cell, layer, step and split.
    """
    scores = read_cells(study)
    return table(HEAD, [_row(rows, *key) for key, rows in _networks(scores)])


def fold_tables(results: Path) -> str:
    """Tabulate NMI of the pilot's network, fold by fold, then the mean in both scopes."""
    summary = pd.read_csv(results / "summary.csv").query("metric == 'nmi'")
    tables = []
    for dataset, name in NAMES.items():
        rows = summary[summary["dataset"] == dataset].set_index("fold")
        tables += [
            f"**{name}**",
            table(FOLD_HEAD, [_fold(fold, row) for fold, row in rows.iterrows()] + [_classes(rows)]),
        ]
    return "\n\n".join(tables)


def _fold(fold: object, row: "pd.Series[Any]") -> tuple[str, ...]:
    g = f"{row.unseen:.3f} [{row.ci_images_low:.3f}, {row.ci_images_high:.3f}]"
    place = f"{row.best_depth + 1} of {row.last_depth + 1} (`{row.best_layer}`)"
    lead = f"{row.lead_images:+.3f}, {row.lead_images_at_least:+.3f} to {row.lead_images_at_most:+.3f}"
    shown = "mean, these classes" if fold == "mean" else str(fold)
    return shown, f"{row.accuracy:.3f}", g, place, f"{row.last_value:.3f}", lead


def _classes(rows: pd.DataFrame) -> tuple[str, ...]:
    row = rows.loc["mean"]
    accuracy, g = (
        f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" for name in ("accuracy_ci_classes", "ci_classes")
    )
    ties = ", ".join(str(int(depth) + 1) for depth in row.tied_classes.split(";"))
    lead = f"{row.lead_classes:+.3f}, {row.lead_classes_at_least:+.3f} to {row.lead_classes_at_most:+.3f}"
    return "mean, other classes", accuracy, g, f"{ties} tie", "", lead


def rows_table(docs: Path) -> str:
    """Tabulate g, its layer and its lead over the last layer in raw rows and in rows of length 1, where both are known.

    Args:
        docs: holds `study/switches.csv` and `pilot/scalings/*.csv`.
    """
    both = {"study": unseen_and_seen(docs).query("split == 'unseen'"), "pilot": pilot_rows(docs)}
    lines = []
    for dataset, (study, scores) in product(NAMES, both.items()):
        for model, own in scores[scores["dataset"] == dataset].groupby("model"):
            for metric, name in SCORES.items():
                curves = own[own["metric"] == metric].pivot_table("value", "depth", "rows")
                cells = [cell for rows in ("raw", "length 1") for cell in _lead(curves[rows])]
                lines.append((NAMES[dataset], f"`{model}`, {study}", name, *cells))
    return table(ROWS_HEAD, lines)


def _lead(curve: "pd.Series[float]") -> tuple[str, str, str]:
    best = curve.argmax()
    return f"{curve.max():.3f}", f"{best + 1} of {len(curve)}", f"{curve.max() - curve.iloc[-1]:.3f}"


def unseen_and_seen(docs: Path) -> pd.DataFrame:
    """Read the study's scores at the last step in both kinds of rows, by dataset, model, seed, split and depth."""
    scores = pd.read_csv(docs / "study" / "switches.csv")
    scores = scores.assign(rows=scores["choice"].map(ROWS), split=scores["split"].replace("test", "seen"))
    return scores.dropna(subset="rows")


def pilot_rows(docs: Path) -> pd.DataFrame:
    """Read the pilot's scores at the last step in both kinds of rows, of unseen classes, without the raw pixels."""
    cells = []
    for path in sorted((docs / "pilot" / "scalings").glob("*.csv")):
        dataset, model, fold, seed = path.stem.split("-")
        cells.append(pd.read_csv(path).assign(dataset=dataset, model=model, fold=fold, seed=seed))
    scores = pd.concat(cells, ignore_index=True).query("step == @LAST_STEP and depth >= 0")
    return scores.assign(rows=scores["scaling"].map(ROWS)).dropna(subset="rows")


def read_cells(folder: Path) -> pd.DataFrame:
    """Stack the scores of all cells of a study."""
    return pd.concat([pd.read_csv(path) for path in sorted((folder / "cells").glob("*.csv"))], ignore_index=True)


def unseen_nmi(scores: pd.DataFrame, step: int) -> pd.DataFrame:
    """NMI of unseen classes by depth (rows) and seed, of one network without the raw pixels."""
    rows = scores[(scores["metric"] == "nmi") & (scores["split"] == "unseen") & (scores["step"] == step)]
    return rows[rows["depth"] >= 0].pivot(index=["depth", "layer"], columns="seed", values="value")


def _networks(scores: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Every network, those with pre-trained weights first."""
    for dataset in NAMES:
        models = sorted(scores["model"].unique(), key=lambda model: (model.endswith("_scratch"), model))
        for model in models:
            yield (dataset, model), scores[(scores["dataset"] == dataset) & (scores["model"] == model)]


def _row(rows: pd.DataFrame, dataset: str, model: str) -> tuple[str, ...]:
    trained, before = unseen_nmi(rows, LAST_STEP), unseen_nmi(rows, 0).mean(axis=1).max()
    accuracy = rows[(rows["metric"] == "accuracy") & (rows["step"] == LAST_STEP)]["value"]
    depth, layer = trained.mean(axis=1).idxmax()
    best, last = trained.loc[(depth, layer)], trained.iloc[-1]
    place = f"{int(depth) + 1} of {len(trained)} (`{layer}`)"
    difference = f"{best.mean() - last.mean():.3f}"
    return (NAMES[dataset], f"`{model}`", _mean(accuracy), _mean(best), place, _mean(last), difference, f"{before:.3f}")


def _mean(values: "pd.Series[float]") -> str:
    return f"{values.mean():.3f} ± {values.std():.3f}"
