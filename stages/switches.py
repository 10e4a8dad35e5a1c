"""What each of the paper's choices does to g: embed and measure finished checkpoints again, changing one at a time.

Reads every cell of the grid at its last checkpoint; writes one row per cell, choice, score, split and layer, and prints
the tables. What was done before is kept in the scratch folder and not done again.

    python -m stages.switches data/prepared data/checkpoints --scratch /tmp/switches --out docs/study/switches.csv
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from stages.shared.checkpoints import list_checkpoints
from stages.shared.console import run_door
from stages.shared.embeddings import open_embeddings
from stages.shared.params import read_run
from stages.shared.records import read_records

METRICS = ["nmi", "knn_purity", "nn1_accuracy"]
AUGMENT = {"augment": True}
TOKEN0 = {"pooling": ["paper"]}
NEIGHBOURS = {"kmeans": {"starts": 1, "seed": 42}, "knn_k": "paper"}

CHOICES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "default": ("whichlayer's defaults", {}, {}),
    "augment": ("random rotation when embedding", AUGMENT, {}),
    "kmeans_and_k": ("one K-means start; one k for both splits", {}, NEIGHBOURS),
    "token0": ("token 0 (a corner patch) instead of the mean", TOKEN0, {}),
    "l2": ("embeddings scaled to length 1 (not the paper's)", {}, {"normalize": "l2"}),
    "all": ("all of the paper's choices", AUGMENT | TOKEN0, NEIGHBOURS),
}
"""Name -> what it is, and what it changes in the sections `embed` and `measure`."""

Cell = tuple[str, str, int]


@dataclass(frozen=True)
class Bench:
    """Where the inputs lie, where to work, and the parameters to start from."""

    prepared: Path
    checkpoints: Path
    scratch: Path
    params: Mapping[str, Any]

    def measures(self, cell: Cell, choice: str) -> Path | None:
        """Measure one cell under one choice, unless that is done.

        Returns:
            The folder of its tables; None where the choice changes nothing: a network without tokens under `token0`.
        """
        _, embed, measure = CHOICES[choice]
        store = self._embedded(cell, choice if embed else "default", embed)
        if (
            embed == TOKEN0
            and open_embeddings(store).layers == open_embeddings(self._embedded(cell, "default", {})).layers
        ):
            return None
        out = self._place("measures", choice, cell)
        if not out.exists():
            self._run("measure", cell, {"--embeddings": store, "--out": out}, self._params(choice, embed, measure))
        return out

    def _embedded(self, cell: Cell, name: str, changes: Mapping[str, Any]) -> Path:
        out = self._place("embeddings", name, cell)
        if not out.exists():
            weights = self._place("weights", "last", cell)
            weights.mkdir(parents=True, exist_ok=True)
            last = list_checkpoints(self.checkpoints.joinpath(*map(str, cell), "weights"))[-1].resolve()
            if not (weights / last.name).exists():
                (weights / last.name).symlink_to(last)
            paths = {"--prepared": self.prepared / cell[0], "--weights": weights, "--out": out}
            self._run("embed", cell, paths, self._params(name, changes, {}))
        return out

    def _place(self, kind: str, name: str, cell: Cell) -> Path:
        return self.scratch / kind / name / "-".join(map(str, cell))

    def _params(self, name: str, embed: Mapping[str, Any], measure: Mapping[str, Any]) -> Path:
        bare = {"metrics": METRICS, "extra": {"metrics": [], "steps": "ends"}, "last_step": []}
        probe = self.params["measure"]["probe"] | {"steps": "ends"}
        changed = {
            "embed": {**self.params["embed"], "train_per_class": 0, **embed},
            "measure": {**self.params["measure"], **bare, "probe": probe, **measure},
        }
        changed["embed"]["corruptions"] = {**changed["embed"]["corruptions"], "kinds": []}
        path = self.scratch / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        YAML(typ="safe").dump({**self.params, **changed}, path)
        return path

    def _run(self, stage: str, cell: Cell, paths: Mapping[str, Path], params: Path) -> None:
        names = zip(("--dataset", "--model", "--seed"), map(str, cell), strict=True)
        options = [*names, *((name, str(path)) for name, path in paths.items()), ("--params", str(params))]
        command = [sys.executable, "-m", f"stages.{stage}", *(word for option in options for word in option)]
        subprocess.run(command, check=True, env={"OMP_NUM_THREADS": "1", "WHICHLAYER_WORKERS": "1", **os.environ})


def main() -> None:
    """Go through the grid, two cells side by side, and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path, help="holds <dataset>/")
    parser.add_argument("checkpoints", type=Path, help="holds <dataset>/<model>/<seed>/weights/")
    parser.add_argument("--scratch", type=Path, required=True, help="folder to work in")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--models", nargs="+", help="of the grid; by default all")
    args = parser.parse_args()
    run = read_run(args.params)
    bench = Bench(args.prepared, args.checkpoints, args.scratch, YAML(typ="safe").load(args.params))
    cells = list(product(run.datasets, args.models or run.models, run.seeds))
    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(lambda cell: pd.concat(list(curves(bench, cell))), cells))
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(args.out, index=False)
    for (dataset, model), rows in table.groupby(["dataset", "model"], sort=False):
        print(f"\n**{dataset}, {model}**\n\n{markdown(rows)}")


def curves(bench: Bench, cell: Cell) -> Iterator[pd.DataFrame]:
    """Yield, for each choice, the scores of every layer of one cell at its last step."""
    for choice in CHOICES:
        measures = bench.measures(cell, choice)
        if measures is not None:
            rows = read_records(measures / "layers.csv")
            layers = rows[(rows["depth"] >= 0).fillna(value=False)].assign(choice=choice)
            yield layers[["dataset", "model", "seed", "step", "choice", "metric", "split", "depth", "value"]]


def markdown(rows: pd.DataFrame) -> str:
    """Lay out g (the maximum over layers of the seeds' mean), its sd over seeds and its depth, a line per choice."""
    columns = list(product(METRICS, ("test", "unseen")))
    titles = [f"`{metric}` {'seen' if split == 'test' else 'unseen'}" for metric, split in columns]
    lines = ["| choice | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(columns)]
    for choice in (name for name in CHOICES if name in set(rows["choice"])):
        of_choice = rows[rows["choice"] == choice]
        cells = [_g(of_choice[(of_choice["metric"] == m) & (of_choice["split"] == s)]) for m, s in columns]
        lines.append(f"| {CHOICES[choice][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _g(rows: pd.DataFrame) -> str:
    by_depth = rows.groupby("depth")["value"].agg(["mean", "std"]).reset_index()
    best = by_depth.iloc[int(by_depth["mean"].argmax())]
    spread = "" if pd.isna(best["std"]) else f" ± {best['std']:.3f}"
    return f"{best['mean']:.3f}{spread} ({best['depth']:.0f})"


if __name__ == "__main__":
    run_door(main)
