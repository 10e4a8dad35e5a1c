"""Which stages would run."""

import json
import subprocess
import sys
from collections.abc import Iterable

from stages.shared.params import RunParams

STAGES = ("prepare", "finetune", "embed", "measure", "aggregate")


def stages_to_run(run: RunParams) -> str:
    """Ask DVC which stages changed, add what follows from them, and count them by stage."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return f"stages: unknown, since `dvc status` failed: {done.stderr.strip().splitlines()[-1]}"
    stale = following(json.loads(done.stdout), run)
    counts = [f"{sum(name.split('@')[0] == stage for name in stale)} {stage}" for stage in STAGES]
    return f"stages that would run, or come from the cache: {', '.join(counts)}"


def following(changed: Iterable[str], run: RunParams) -> set[str]:
    """Add to changed stages, as DVC names them, all that depend on them."""
    stale = set(changed)
    for cell in run.cells():
        before = f"prepare@{cell[0]}" in stale
        for name in (f"{stage}@{'-'.join(map(str, cell))}" for stage in STAGES[1:4]):
            before = before or name in stale
            stale |= {name} if before else set()
    return stale | ({"aggregate"} if stale else set())
