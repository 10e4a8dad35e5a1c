"""What `whichlayer fleet` gains and costs: two workers against one and `make repro`, and DVC's work per cell.

    python -m tests.bench.fleet
    python -m tests.bench.fleet --grid tiny --cells
    python -m tests.bench.fleet --grid none --cells 12 48 168

The grid of params.yaml takes some 15 minutes on two processors, `tiny` two; every run begins in a copy of the project
with an empty cache. On cells of empty work, all in DVC's cache, are timed: `dvc repro` of a stage that it restores with
a full dvc.lock; entering the stages of all cells at once (`enter`); and a cell by `dvc repro -s` in the project, where
nothing has to run.
"""

import argparse
import re
import shutil
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

from tests.bench.scale import PER_CELL, multiply, time_dvc, write_empty_work
from tests.workflow import ROOT, Workflow, tiny_images, tiny_params

REPRO = ("env", "-u", "OMP_NUM_THREADS", "WHICHLAYER_NO_VERDICT=1", "dvc", "repro")
"""As `make repro` runs it: as many threads as there are processors."""

ENTER = """
import sys
from ruamel.yaml import YAML
from stages.commands.dvc_project.workspace import enter
enter(YAML(typ="safe").load(open(sys.argv[1])), remote=False)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", choices=["default", "tiny", "none"], default="default")
    parser.add_argument("--cells", type=int, nargs="*", default=[12, 48, 168])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.grid != "none":
            print_ratios(Path(folder), args.grid)
        print("cells  restore a stage s  enter all s  look at a cell s")
        for cells in args.cells:
            print(f"{cells:5d}  {restoring(Path(folder) / str(cells), cells)}", flush=True)


def print_ratios(folder: Path, grid: str) -> None:
    """Time a whole grid by fleets of one and two workers, and by `dvc repro`."""
    commands = {f"{workers} workers": ("whichlayer", "fleet", "--workers", str(workers)) for workers in (1, 2)}
    for name, command in (commands | {"dvc repro": REPRO}).items():
        workflow = make_project(folder / name.replace(" ", "_"), grid)
        print(f"{name}: {seconds_of(workflow, *command):.0f} s in all", flush=True)


def restoring(folder: Path, cells: int) -> str:
    """Time what DVC does with cells that are in its cache."""
    workflow = make_project(folder, "none")
    workflow.run("dvc", "repro")
    multiply(workflow, cells)
    last = [f"{stage}@mine-net-0-{cells - 1}" for stage in PER_CELL]
    workflow.run("dvc", "repro", "-f", "-s", *last)
    lock, yaml = workflow.folder / "dvc.lock", YAML(typ="safe")
    entries = {name: entry for name, entry in yaml.load(lock)["stages"].items() if name.startswith(PER_CELL)}
    forget(workflow, last)
    restored = time_dvc(workflow, "repro", "-s", *last)
    nothing = time_dvc(workflow, "repro", "-s", *last)
    forget(workflow, [*entries])
    yaml.dump(entries, workflow.folder / "entries.yaml")
    entered = seconds_of(workflow, "python", "-c", ENTER, "entries.yaml")
    assert "up to date" in workflow.run("dvc", "status").stdout
    return f"{(restored - nothing) / len(last):17.2f}  {entered:11.1f}  {nothing:16.1f}"


def forget(workflow: Workflow, stages: list[str]) -> None:
    """Remove the entries of stages from dvc.lock, and their outputs."""
    lock = workflow.folder / "dvc.lock"
    for entry in re.split(r"(?m)^(?=  \S)", text := lock.read_text()):
        if entry.startswith(tuple(f"  {stage}:" for stage in stages)):
            text = text.replace(entry, "")
            for out in re.findall(r"path: (\S+)", entry.partition("outs:")[2]):
                path = workflow.folder / out
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    lock.write_text(text)


def make_project(folder: Path, grid: str) -> Workflow:
    """Copy the project, with its own grid, with four small cells, or with one of empty work."""
    folder.mkdir()
    workflow = Workflow(folder)
    if grid == "default":
        for source in (ROOT / "data" / "raw").glob("*/source.json"):
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True)
            target.write_bytes(source.read_bytes())
    else:
        tiny_params(workflow, ["mine"], ["net"])
        tiny_images(folder / "data" / "raw" / "mine", seed=0)
    if grid == "tiny":
        workflow.edit_params({"run.seeds": [0, 1, 2, 3], "finetune.steps": [0, 200], "finetune.schedule_steps": 200})
    if grid == "none":
        write_empty_work(folder / "dvc.yaml")
    workflow.start_repository()
    return workflow


def seconds_of(workflow: Workflow, *command: str) -> float:
    """Time a command."""
    began = time.perf_counter()
    workflow.run(*command)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
