"""Keep classes out of a whole study, and compare what was promised of each use with what they then give.

    python -m tests.tools.held_out_classes IMAGES OUT [--model efficientnet_lite0] [--choice 1]

IMAGES has a folder for each class. Of 25 of them, in a random order, the CHOICE-th five go to OUT/new, the others to
OUT/known. In a copy of the project: `whichlayer new known`, `dvc repro`, and for each use `recommend`, `features` and
`cut`. The features of the five are scored here with scikit-learn, not by the project's code: probe accuracy, MAP@R and
NMI of k-means. Printed are two Markdown tables, and how far the features of the cut are from the network's.

Started again, it goes on in OUT.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score, pairwise_distances
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tabulate import tabulate

from tests.workflow import Workflow

CLASSES, LEFT_OUT, SEED = 25, 5, 0
USES = ("classifier", "retrieval", "discovery")
RULES = {"last_layer": "last layer", "penultimate": "layer before"}
Array = NDArray[Any]


def main() -> None:
    args = parse_args()
    known, new = divide(args.images, args.out.resolve(), args.choice)
    project = open_project(args.out.resolve() / "project", known, args.model)
    project.run("dvc", "repro")
    print(project.run("whichlayer", "verdict").stdout)
    rows = [row for use in USES for row in compare(project, new, use)]
    print(tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True), "\n")
    print(tabulate(regrets(project), headers="keys", tablefmt="pipe", disable_numparse=True))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="efficientnet_lite0_frozen")
    parser.add_argument("--choice", type=int, default=0)
    return parser.parse_args()


def divide(images: Path, out: Path, choice: int) -> tuple[Path, Path]:
    """Copy the classes of a choice to `new`, and the others to `known`."""
    names = sorted(path.name for path in images.iterdir() if path.is_dir())
    Random(SEED).shuffle(names)
    drawn = names[:CLASSES]
    left_out = drawn[choice * LEFT_OUT : (choice + 1) * LEFT_OUT]
    for name in drawn:
        target = out / ("new" if name in left_out else "known") / name
        if not target.is_dir():
            shutil.copytree(images / name, target)
    print(f"left out: {', '.join(sorted(left_out))}\n")
    return out / "known", out / "new"


def open_project(folder: Path, known: Path, model: str) -> Workflow:
    """Copy the project and start a study in it, or take the one of an earlier run."""
    if (folder / "data" / "raw" / "mine").exists():
        return Workflow.opened(folder)
    project = Workflow(folder)
    (folder / "data" / "raw").mkdir(parents=True)
    project.start_repository()
    print(project.run("whichlayer", "new", str(known), "--model", model).stdout)
    return project


def compare(project: Workflow, new: Path, use: str) -> list[dict[str, str]]:
    """Lay out what was promised of one use, and what the classes that were left out give."""
    (found,) = json.loads(project.run("whichlayer", "recommend", "--use", use, "--json").stdout)
    best, metric = found["best"], found["metric"]
    cell = ("--from", f"{found['dataset']}/{found['model']}/0/0")
    promised = regret_table(project, metric)

    def features(name: str, *options: str) -> tuple[Array, Array]:
        """Embed the images that were left out, if that was not done; return vectors (N, D) and classes."""
        path = project.folder / f"{name}.parquet"
        if not path.is_file():
            project.run("whichlayer", "features", str(new), *options, "--out", path.name)
        table = pd.read_parquet(path)
        return np.stack(table["features"].to_list()), table["path"].str.partition("/")[0].to_numpy()

    def layer(name: str, step: int) -> tuple[Array, Array]:
        at = ("--layer", name, "--step", str(step), "--scale", found["normalize"])
        return features(f"{name}-{step}-{found['normalize']}", *cell, *at)

    own = f"{best['layer']}-{best['step']}-{found['normalize']}"
    taken, labels = features(own, *cell, "--use", use)
    if not (project.folder / f"{own}-cut").is_dir():
        project.run("whichlayer", "cut", *cell, "--use", use, "--no-onnx", "--out", f"{own}-cut")
    by_cut, _ = features(f"{own}-by-cut", "--from", f"{own}-cut")
    print(f"{use}: the features of the cut are at most {np.abs(by_cut - taken).max():.1e} from the network's\n")
    rows = []
    about = {"use": use, "score": metric, "layer": f"`{best['layer']}` at step {best['step']}"}
    for rule, words in RULES.items():
        (name,) = set(promised[rule]["layer"])
        gained = difference(metric, taken, layer(name, found["last_step"])[0], labels)
        rows.append(about | {"over": f"{words}, `{name}`", "promised": promise(promised, rule), "gained": gained})
    return rows


def regret_table(project: Workflow, metric: str) -> dict[str, pd.DataFrame]:
    """Read what each way of choosing gives on the fold that it did not know, by the way; rows by fold."""
    table = pd.read_csv(project.folder / "data" / "results" / "regret.csv", dtype={"fold": str})
    table = table[(table["metric"] == metric) & (table["fold"] != "mean")]
    table = table[table["candidates"] == "layers_and_checkpoints"]
    return {name: rows.set_index("fold") for name, rows in table.groupby("criterion")}


def regrets(project: Workflow) -> list[dict[str, str]]:
    """Lay out what each way of choosing loses to the best layer, by use."""
    rows: dict[str, dict[str, str]] = {}
    for found in json.loads(project.run("whichlayer", "recommend", "--json").stdout):
        for each in found["regret"] if found["use"] in USES else ():
            rows.setdefault(each["criterion"], {"chosen by": each["criterion"]})[found["use"]] = between(each)
    return list(rows.values())


def between(regret: dict[str, Any]) -> str:
    least = "≤" if regret["at_least"] is None else f"{regret['at_least']:.3f} to"
    return f"{least} {regret['at_most']:.3f}"


def difference(metric: str, one: Array, other: Array, labels: Array) -> str:
    """Return by how much one embedding scores better, with its standard error by the jackknife over classes."""
    score, names = SCORES[metric], np.unique(labels)
    whole = score(one, labels) - score(other, labels)
    kept = [labels != name for name in names] if len(names) > 2 else []
    parts = [score(one[rows], labels[rows]) - score(other[rows], labels[rows]) for rows in kept]
    return f"{whole:+.3f} ± {np.std(parts) * np.sqrt(len(parts) - 1):.3f}"


def promise(regrets: dict[str, pd.DataFrame], rule: str) -> str:
    """Return what a rule loses, as the verdict has it: the mean over folds with its standard error, or of one fold."""
    if "other_folds" not in regrets:
        (lost,) = regrets[rule]["regret_at_least"]
        return "–" if np.isnan(lost) else f"{lost:+.3f}"
    values = regrets["other_folds"]["value"] - regrets[rule]["value"]
    return f"{values.mean():+.3f} ± {values.std() / np.sqrt(len(values)):.3f}"


def probe_accuracy(X: Array, y: Array) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    return float(cross_val_score(probe, X, y, cv=StratifiedKFold(5, shuffle=True, random_state=0)).mean())


def map_at_r(X: Array, y: Array) -> float:
    """Mean over images of the precision at each match among the R nearest, over R: the others of its class."""
    distances = pairwise_distances(X)
    np.fill_diagonal(distances, np.inf)
    precisions = []
    for row, label in zip(distances, y, strict=True):
        others = int((y == label).sum()) - 1
        matches = y[np.argsort(row)[:others]] == label
        precisions.append((matches * np.cumsum(matches) / np.arange(1, others + 1)).sum() / others)
    return float(np.mean(precisions))


def nmi(X: Array, y: Array) -> float:
    clusters = KMeans(len(np.unique(y)), n_init=50, random_state=0).fit_predict(X)
    return float(normalized_mutual_info_score(y, clusters))


SCORES: dict[str, Callable[[Array, Array], float]] = {
    "probe_accuracy": probe_accuracy,
    "map_at_r": map_at_r,
    "nmi": nmi,
}

if __name__ == "__main__":
    main()
