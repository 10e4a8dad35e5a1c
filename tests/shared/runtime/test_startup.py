import os
import subprocess
import sys

from stages.shared.runtime.processes import LAUNCH

FAULTS = """
import resource
import torch
from stages.shared.runtime.startup import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(3 << 20), torch.zeros(12 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
keep_freed_memory()
faults()
print(faults())
"""


def test_what_a_stage_frees_is_not_taken_from_the_system_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    by_default, kept = map(int, done.stdout.split())
    assert kept < by_default / 10


def test_a_rank_that_no_launcher_set_is_refused():
    environment = {name: value for name, value in os.environ.items() if name != LAUNCH} | {"RANK": "1"}
    finetune = [sys.executable, "-m", "stages.finetune"]
    done = subprocess.run(finetune, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: RANK must be set by the launcher that {LAUNCH} names alone, found it without; unset it\n"
    )


def test_a_launcher_that_sets_no_rank_is_refused_when_it_has_started_the_stage():
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    environment[LAUNCH] = f"{sys.executable} -s"
    finetune = [sys.executable, "-m", "stages.finetune", "--log", "x"]
    done = subprocess.run(finetune, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {LAUNCH} must name a launcher that sets RANK, found '{sys.executable} -s', which did not; unset it\n"
    )
