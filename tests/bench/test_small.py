"""Every benchmark runs from its command, on as little as it takes: `make bench` runs them one after the other."""

import subprocess
import sys

import pytest

from tests.bench.__main__ import MODULES

SMALL = {
    "embed_throughput": ["--images", "64", "--rounds", "1"],
    "memory": ["--images", "100"],
    "measure_cost": ["--images", "150"],
    "analysis_cost": ["--seen", "300", "--unseen", "100"],
    "coverage": ["--sets", "5", "--resamples", "100"],
}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_runs(module: str) -> None:
    command = [sys.executable, "-m", f"tests.bench.{module}", *SMALL[module]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
