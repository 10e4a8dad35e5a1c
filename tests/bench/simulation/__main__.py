"""Simulate how often the intervals, bounds and ties hold what they should: `make coverage`.

Every design draws data sets, scores them as the stages do, and makes every statement from the scores alone. Scores are
kept, one line of JSON for each data set, under the hash of the code that they depend on: an interrupted run goes on,
and a change of inference alone simulates nothing again.

    python -m tests.bench.simulation --sets 200 --jobs 2
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from platformdirs import user_cache_path
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from tests.bench.simulation import store
from tests.bench.simulation.coverage_table import rows_of, two_networks
from tests.bench.simulation.data_set import code_hash, simulate
from tests.bench.simulation.designs import DESIGNS

FOLDS = (2, 3)
"""Fewer folds than simulated that are looked at too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="data sets of every design")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="+", choices=list(DESIGNS), default=list(DESIGNS))
    parser.add_argument(
        "--folder", type=Path, default=user_cache_path("whichlayer") / "coverage", help="for the scores"
    )
    parser.add_argument("--out", type=Path, help="a CSV file for the table")
    args = parser.parse_args()
    for design in args.only:
        run(args.folder, design, args.sets, args.jobs)
    with threadpool_limits(1):
        table = pd.concat([summary(args.folder, design, args.sets) for design in args.only], ignore_index=True)
    if args.out:
        table.to_csv(args.out, index=False)
    print(table.round(3).to_string(index=False, na_rep=""))


def run(folder: Path, design: str, sets: int, jobs: int) -> None:
    """Simulate the data sets that are not there yet."""
    code = code_hash(design)
    numbers = store.missing(folder, design, code, sets)
    with ProcessPoolExecutor(jobs) as pool:
        data_sets = zip(numbers, pool.map(one_threaded, [design] * len(numbers), numbers), strict=True)
        store.append(folder, design, code, tqdm(data_sets, design, len(numbers), disable=None))


def one_threaded(design: str, number: int) -> Any:
    """Simulate one data set on one thread."""
    with threadpool_limits(1):
        return simulate(design, number)


def summary(folder: Path, design: str, sets: int) -> pd.DataFrame:
    """One row for every score, and for every number of folds where a design has several."""
    scores, rows = store.read(folder, design, code_hash(design), sets), []
    settings = DESIGNS[design]
    for metric, arrays in scores.items():
        names = {"design": design, "score": metric}
        if settings.first_network is not None:
            rows.append(names | two_networks(arrays, metric, settings.first_network))
            continue
        for folds in (settings.folds, *(FOLDS if settings.folds > 1 else ())):
            rows.append(names | {"folds": folds} | rows_of(arrays, metric, folds=folds))
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
