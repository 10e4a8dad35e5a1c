"""What breaks first as a grid grows: DVC's own cost per stage, and the aggregate stage; and measure, as a cell grows.

    python -m tests.bench.scale --cells 42 168 1008 --images 2500 10000 40000 --files 10000 100000

A grid of so many cells has the project's dvc.yaml, with commands that write one small file. Its dvc.lock is made from
that of one cell, since running every stage at 1,008 cells would take hours. Printed are the sizes of params.yaml and
dvc.lock, the seconds of `dvc status` and of `dvc repro` where nothing has to run, what it takes more where one stage of
empty work runs, and the seconds of aggregating made-up cells of the size of real ones. Of measure: the processor's
seconds of the scores of every checkpoint, on one layer and one thread, and the most memory that they took so far. Of
prepare: its seconds for a folder of so many files, of which it draws 1,640, and those that DVC adds to hash them all.
"""

import argparse
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from threadpoolctl import threadpool_limits

from tests.aggregate.synthetic import write_cells, write_params
from tests.bench.measure_cost import EVERY_CHECKPOINT, correlated, seconds_of
from tests.workflow import ROOT, Workflow, tiny_params

yaml = YAML()
WIDTH = 320
PER_CELL = ("finetune", "embed", "measure")
FILES = (".csv", ".html", ".json", ".md", ".parquet", ".tex")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="*", default=[42, 168, 1008])
    parser.add_argument("--images", type=int, nargs="*", default=[2500, 10000, 40000])
    parser.add_argument("--files", type=int, nargs="*", default=[10000, 100000])
    args = parser.parse_args()
    print(f"images  classes  {', '.join(EVERY_CHECKPOINT)} s  memory GiB")
    for images, classes in product(args.images, (5, 100)):
        print(f"{images:6d}  {classes:7d}  {measure_seconds(images, classes)}", flush=True)
    print("files  prepare s  DVC s")
    for files in args.files:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{files:6d}  {prepare_seconds(Path(folder) / 'project', files)}", flush=True)
    print("cells  stages  params.yaml kB  dvc.lock kB  status s  no-op repro s  one stage s  aggregate s  memory GiB")
    for cells in args.cells:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{cells:5d}  {3 * cells + 2:6d}  {dvc_seconds(Path(folder) / 'dvc', cells)}  ", end="", flush=True)
            print(aggregate_seconds(Path(folder) / "aggregate", cells), flush=True)


def measure_seconds(images: int, classes: int) -> str:
    """Time the scores of every checkpoint on made-up embeddings of one layer."""
    X, y = correlated(images, classes, WIDTH, 0)
    with threadpool_limits(1):
        seconds = seconds_of(EVERY_CHECKPOINT, X, y)
    return f"{seconds:10.1f}  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:10.2f}"


def prepare_seconds(folder: Path, files: int) -> str:
    """Time prepare on a folder of small images in ten classes, and DVC around it."""
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["net"])
    sizes = {"train": 120, "test": 60, "unseen": 100, "unseen_classes": None, "unseen_count": 2}
    workflow.edit_params({f"datasets.mine.{name}": size for name, size in sizes.items()})
    random = np.random.default_rng(0)
    for number in range(files):
        path = folder / "data" / "raw" / "mine" / f"class{number % 10}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path, compress_level=0)
    workflow.start_repository()
    seconds = time_dvc(workflow, "repro", "prepare@mine")
    (line,) = (folder / "data" / "durations.jsonl").read_text().splitlines()
    own = json.loads(line)["seconds"]
    return f"{own:9.1f}  {seconds - own:5.1f}"


def noop_seconds(cells: int) -> float:
    """Seconds of the processor of a `dvc repro` that finds nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        workflow = empty_grid(Path(name) / "dvc", cells)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        time_dvc(workflow, "repro")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def empty_grid(folder: Path, cells: int) -> Workflow:
    """Make a finished grid of so many cells of empty work."""
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["net"])
    (folder / "data" / "raw" / "mine").mkdir(parents=True)
    (folder / "data" / "raw" / "mine" / "image").write_text("x")
    write_empty_work(folder / "dvc.yaml")
    workflow.start_repository()
    workflow.run("dvc", "repro")
    multiply(workflow, cells)
    return workflow


def dvc_seconds(folder: Path, cells: int) -> str:
    """Time DVC on a grid of empty work."""
    workflow = empty_grid(folder, cells)
    status, nothing = time_dvc(workflow, "status"), time_dvc(workflow, "repro")
    last = ("-s", f"measure@mine-net-0-{cells - 1}")
    looked_at, run = time_dvc(workflow, "repro", *last), time_dvc(workflow, "repro", "-f", *last)
    params, lock = ((workflow.folder / name).stat().st_size / 1000 for name in ("params.yaml", "dvc.lock"))
    return f"{params:14.0f}  {lock:11.0f}  {status:8.1f}  {nothing:13.1f}  {run - looked_at:11.2f}"


def write_empty_work(path: Path) -> None:
    """Replace the stages' commands by such that write one small file into every output."""
    content: dict[str, Any] = yaml.load(path)
    for name, stage in content["stages"].items():
        outs = [*stage["outs"], *(next(iter(out)) for out in stage.get("metrics", []))]
        more = ["data/prepared/${item.dataset}/folds/0.digests.json"] if name == "prepare" else []
        stage["cmd"] = f"{' && '.join(map(written, [*outs, *more]))} # {stage['cmd']}"  # whose words are looked up
    content.pop("plots", None)
    yaml.dump(content, path)


def written(out: str) -> str:
    """Say how to write one small file, in a folder where the output is one."""
    file = out if Path(out).suffix in FILES or out.endswith("/x") else f"{out}/x"
    return f"mkdir -p {Path(file).parent} && echo x > {file}"


def multiply(workflow: Workflow, cells: int) -> None:
    """Make of a finished grid of one cell one of many, which differ by their seed."""
    data = workflow.folder / "data"
    for one in [path for path in data.glob("*/mine/net/0/0") if path.is_dir()]:
        for seed in range(1, cells):
            shutil.copytree(one, one.parent / str(seed))
    workflow.edit_params({"run.seeds": list(range(cells))})
    path = workflow.folder / "dvc.lock"
    entries = re.split(r"(?m)^(?=  \S)", path.read_text())
    own = [entry for entry in entries if entry.startswith(tuple(f"  {stage}@" for stage in PER_CELL))]
    others = [entry for entry in entries if entry not in own]
    copies = [
        re.sub(r"(mine/net/0/|mine-net-0-|--seed )0\b", rf"\g<1>{seed}", entry)
        for entry in own
        for seed in range(cells)
    ]
    path.write_text("".join([*others, *copies]))
    workflow.run("dvc", "commit", "-f", "-q", "aggregate")


def time_dvc(workflow: Workflow, *words: str) -> float:
    """Time one command of DVC."""
    began = time.perf_counter()
    done = workflow.run("dvc", *words)
    if words == ("repro",):
        assert "up to date" in done.stdout, done.stdout[-300:]
    return time.perf_counter() - began


def aggregate_seconds(folder: Path, cells: int) -> str:
    """Time the aggregate stage on made-up cells, and tell its memory."""
    datasets, models, folds, seeds = grid_of(cells)
    folder.mkdir()
    write_cells(folder, datasets, models, seeds, folds=folds)
    write_params(folder / "params.yaml", datasets, models, seeds, folds=f"[{', '.join(folds)}]")
    inputs = [word for name in ("measures", "training", "thumbnails", "prepared") for word in (f"--{name}", name)]
    words = [sys.executable, "-m", "stages.aggregate", *inputs, "--out", "results", "--params", "params.yaml"]
    began = time.perf_counter()
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return f"{time.perf_counter() - began:11.1f}  {used.ru_maxrss / 2**20:14.2f}"


def grid_of(cells: int) -> tuple[list[str], list[str], list[str], list[int]]:
    """Six datasets and seven networks, then four folds, then seeds, as far as they go."""
    folds = ["0", "1", "2", "3"] if cells >= 168 else ["0"]
    seeds = list(range(math.ceil(cells / (42 * len(folds)))))
    return [f"d{i}" for i in range(6)], [f"m{i}" for i in range(7)], folds, seeds


if __name__ == "__main__":
    main()
