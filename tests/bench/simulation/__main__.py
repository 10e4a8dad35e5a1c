"""Simulate how often the intervals, bounds and ties hold what they should: `make coverage`.

Every design draws data sets, scores them as the stages do, and makes every statement from the scores alone. Scores are
kept, one line of JSON for each data set, under the hash of the code that they depend on, and so are the tables: an
interrupted run goes on, and a change of inference alone simulates nothing again.

    python -m tests.bench.simulation --sets 400 --fewer 100 --jobs 2
    python -m tests.bench.simulation --design frozen10 hubs_low --kind neighbours --sets 20
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.aggregate import network_data
from stages.aggregate.findings import outcomes, power
from stages.core.inference import contrasts, gain, layer_comparison, scopes
from stages.core.scores.catalogue import SCORES
from stages.prepare.download import cache_folder
from tests.bench.simulation import (
    by_library,
    class_studies,
    coverage_table,
    frozen_sets,
    joined_sets,
    joined_uses,
    named_sets,
    power_table,
    store,
    tuned_studies,
)
from tests.bench.simulation.coverage_table import COMPARED, one_network, two_networks
from tests.bench.simulation.data_set import Kind, code_hash, hash_of, metrics_of, simulate
from tests.bench.simulation.designs import DESIGNS, FIRST
from tests.bench.simulation.document import LAYERS, PAGE, STUDIES, Results, page, write_results
from tests.bench.simulation.power_table import POWERED, power_row

KINDS: tuple[Kind, ...] = get_args(Kind)
POWER_SETS = 100
"""Data sets of every design of which it is asked what studies show."""

GAIN_SETS, LIBRARY_SETS, NAMED_SETS, JOIN_SETS, USE_SETS, GAIN_STUDIES = 1000, 20, 200, 1000, 300, 200
"""Sets of each design of frozen networks, of those that `wl.score` scores as well, that are named by another score, of
joins, of these for other uses, and studies of class scores of each kind and shape."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400, help="data sets of frozen networks, real layers and hubs")
    parser.add_argument("--fewer", type=int, default=100, help="data sets of every other design")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--design", nargs="+", choices=list(DESIGNS), default=list(DESIGNS), metavar="NAME")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS, help="of scores")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "coverage", help="what is kept")
    parser.add_argument("--out", type=Path, help="a CSV file for the table")
    parser.add_argument("--page", action="store_true", help="write results/ and docs/coverage.md")
    args = parser.parse_args()
    runs = [(design, kind) for design in args.design for kind in args.kind if metrics_of(DESIGNS[design], kind)]
    with ProcessPoolExecutor(args.jobs) as pool:
        sets = {design: args.sets if design in FIRST else args.fewer for design in args.design}
        table = pd.DataFrame([row for run in runs for row in table_of(pool, args.folder, *run, sets[run[0]])])
        powered = [(design, kind) for design, kind in runs if design in POWERED]
        shown = [row for run in powered for row in power_rows(pool, args.folder, *run, min(args.fewer, POWER_SETS))]
        drawn = {
            frozen_sets: (frozen_sets.DESIGNS, repeat(GAIN_SETS)),
            by_library: (by_library.DESIGNS, repeat(LIBRARY_SETS)),
            named_sets: (named_sets.DESIGNS, repeat(NAMED_SETS)),
            joined_sets: (joined_sets.DESIGNS, repeat(JOIN_SETS)),
            joined_uses: (joined_uses.DESIGNS, repeat(USE_SETS)),
            tuned_studies: (tuned_studies.DESIGNS, repeat(GAIN_STUDIES)),
            class_studies: (*zip(*class_studies.runs_of(), strict=True), repeat(GAIN_STUDIES)),
        }
        gained = [pd.DataFrame(gain_rows(pool, args.folder, *run)) for run in drawn.items()] if args.page else []
    if args.out:
        table.to_csv(args.out, index=False)
    if args.page:
        *others, studied = gained
        kept = table.reindex(columns=LAYERS)
        write_results(results := Results(kept, *others, studied[[*STUDIES]], pd.DataFrame(shown)))
        PAGE.write_text(page(results))
    print(table.round(3).to_string(index=False, na_rep=""))


def table_of(pool: ProcessPoolExecutor, folder: Path, design: str, kind: Kind, sets: int) -> list[dict[str, Any]]:
    """One row for every score of a kind of a design, of data sets that are simulated if they are not there yet."""
    code = code_hash(design, kind)
    inference = [coverage_table, contrasts, outcomes, gain, layer_comparison, network_data, scopes]
    code_of_rows = hash_of(f"{code} {DESIGNS[design].alike}", [str(module.__file__) for module in inference])
    rows = store.read_rows(folder, design, code_of_rows, sets)
    if rows is None:
        numbers = store.missing(folder, design, code, sets)
        data_sets = zip(numbers, pool.map(one_threaded, repeat(design), numbers, repeat(kind)), strict=True)
        store.append(folder, design, code, tqdm(data_sets, design, len(numbers), disable=None))
        arrays = store.read(folder, design, code, sets)
        rows = list(pool.map(row_of, repeat(design), arrays, arrays.values()))
        store.append_rows(folder, design, code_of_rows, sets, rows)
    return rows


def power_rows(pool: ProcessPoolExecutor, folder: Path, design: str, kind: Kind, sets: int) -> list[dict[str, Any]]:
    """One row on what studies of a design show, for each score of a kind whose layers are compared in full."""
    code = code_hash(design, kind)
    inference = [power_table, contrasts, power, layer_comparison, scopes]
    code_of_rows = hash_of(f"power {code}", [str(module.__file__) for module in inference])
    rows = store.read_rows(folder, design, code_of_rows, sets)
    if rows is None:
        arrays = {name: each for name, each in store.read(folder, design, code, sets).items() if name in COMPARED}
        rows = list(pool.map(power_row_of, repeat(design), arrays, arrays.values()))
        store.append_rows(folder, design, code_of_rows, sets, rows)
    return rows


def gain_rows(
    pool: ProcessPoolExecutor, folder: Path, drawn: ModuleType, runs: tuple[Any, ...]
) -> list[dict[str, Any]]:
    """One row on what is said of gains for every design of frozen networks, or kind and shape of class scores.

    Args:
        pool: computes them.
        folder: in which they are kept.
        drawn: the module of the designs, whose `row_of` makes a row.
        runs: its arguments.
    """
    inference = [drawn, coverage_table, contrasts, gain, layer_comparison, scopes]
    name, code = drawn.__name__.rpartition(".")[2], hash_of("gains", [str(module.__file__) for module in inference])
    rows = store.read_rows(folder, name, code, GAIN_SETS)
    if rows is None:
        rows = list(tqdm(pool.map(drawn.row_of, *runs), name, disable=None))
        store.append_rows(folder, name, code, GAIN_SETS, rows)
    return rows


def power_row_of(name: str, metric: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """One row on what studies of a design show, on one thread."""
    with threadpool_limits(1):
        return {"design": name, "score": metric} | power_row(arrays, DESIGNS[name], SCORES[metric])


def one_threaded(design: str, number: int, kind: Kind) -> Any:
    """Simulate one data set on one thread."""
    with threadpool_limits(1):
        return simulate(design, number, kind)


def row_of(name: str, metric: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """One row of the table, on one thread."""
    design = DESIGNS[name]
    with threadpool_limits(1):
        if design.first_network is not None:
            row = two_networks(arrays, design, SCORES[metric])
        else:
            row = one_network(arrays, design, SCORES[metric], compare=metric in COMPARED)
    return {"design": name, "score": metric} | row


if __name__ == "__main__":
    main()
