"""Tables of docs/paper-tables.md: the committed study beside the published results."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from tests.reference.pages import table
from tests.reference.replication import NAMES, unseen_and_seen

SCORES = {"nmi": "NMI", "knn_purity": "k-NN purity", "probe_accuracy": "linear probe"}
COLUMNS = {"accuracy": "accuracy"} | {
    f"{metric} {split}": f"{title} {split}" for metric, title in SCORES.items() for split in ("seen", "unseen")
}
"""Numbers of a network and their titles; a number is a mean and its standard deviation, NaN where it is not known."""

Networks = dict[str, dict[str, Any]]
"""Name -> `n`, `best` and the numbers of `COLUMNS`."""


def comparison_tables(docs: Path) -> str:
    """Tabulate published and measured networks, dataset after dataset."""
    sections = []
    for dataset, name in NAMES.items():
        networks = {f"{n} (published)": row for n, row in published(docs, dataset).items()}
        scaled = of_unit_rows(docs, dataset)
        for network, row in measured(docs, dataset).items():
            networks[network] = row
            if network in scaled:
                networks[f"{network}, length 1"] = row | scaled[network]
        rows = [
            (network, str(row["n"]), *(_number(*row[column]) for column in COLUMNS), row["best"])
            for network, row in networks.items()
        ]
        sections.append(f"**{name}**\n\n" + table(("network", "n", *COLUMNS.values(), "best layer (NMI)"), rows))
    return "\n\n".join(sections)


def correlation_table(docs: Path) -> str:
    """Tabulate Spearman's correlation of accuracy and g on unseen classes over networks."""
    rows = []
    for dataset, name in NAMES.items():
        theirs, ours = published(docs, dataset), measured(docs, dataset)
        pretrained = {network: row for network, row in ours.items() if not network.endswith("_scratch")}
        for metric, title in SCORES.items():
            rhos = (f"{_rho(networks, metric):+.2f}" for networks in (theirs, ours, pretrained))
            rows.append((name, title, *rhos))
    head = (f"published, {len(theirs)} networks", f"here, all {len(ours)}")
    return table(("dataset", "score", *head, f"here, the {len(pretrained)} with ImageNet weights"), rows)


def measured(docs: Path, dataset: str) -> Networks:
    """Read the study's networks, by name."""
    summary = pd.read_csv(docs / "study" / "results" / "summary.csv")
    networks = {}
    for model, scores in summary[summary["dataset"] == dataset].groupby("model"):
        of = scores.set_index("metric")
        best = of.loc["nmi"]
        networks[str(model)] = {
            "n": best["n_seeds"],
            "best": f"{best['best_layer']} ({best['best_depth'] + 1} of {best['last_depth'] + 1})",
            "accuracy": (best["accuracy"], best["accuracy_sd"]),
        } | {f"{m} {split}": (of.at[m, split], of.at[m, f"{split}_sd"]) for m in SCORES for split in ("seen", "unseen")}
    return networks


def of_unit_rows(docs: Path, dataset: str) -> Networks:
    """Read the scores of distances in rows of length 1, of the networks of which they were measured, by name."""
    scores = unseen_and_seen(docs).query("dataset == @dataset and rows == 'length 1'")
    networks: Networks = {}
    for (model, metric, split), own in scores.groupby(["model", "metric", "split"]):
        curves = own.pivot(index="depth", columns="seed", values="value")
        best = curves.mean(axis=1).idxmax()
        numbers = networks.setdefault(str(model), {})
        numbers[f"{metric} {split}"] = curves.loc[best].mean(), curves.loc[best].std()
        if (metric, split) == ("nmi", "unseen"):
            numbers["best"] = f"{best + 1} of {len(curves)}"
    return networks


def published(docs: Path, dataset: str) -> Networks:
    """Read the paper's networks: accuracies of the last step's trials; g has no deviation."""
    paper = json.loads((docs / "paper.json").read_text())
    networks = {}
    for model, accuracies in paper["accuracy"].items():
        trials = pd.Series(accuracies[dataset][-1])
        depth, last = paper["best_depth_read_off_the_figure_unseen_nmi"][dataset][model]
        g = paper["g"][dataset]
        networks[model] = {
            "n": len(trials),
            "best": f"about {depth + 1} of {last + 1}",
            "accuracy": (trials.mean(), trials.std()),
        } | {f"{m} {split}": (g[split][m][model], float("nan")) for m in SCORES for split in ("seen", "unseen")}
    return networks


def _number(mean: float, deviation: float) -> str:
    return f"{mean:.2f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"  # published to two digits


def _rho(networks: Mapping[str, Mapping[str, Any]], metric: str) -> float:
    pairs: Iterator[tuple[float, float]] = (
        (row["accuracy"][0], row[f"{metric} unseen"][0]) for row in networks.values()
    )
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)
