"""Is a scaling better chosen after the layer or together with it? Measured on folds that neither choice saw.

For every fold in turn, by the mean over the other folds: the layer that is best as it is; of that layer the best
scaling (so whichlayer chooses); the best of all layers and scalings at once. Each is scored on the fold left out.

    python -m tests.bench.scaling_choice data/results OTHER/data/results

An argument is a folder of results with scalings.csv; networks of fewer than three folds are left out.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from stages.aggregate.recommend.variants import chosen_elsewhere
from stages.shared.runtime.console import run_main

MIN_FOLDS = 3
NETWORK = ["dataset", "model", "step", "metric"]


def compare(scalings: pd.DataFrame) -> list[list[object]]:
    """A row for each network, step and score: as it is, and what both ways of choosing a scaling gain.

    Args:
        scalings: as scalings.csv; every score is better higher.
    """
    rows: list[list[object]] = []
    layers = scalings[scalings["depth"] >= 0]
    for names, own in layers.groupby(NETWORK, sort=False):
        table = own.pivot_table(index="fold", columns=["depth", "layer", "scaling"], values="value")
        if len(table) < MIN_FOLDS:
            continue
        as_it_is = table.xs("none", axis=1, level="scaling")
        after = np.empty(len(table))
        for fold in range(len(table)):
            layer = as_it_is.columns[np.delete(as_it_is.to_numpy(), fold, axis=0).mean(axis=0).argmax()]
            after[fold] = chosen_elsewhere(table[layer].to_numpy())[fold]
        plain = chosen_elsewhere(as_it_is.to_numpy()).mean()
        together = chosen_elsewhere(table.to_numpy()).mean()
        rows.append([*names, len(table), plain, after.mean() - plain, together - plain])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="folders with scalings.csv")
    args = parser.parse_args()
    tables = {path: pd.read_csv(path / "scalings.csv", keep_default_na=False) for path in args.results}
    rows = [[path, *row] for path, table in tables.items() for row in compare(table)]
    headers = ["study", *NETWORK, "folds", "as it is", "scaled after", "together"]
    print(tabulate(rows, headers=headers, tablefmt="pipe", floatfmt="+.3f"))


if __name__ == "__main__":
    run_main(main)
