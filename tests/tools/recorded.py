"""Compare the default study that was just run with what it gave before, on this processor and others.

    python -m tests.tools.recorded                         # after `make repro`; exit status 1 where they differ
    python -m tests.tools.recorded --keep "two threads"    # or add the run to docs/default-study/runs.json

Processors round differently, and training amplifies it. So a number must lie in the range of the recorded runs of
its seed, widened to either side by its width, at least by `LEAST_MARGIN`; a finding must have a status of theirs; the
best layer of a use must be one of theirs, or one of theirs tie with it. Of runs with the same environment
of `FIXED` the bytes must be the same: their hashes are recorded and compared too.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.shared.networks.device import processor_name
from stages.shared.workflow.digests import file_sha256
from stages.shared.workflow.params import read_run

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "data" / "results"
RUNS = ROOT / "docs" / "default-study" / "runs.json"
LEAST_MARGIN = 0.01

FIXED = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
    "OMP_NUM_THREADS",
)
"""Variables that fix how numbers are rounded, as far as libraries let them; `make EXACT=1` sets them."""

Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="NAME", help="add the run to those that are recorded")
    parser.add_argument("--root", type=Path, default=ROOT, help="the clone that it was made in; by default this one")
    args = parser.parse_args()
    runs, run = json.loads(RUNS.read_text()), read_study(args.root)
    if args.keep:
        RUNS.write_text(json.dumps(runs | {args.keep: run}, indent=1) + "\n")
        return
    found = list(differences(runs, run))
    print("\n".join(found) or "the study is as recorded in git, as far as machines agree")
    sys.exit(bool(found))


def read_study(root: Path) -> Run:
    """Read what a finished default study gave, and what it was computed with: this processor and environment."""
    results, params = root / "data" / "results", read_run(root / "params.yaml")
    cell = next(iter(params.cells()))
    made = {
        "weights": max((root / "data" / "checkpoints").joinpath(*map(str, cell), "weights").glob("*.safetensors")),
        "scores": (root / "data" / "measures").joinpath(*map(str, cell), "layers.csv"),
    }
    findings, uses = (json.loads((results / f"{name}.json").read_text()) for name in ("findings", "recommendation"))
    (networks,) = json.loads((results / "metrics.json").read_text()).values()
    (network,) = networks.values()
    return {
        "processor": processor_name().removeprefix("model name").strip("\t: "),
        "environment": {name: os.environ[name] for name in FIXED if name in os.environ},
        "seed": cell[-1],
        "accuracy": network["accuracy"],
        "uses": {record["use"]: read_use(record) for record in uses},
        "findings": {
            f"{finding['claim'].partition(' ')[0]}, {outcome['scope']}, step {outcome['step']}": outcome["status"]
            for finding in findings
            for outcome in finding["outcomes"]
            if outcome["scope"]
        },
        "sha256": {name: file_sha256(path) for name, path in made.items()},
    }


def read_use(record: Mapping[str, Any]) -> dict[str, Any]:
    """Take of a recommendation what it names and the numbers that are printed of it."""
    best, gain, untrained = record["best"], record["gain_over_last"], record["untrained"]
    numbers = {
        "value": (best["classes"] or best)["value"],
        **{name: gain[name] for name in ("estimate", "low", "high", "crossvalidated")},
        "untrained": untrained and untrained["gain_over_last"]["crossvalidated"],
    }
    layers = [layer["depth"] + 1 for layer in record["shortlist"]]
    named = {"score": record["metric"], "step": best["step"], "layer": best["depth"] + 1, "ties": layers}
    return named | {"status": gain["status"]} | {k: round(v, 4) for k, v in numbers.items() if v is not None}


def numbers_of(run: Run) -> dict[str, float]:
    """List the numbers of one run by what they are: the accuracy, and the score and the gains of every use."""
    wanted = ("value", "estimate", "crossvalidated", "untrained")
    named = ((use, name) for use in run["uses"] for name in wanted if name in run["uses"][use])
    return {"accuracy": run["accuracy"]} | {f"{use}, {name}": run["uses"][use][name] for use, name in named}


def differences(runs: Mapping[str, Run], run: Run) -> Iterator[str]:
    """Yield a line for each number out of its range, status of a finding, layer and hash that is not as recorded."""
    alike = [known for known in runs.values() if known["seed"] == run["seed"]]
    for name, value in numbers_of(run).items():
        known = [numbers_of(each)[name] for each in alike if name in numbers_of(each)]
        low, high = limits(known) if known else (np.nan, np.nan)
        if not low <= value <= high:
            yield f"{name}: must lie in {low:.3f} to {high:.3f}, found {value:.3f}"
    for finding, status in run["findings"].items():
        known = sorted({each["findings"][finding] for each in alike if finding in each["findings"]})
        if status not in known:
            yield f"finding {finding}: must be {' or '.join(known)}, found {status}"
    for use, found in run["uses"].items():
        known = {each["uses"][use]["layer"] for each in alike}
        if not known & {found["layer"], *found["ties"]}:
            yield f"{use}: layer {' or '.join(map(str, sorted(known)))} must be the best or tie with it, found {found}"
    fixed = [name for name, each in runs.items() if each in alike and each["environment"] == run["environment"]]
    for name in fixed if run["environment"].keys() == set(FIXED) else ():
        other = [what for what, sha256 in run["sha256"].items() if sha256 != runs[name]["sha256"][what]]
        yield from (f"{what}: must be the bytes of {name}" for what in other)


def limits(known: Sequence[float]) -> tuple[float, float]:
    """Return what a number may be, from what it was."""
    margin = max(LEAST_MARGIN, max(known) - min(known))
    return min(known) - margin, max(known) + margin


if __name__ == "__main__":
    main()
