"""All benchmarks: ratios and memory within one run, on whatever else this machine is doing; nothing here is a test.

python -m tests.bench
"""

import subprocess
import sys
import time

MODULES = (
    "whole_cell",
    "embed_throughput",
    "precision",
    "memory",
    "measure_cost",
    "kmeans",
    "cut_table",
)


def main() -> None:
    for module in MODULES:
        print(f"\n{module}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{module}"], check=True)
    began = time.perf_counter()
    status = subprocess.run([sys.executable, "-m", "dvc", "repro"], capture_output=True, text=True, check=True).stdout
    nothing = "up to date" in status
    print(
        f"\nno-op dvc repro: {time.perf_counter() - began:.1f} s" if nothing else "\nno-op dvc repro: stages had to run"
    )


if __name__ == "__main__":
    main()
