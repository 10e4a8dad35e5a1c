"""Processor time of `whichlayer quick` on a folder of images, beside the straightforward script that does as much.

    python -m tests.bench.quick FOLDER

FOLDER has a folder of images per class: 15 of 100 images of 64 px for the goals. Everything is measured in this one
run: the script (`tests.bench.plain_script`) without and with its probe, quick's first table, quick in all. Processors
are those of all processes that a command starts, users' and system's seconds.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from tabulate import tabulate

ROOT = Path(__file__).parents[2]
FIRST_WAVE, IN_ALL = 1.5, 70.0
"""Goals: of the script's time without probe, and seconds."""

QUICK = "from stages.commands.cli import main\nif __name__ == '__main__':\n    main()"
MARK = "The choice follows"


def main() -> None:
    folder = str(Path(sys.argv[1]).resolve())
    script, quick = [sys.executable, "-m", "tests.bench.plain_script", folder], [sys.executable, "-c", QUICK, "quick"]
    plain, probed = (measure([*script, *option])[-1] for option in ([], ["--probe"]))
    first, whole = measure([*quick, folder], MARK)
    rows = [("script without probe", *plain), ("script with probe", *probed)]
    rows += [("quick's first table", *first), ("quick in all", *whole)]
    print(tabulate(rows, ["", "processor, s", "clock, s"], floatfmt=".1f"))
    print(f"first table / script without probe: {first[0] / plain[0]:.2f} (goal: at most {FIRST_WAVE})")
    print(f"quick in all: {whole[0]:.1f} s (goal: at most {IN_ALL:.0f})")


def measure(words: Sequence[str], mark: str = "") -> list[tuple[float, float]]:
    """Run a command, and give seconds of processors and of the clock when its output has `mark`, and at the end."""
    began, found, spent = time.perf_counter(), list[tuple[float, float]](), dict[int, float]()
    with tempfile.NamedTemporaryFile() as file, subprocess.Popen(words, cwd=ROOT, stdout=file) as process:
        while process.poll() is None:
            watch(psutil.Process(process.pid), spent)
            if mark and not found and mark in Path(file.name).read_text():
                found.append((sum(spent.values()), time.perf_counter() - began))
            time.sleep(0.05)
        assert process.returncode == 0
    return [*found, (sum(spent.values()), time.perf_counter() - began)]


def watch(process: psutil.Process, spent: dict[int, float]) -> None:
    """Keep what each process has taken so far that a command started."""
    with suppress(psutil.Error):
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                spent[each.pid] = sum(each.cpu_times()[:2])


if __name__ == "__main__":
    main()
