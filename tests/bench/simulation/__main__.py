"""Simulate how often the intervals, bounds and ties hold what they should: `make coverage`.

Every design draws data sets, scores them as the stages do, and makes every statement from the scores alone. Scores are
kept, one line of JSON for each data set, under the hash of the code that they depend on: an interrupted run goes on,
and a change of inference alone simulates nothing again.

    python -m tests.bench.simulation --sets 200 --jobs 2
"""

import argparse
from collections.abc import Iterator, Sequence
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

FEWER_FOLDS = {"nmi": (3,), "knn_purity": (3,)}
"""Score -> numbers of folds, fewer than simulated, that are looked at too."""


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
    table = summary(args.folder, args.only, args.sets, args.jobs)
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


def summary(folder: Path, designs: Sequence[str], sets: int, jobs: int) -> pd.DataFrame:
    """One row for every score, and for fewer folds where `FEWER_FOLDS` says so."""
    with ProcessPoolExecutor(jobs) as pool:
        rows = [pool.submit(row_of, *each) for design in designs for each in questions(folder, design, sets)]
        return pd.DataFrame([row.result() for row in tqdm(rows, "summary", disable=None)])


def questions(folder: Path, design: str, sets: int) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """What each row of a design is about: design, score, arrays of all data sets, number of folds."""
    folds = DESIGNS[design].folds
    for metric, arrays in store.read(folder, design, code_hash(design), sets).items():
        fewer = FEWER_FOLDS.get(metric, ()) if folds > 1 and DESIGNS[design].first_network is None else ()
        for number in (folds, *fewer):
            yield design, metric, arrays, number


def row_of(design: str, metric: str, arrays: dict[str, Any], folds: int) -> dict[str, Any]:
    """One row of the table, on one thread."""
    names, first = {"design": design, "score": metric}, DESIGNS[design].first_network
    with threadpool_limits(1):
        if first is not None:
            return names | two_networks(arrays, metric, first)
        return names | {"folds": folds} | rows_of(arrays, metric, folds=folds)


if __name__ == "__main__":
    main()
