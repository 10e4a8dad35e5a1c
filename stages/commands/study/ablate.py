"""What each of the paper's choices does to g: embed and measure finished checkpoints again, changing one at a time.

Reads every cell of the grid at its last checkpoint, every layer under its main pooling; writes one row per cell,
choice, score, split and layer, and prints the tables. Layers are given by depth: their names stand beside it in the
cells' own metric tables (layers.csv).

What was finished before is kept in the scratch folder, by cell, parameters and checkpoint, and not done again; what
changed is. The code and the prepared images are not looked at: when they change, empty that folder.

    python -m stages.commands.study.ablate data/prepared data/checkpoints \
        --scratch /tmp/switches --out docs/study/switches.csv
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from stages.shared.checkpoints import list_checkpoints
from stages.shared.console import UserError, run_main
from stages.shared.embedding_store import open_embeddings
from stages.shared.metric_table import read_records
from stages.shared.params import read_run

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
        store = self._embedded(cell, embed)
        if embed == TOKEN0 and open_embeddings(store).layers == open_embeddings(self._embedded(cell, {})).layers:
            return None
        params = self._params(embed, measure)
        done = self._place("measure", cell, {"measure": params["measure"], "embedded": store.parent.name})
        if not done.exists():
            with unfinished(done) as work:
                self._run("measure", cell, {"--embeddings": store, "--out": work / "out"}, params)
        return done / "out"

    def _embedded(self, cell: Cell, changes: Mapping[str, Any]) -> Path:
        last = list_checkpoints(self.checkpoints.joinpath(*map(str, cell), "weights"))[-1]
        params, file = self._params(changes, {}), last.stat()
        rows = {"dataset": params["datasets"].get(cell[0]), "model": params["models"].get(cell[1])}
        checkpoint = [last.name, file.st_size, file.st_mtime_ns]
        done = self._place("embed", cell, {"embed": params["embed"], **rows, "checkpoint": checkpoint})
        if not done.exists():
            with unfinished(done) as work:
                weights = work / "weights"
                weights.mkdir()
                (weights / last.name).symlink_to(last.resolve())
                paths = {"--prepared": self.prepared / cell[0], "--weights": weights, "--out": work / "out"}
                self._run("embed", cell, paths, params)
        return done / "out"

    def _place(self, stage: str, cell: Cell, key: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.scratch / stage / "-".join([*map(str, cell), digest[:16]])

    def _params(self, embed: Mapping[str, Any], measure: Mapping[str, Any]) -> dict[str, Any]:
        bare = {"metrics": METRICS, "extra": {"metrics": [], "steps": "ends"}, "analyses": []}
        probe = self.params["measure"]["probe"] | {"steps": "ends"}
        main = {"pooling": self.params["embed"]["pooling"][:1]}
        changed = {
            "finetune": {**self.params["finetune"], "keep": "last"},  # embed asks for the checkpoints that params name
            "embed": {**self.params["embed"], **main, "train_per_class": 0, **embed},
            "measure": {**self.params["measure"], **bare, "probe": probe, **measure},
        }
        changed["embed"]["corruptions"] = {**changed["embed"]["corruptions"], "kinds": []}
        return {**self.params, **changed}

    def _run(self, stage: str, cell: Cell, paths: Mapping[str, Path], params: Mapping[str, Any]) -> None:
        written = paths["--out"].with_name("params.yaml")
        YAML(typ="safe").dump(params, written)
        names = zip(("--dataset", "--model", "--seed"), map(str, cell), strict=True)
        options = [*names, *((name, str(path)) for name, path in paths.items()), ("--params", str(written))]
        command = [sys.executable, "-m", f"stages.{stage}", *(word for option in options for word in option)]
        one_thread = {"OMP_NUM_THREADS": "1", "WHICHLAYER_WORKERS": "1", **os.environ}
        if subprocess.run(command, check=False, env=one_thread).returncode:
            raise UserError(
                f"{stage} of {'-'.join(map(str, cell))}: ended with an error, said above, under the parameters of "
                f"{written}; mend it and run again: what was finished is kept"
            )


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Give an empty folder to work in, which takes the name of `folder` if the work is finished.

    What an interrupted try left is removed.
    """
    work = folder.with_name(f"{folder.name}.unfinished")
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    yield work
    work.rename(folder)


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
    columns = [c for c in product(METRICS, ("test", "unseen")) if c[1] in set(rows["split"])]
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
    run_main(main)
