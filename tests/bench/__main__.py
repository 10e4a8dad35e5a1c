"""The goals of speed in one table: what each asks for, the old revision beside this one, and whether it holds.

Seconds are of the processor, of everything that a command does, from its start on, in one worker and on one thread: a
machine with other work slows the clock. Memory is the peak. Goals that the old revision takes minutes to weeks for are
measured in this one only.

    python -m tests.bench [NAME ...]           # of the goals whose names begin so; all take about ten minutes
    python -m tests.bench --share 0.1          # of a tenth of the images, to try it
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tabulate import tabulate

ROOT = Path(__file__).parents[2]
OLD = "296caec7"
"""The revision at which these goals were set."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "WHICHLAYER_WORKERS": "1", "PYTHONPATH": "."}


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds of the processor, GB at its peak; and what it printed."""

    seconds: float
    memory: float
    printed: str


@dataclass
class Bench:
    """Runs commands in either revision, each once.

    Attributes:
        folder: scratch.
        share: of the images of every goal.
        old: the old revision's root; None: the clone lacks it.
    """

    folder: Path
    share: float
    old: Path | None
    done: dict[tuple[Path, tuple[str, ...]], Spent] = field(default_factory=dict)

    def count(self, number: int) -> int:
        """Take the share of a number of images or classes."""
        return max(10, round(number * self.share))

    def spent(self, root: Path, module: str, *words: object) -> Spent:
        """Run a module of the benchmarks in a revision."""
        key = (root, (module, *map(str, words)))
        if key not in self.done:
            print("bench:", "old" if root != ROOT else "new", *key[1], file=sys.stderr, flush=True)
            command = [sys.executable, "-m", f"tests.bench.{module}", *key[1][1:]]
            with tempfile.TemporaryFile("w+") as out:
                process = subprocess.Popen(command, cwd=root, env=os.environ | ONE_THREAD, stdout=out, stderr=out)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                out.seek(0)
                printed = out.read()
            if process.returncode:
                sys.exit(f"failed: {' '.join(command)}\n{printed[-2000:]}")
            memory = usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
            self.done[key] = Spent(usage.ru_utime + usage.ru_stime, memory, printed)
            print(f"bench: {self.done[key].seconds:.1f} s, {memory:.2f} GB", file=sys.stderr, flush=True)
        return self.done[key]

    def work(self, root: Path, *words: object) -> float:
        """Return the seconds of one of `workloads`."""
        return self.spent(root, "workloads", *words).seconds

    def images(self, classes: int, size: int) -> Path:
        """Write 1,500 images in so many classes."""
        folder, few = self.folder / f"{classes}x{size}", classes == 15
        counts = (classes, self.count(100)) if few else (self.count(classes), 1500 // classes)
        if not folder.exists():
            self.spent(ROOT, "workloads", "images", folder, *counts, size)
        return folder


Measure = Callable[[Bench, Path], float]


def score(bench: Bench, root: Path) -> float:
    """All scores of eight layers."""
    return bench.work(root, "score", bench.count(1000), 8, 10, 256)


def quick(bench: Bench, root: Path, classes: int, size: int, beside: str) -> float:
    """`quick` over single layers, over the script with the same scores or over itself with fewer classes."""
    folder = bench.images(classes, size)
    seconds = bench.work(root, "quick", folder, size, 0)
    if beside == "script":
        return seconds / bench.spent(ROOT, "plain_script", folder, "--probe", f"--size={size}").seconds
    return seconds / bench.work(root, "quick", bench.images(15, size), size, 0)


def joins(bench: Bench, root: Path) -> float:
    """`quick` with joins and recipes over `quick` without."""
    folder = bench.images(15, 224)
    return bench.work(root, "quick", folder, 224, 1) / bench.work(root, "quick", folder, 224, 0)


def many(bench: Bench, root: Path, *, memory: bool) -> float:
    """50,000 images, in minutes or GB."""
    spent = bench.spent(root, "workloads", "score", bench.count(50_000), 5, 50, 512)
    return spent.memory if memory else spent.seconds / 60


def mapped(bench: Bench, root: Path, *, memory: bool) -> float:
    """A million images on disk, in minutes or GB."""
    path = bench.folder / "mapped.npy"
    if not path.exists():
        bench.spent(ROOT, "workloads", "write_mapped", path, bench.count(1_000_000), 768)
    spent = bench.spent(root, "workloads", "score_mapped", path)
    return spent.memory if memory else spent.seconds / 60


def embed(bench: Bench, root: Path) -> float:
    """`wl.embed` of JPEGs over bare forward passes, in images per second."""
    return float(bench.spent(root, "workloads", "embed", bench.count(512), 224, 3).printed.split()[-1])


def repro(bench: Bench, root: Path) -> float:
    """Seconds of a `dvc repro` without work."""
    return float(bench.spent(root, "workloads", "repro", bench.count(84)).printed.split()[-1])


@dataclass(frozen=True)
class Goal:
    """What is measured, and its limit: at most, or at least if `least`.

    Attributes:
        compared: whether the measure is this revision's seconds over the old one's.
        beside: whether the old revision is measured as well.
    """

    name: str
    unit: str
    limit: float
    measure: Measure
    compared: bool = False
    beside: bool = False
    least: bool = False


GOALS = [
    Goal("score 1,000 x 8 layers", "of the old CPU", 0.55, score, compared=True),
    Goal("quick 15 classes x 100, 64 px", "of the script", 1.5,
         partial(quick, classes=15, size=64, beside="script"), beside=True),
    Goal("score 50,000 x 5 layers x 512", "min", 3, partial(many, memory=False)),
    Goal("score 50,000 x 5 layers x 512", "GB", 1.5, partial(many, memory=True)),
    Goal("score 1,000,000 x 768, mapped", "min", 10, partial(mapped, memory=False)),
    Goal("score 1,000,000 x 768, mapped", "GB", 3, partial(mapped, memory=True)),
    Goal("embed JPEGs, 224 px", "of bare passes", 0.9, embed, least=True),
    Goal("quick 15 classes x 100, 224 px", "of the script", 1.3, partial(quick, classes=15, size=224, beside="script")),
    Goal("joins and recipes, 1,500 x 224 px", "of single layers", 1.6, joins),
    Goal("quick 150 classes x 10, 64 px", "of 15 x 100", 4, partial(quick, classes=150, size=64, beside="15 x 100")),
    Goal("quick 300 classes x 5, 64 px", "of the script", 3, partial(quick, classes=300, size=64, beside="script")),
    Goal("repro of 84 cells, nothing to do", "s", 15, repro),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="how the names of the goals begin that are measured; all if none")
    parser.add_argument("--share", type=float, default=1.0, help="of the images")
    args = parser.parse_args()
    goals = [goal for goal in GOALS if not args.names or goal.name.startswith(tuple(args.names))]
    with tempfile.TemporaryDirectory() as folder:
        old = old_revision(Path(folder) / "old")
        bench = Bench(Path(folder), args.share, old)
        rows = [row(goal, bench) for goal in goals]
    print(tabulate(rows, ["goal", "", "limit", f"at {OLD}", "measured", "holds"], floatfmt=".2f"))


def old_revision(folder: Path) -> Path | None:
    """Write the old revision to a folder, with the workloads of this one."""
    archive = subprocess.run(["git", "archive", OLD], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        print(f"bench: this clone lacks {OLD}: only this revision is measured", file=sys.stderr)
        return None
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    shutil.copy(Path(__file__).parent / "workloads.py", folder / "tests" / "bench")
    return folder


def row(goal: Goal, bench: Bench) -> tuple[str | float, ...]:
    """Measure one goal: its row of the table, which is also printed at once."""
    own = goal.measure(bench, ROOT)
    old = goal.measure(bench, bench.old) if bench.old and (goal.compared or goal.beside) else None
    measured = own if not goal.compared else None if old is None else own / old
    holds = (
        "" if measured is None else "yes" if (measured >= goal.limit) == goal.least or measured == goal.limit else "no"
    )
    limit = f"{'>=' if goal.least else '<='} {goal.limit:g}"
    before = "-" if old is None else f"{old:.2f}{' s' if goal.compared else ''}"
    found = (goal.name, goal.unit, limit, before, "-" if measured is None else measured, holds)
    print("bench:", *found, file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
