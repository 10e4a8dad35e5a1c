"""Which stages would run."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable

from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams

STAGES = ("prepare", "finetune", "embed", "measure", "aggregate")


def changed_stages() -> list[str]:
    """Names of the stages that DVC finds changed.

    Raises:
        UserError: DVC cannot say.
    """
    words = [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json"]  # another DVC may be at work
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise UserError(f"`dvc status` must succeed, found: {last_line(done.stderr)}; run it to see more")
    return list(json.loads(done.stdout))


def last_line(text: str) -> str:
    """Return the last line that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing was printed")


def recorded_stages() -> set[str]:
    """Names of the stages that dvc.lock has; to parse the file of a large grid would take minutes."""
    path = ROOT / "dvc.lock"
    return set(re.findall(r"(?m)^  (\S+):$", path.read_text(encoding="utf-8"))) if path.is_file() else set()


def open_stages(run: RunParams) -> set[str]:
    """Names of the stages that would run, or come from the cache.

    Raises:
        UserError: DVC cannot say.
    """
    return following(changed_stages(), run)


def all_stages(run: RunParams) -> set[str]:
    """Names of all stages of a grid."""
    return following([f"prepare@{dataset}" for dataset in run.datasets], run)


def count_stages(names: Iterable[str]) -> str:
    """Count stages by what they are."""
    kinds = [name.split("@")[0] for name in names]
    return ", ".join(f"{kinds.count(stage)} {stage}" for stage in STAGES)


def following(changed: Iterable[str], run: RunParams) -> set[str]:
    """Add to changed stages, as DVC names them, all that depend on them."""
    stale = set(changed)
    for cell in run.cells():
        before = f"prepare@{cell[0]}" in stale
        for name in (f"{stage}@{'-'.join(map(str, cell))}" for stage in STAGES[1:4]):
            before = before or name in stale
            stale |= {name} if before else set()
    return stale | ({"aggregate"} if stale else set())
