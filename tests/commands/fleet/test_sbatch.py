"""The script for SLURM, of what cells are predicted to take, run with an `sbatch` that does at once what it is told."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from stages.commands.fleet import cells
from stages.commands.plan.calibrate import Cost
from stages.shared.runtime.errors import UserError

CELLS = [("d", "m", "0", 0), ("d", "m", "1", 0), ("d", "n", "0", 0)]
GIB = 2**30


def predictions(finetune: float, memory: float) -> dict[str, Cost]:
    return {
        "finetune": Cost(finetune, memory),
        "embed": Cost(100, 2 * GIB),
        "measure": Cost(1000, GIB),
    }


PREDICTED = {
    CELLS[0]: predictions(3600, 4 * GIB),
    CELLS[1]: predictions(7200, 3 * GIB),
    CELLS[2]: predictions(60, 0),
}

FAKE = """#!/bin/bash
printf '%s ' "$@" | tr '\\n' ' ' >> asked
echo >> asked
for word in "$@"; do case $word in --array=*) array=${word#--array=};; esac; last=$word; done
echo "${array:-0-0}" | { IFS=- read -r first end
for task in $(seq "$first" "$end"); do SLURM_ARRAY_TASK_ID=$task sh -c "$last" >> said 2>&1; done; }
wc -l < asked
"""


def submit(folder: Path, script: str) -> tuple[list[str], list[str]]:
    """Run a script where `sbatch` runs jobs, and return what it and what `whichlayer` was asked."""
    for name, text in (("sbatch", FAKE), ("whichlayer", '#!/bin/sh\necho "whichlayer $*"\n')):
        (folder / name).write_text(text)
        (folder / name).chmod((folder / name).stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash"], input=script, text=True, check=True, cwd=folder, env=environment)
    return (folder / "asked").read_text().splitlines(), (folder / "said").read_text().splitlines()


def written(**changes: object) -> str:
    options = {"threads": 2, "gpus": 1, "memory": None, "options": " --threads 2", "failed": []}
    return cells.script(CELLS, PREDICTED, **{**options, **changes})  # type: ignore[arg-type]


def option(asked: str, name: str) -> str:
    found = re.search(rf"{name}=(\S+)", asked)
    return found[1] if found else ""


def test_every_cell_of_a_network_runs_in_an_array_with_what_plan_says_and_then_without_a_gpu(tmp_path: Path):
    asked, said = submit(tmp_path, written())
    first = [f"whichlayer fleet cell d-{name}-0 --threads 2 --gpu-stages" for name in ("m-0", "m-1")]
    assert said[:2] == first
    assert said[2:4] == [line.removesuffix(" --gpu-stages") for line in first]
    assert said[4:] == [
        "whichlayer fleet cell d-n-0-0 --threads 2 --gpu-stages",
        "whichlayer fleet cell d-n-0-0 --threads 2",
        "whichlayer fleet status",
    ]
    names = ("--gres", "--mem", "--time", "--cpus-per-task", "--dependency")
    assert [[option(line, name) for name in names] for line in asked] == [
        [
            "gpu:1",
            "5760M",
            "4:14:00",
            "2",
            "",
        ],  # twice the longest and ten minutes; 4 x 1.25 + 0.625 GiB
        ["", "1920M", "0:44:00", "2", "aftercorr:1"],
        ["gpu:1", "4736M", "0:16:00", "2", ""],  # a GPU holds the network
        ["", "1920M", "0:44:00", "2", "aftercorr:3"],
        ["", "1G", "0:10:00", "2", "afterany:1:2:3:4"],
    ]


def test_without_a_gpu_a_job_computes_a_cell_and_what_failed_before_is_said(tmp_path: Path):
    text = written(gpus=0, memory=1.5, failed=["d-m-0-0: finetune failed on h: why"])
    assert "# Before: d-m-0-0: finetune failed on h: why\n" in text
    asked, said = submit(tmp_path, text)
    assert said == [f"whichlayer fleet cell d-{name}-0 --threads 2" for name in ("m-0", "m-1", "n-0")] + [
        "whichlayer fleet status"
    ]
    assert [(option(line, "--gres"), option(line, "--mem"), option(line, "--time")) for line in asked[:2]] == [
        ("", "1536M", "4:47:00"),
        ("", "1536M", "0:49:00"),
    ]


def test_what_slurm_cannot_give_is_refused_and_nothing_is_submitted_where_nothing_is_open():
    with pytest.raises(UserError, match=r"--gpus-per-cell: SLURM must give a job whole GPUs, found 0\.5"):
        written(gpus=0.5)
    assert cells.script([], PREDICTED, threads=1, gpus=1, memory=None, options="", failed=[]) == "# no cell is open"
