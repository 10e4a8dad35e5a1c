"""What `whichlayer fleet` gains and costs: two workers against one, against `make repro`, and its own work per cell.

    python -m tests.bench.fleet
    python -m tests.bench.fleet --grid tiny
    python -m tests.bench.fleet --grid none --empty-cells 42
    python -m tests.bench.fleet --model

Every run begins in a copy of the project with an empty cache. The grid of params.yaml takes some 15 minutes on two
processors, `tiny` two. The engine's own cost is timed with one worker on cells whose commands write one small file.

`--model` runs nothing: it prints how long fleets of many workers take, made up of parts that were measured: a cell of
the default grid on one thread, aggregate, and what the fleet and DVC take around the cells, one after another.
"""

import argparse
import math
import re
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from stages.commands.plan.predict import fleet_seconds
from tests.bench.scale import write_empty_work
from tests.workflow import ROOT, Workflow, tiny_images, tiny_params

DONE = re.compile(r"^fleet: (\d+) computed, (\d+) s$", re.MULTILINE)
FROM_CACHE = re.compile(r"^fleet: (\d+) from the cache, (\d+) s$", re.MULTILINE)
CELL_SECONDS = 3600 / 19.1
"""A cell of the default grid on one thread, alone, in a fleet: 19.1 an hour."""
AGGREGATE = {42: 84, 168: 140, 1008: 300}
"""Seconds of the aggregate stage, by the number of cells (`tests.bench.scale`)."""
WORKERS = (1, 8, 16, 32, 64)
REPRO = ("env", "-u", "OMP_NUM_THREADS", "WHICHLAYER_NO_VERDICT=1", "dvc", "repro")
"""As `make repro` runs it: as many threads as there are processors."""


@dataclass(frozen=True)
class Timed:
    """A run: seconds in all and of its cells alone, their number, and its dvc.lock."""

    seconds: float
    of_cells: float
    cells: int
    lock: str

    @property
    def rate(self) -> float:
        """Cells per hour, without prepare, aggregate and the start."""
        return 3600 * self.cells / self.of_cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", choices=["default", "tiny", "none"], default="default")
    parser.add_argument("--empty-cells", type=int, default=8)
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--cell-seconds", type=float, default=CELL_SECONDS, help="of the model")
    args = parser.parse_args()
    if args.model:
        print_model(args.cell_seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.grid != "none":
            print_ratios(Path(folder), args.grid)
        print_own_cost(Path(folder), args.empty_cells)


def print_model(cell: float) -> None:
    """Print hours in all, times as fast as one worker, and the share of what is not spread, for many workers."""
    print("cells  workers  minutes  times as fast  share of what one machine does")
    for cells, workers in product(AGGREGATE, WORKERS):
        around = fleet_seconds(3 * cells + 2) + AGGREGATE[cells]
        took = around + math.ceil(cells / workers) * cell
        gain = (around + cells * cell) / took
        print(f"{cells:5d}  {workers:7d}  {took / 60:7.0f}  {gain:13.1f}  {around / took:6.0%}")


def print_ratios(folder: Path, grid: str) -> None:
    """Time a whole grid by fleets of one and two workers, and by `dvc repro`."""
    one = timed_fleet(make_project(folder / "one", grid), "--workers", "1")
    two = timed_fleet(make_project(folder / "two", grid), "--workers", "2")
    whole = seconds_of(make_project(folder / "repro", grid), *REPRO)
    print(f"cells per hour, one thread each: {one.rate:.1f} with 1 worker, {two.rate:.1f} with 2")
    print(f"  two workers against one: {two.rate / one.rate:.2f} times the cells per hour")
    print(f"  the same bytes: {'yes' if one.lock == two.lock else 'NO'}")
    print(f"whole grid: {two.seconds:.0f} s by `fleet run --workers 2`, {whole:.0f} s by `make repro`'s `dvc repro`")
    print(f"  `fleet run` against `dvc repro`: {whole / two.seconds:.2f} times as fast")


def print_own_cost(folder: Path, cells: int) -> None:
    """Time cells of empty work, by a fleet of one worker and by `dvc repro`."""
    fleet = make_empty(folder / "empty_fleet", cells)
    began = time.perf_counter()
    done = fleet.run("whichlayer", "fleet", "run", "--workers", "1")
    whole = time.perf_counter() - began
    counted, seconds = match(FROM_CACHE, done.stdout)  # they log no duration, so they count as such
    assert counted == cells
    repro = make_empty(folder / "empty_repro", cells)
    of_dvc = seconds_of(repro, "dvc", "repro")
    print(f"{cells} cells of empty work: {whole:.0f} s by the fleet, {of_dvc:.0f} s by `dvc repro`")
    print(f"  of the fleet {seconds / cells:.1f} s for each cell, {whole - seconds:.0f} s before and after them")


def make_project(folder: Path, grid: str) -> Workflow:
    """Copy the project, with its own grid or with four small cells."""
    folder.mkdir()
    workflow = Workflow(folder)
    if grid == "tiny":
        tiny_params(workflow, ["mine"], ["net"])
        workflow.edit_params({"run.seeds": [0, 1, 2, 3], "finetune.steps": [0, 200], "finetune.schedule_steps": 200})
        tiny_images(folder / "data" / "raw" / "mine", seed=0)
    for source in [] if grid == "tiny" else (ROOT / "data" / "raw").glob("*/source.json"):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        target.write_bytes(source.read_bytes())
    workflow.start_repository()
    return workflow


def make_empty(folder: Path, cells: int) -> Workflow:
    """Copy the project, with cells whose stages write one small file."""
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["net"])
    workflow.edit_params({"run.seeds": list(range(cells))})
    tiny_images(folder / "data" / "raw" / "mine", seed=0)
    write_empty_work(folder / "dvc.yaml")
    workflow.start_repository()
    return workflow


def timed_fleet(workflow: Workflow, *options: str) -> Timed:
    """Run a fleet in a new project, and time it."""
    began = time.perf_counter()
    done = workflow.run("whichlayer", "fleet", "run", *options)
    seconds = time.perf_counter() - began
    cells, of_cells = match(DONE, done.stdout)
    return Timed(seconds, of_cells, cells, workflow.text("dvc.lock"))


def match(pattern: re.Pattern[str], output: str) -> tuple[int, int]:
    """Read the number of cells and their seconds from what a fleet printed."""
    found = pattern.search(output)
    assert found, output
    return int(found[1]), int(found[2])


def seconds_of(workflow: Workflow, *command: str) -> float:
    """Time a command."""
    began = time.perf_counter()
    workflow.run(*command)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
