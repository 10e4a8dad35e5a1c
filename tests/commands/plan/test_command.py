"""`whichlayer plan`: its table and totals, and what it prints of a grid."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.commands.plan.command import plan, size, table, totals
from stages.commands.plan.cost import Cost
from tests.commands.edited import file

COST = Cost(
    parameters=3_390_000,
    trained=7200,
    passed=8400,
    flops=1.5e15,
    checkpoints=3 * 2**20,
    embeddings=3 * 2**29,
    training_memory=2**20,
    embed_memory=52 * 2**20,
)


def test_totals_warn_when_the_disk_is_too_small(tmp_path: Path):
    assert "warning" not in totals([COST], 1, 15.0, tmp_path)
    assert "finetune.keep: last" in totals([COST] * 1000, 10_000, 15.0, tmp_path)
    assert "about 1.0 h" in totals([COST] * 36, 1, 15.0, tmp_path)


def test_the_table_has_a_line_per_network():
    header, _, line = table([("handwriting", "lite0", COST)]).splitlines()
    assert " ".join(header.split()) == "dataset model params trained forward PFLOP weights store memory"
    assert " ".join(line.split()) == "handwriting lite0 3.4M 7,200 8,400 1.50 3 MiB 1.5 GiB 52 MiB"
    assert (size(3 * 2**20), size(1.5 * 2**30)) == ("3 MiB", "1.5 GiB")


def test_a_grid_is_planned_from_another_params_file(tmp_path: Path):
    params = file(tmp_path, {"run.seeds": [0, 1], "run.models": ["efficientnet_lite0_scratch"]})
    printed = CliRunner().invoke(plan, ["--params", str(params)], catch_exceptions=False).stdout
    assert "stages that would run" not in printed  # DVC reads the project's own params.yaml
    assert "handwriting  efficientnet_lite0_scratch" in printed
    assert "For one seed of 2." in printed


@pytest.mark.parametrize("given", ["0", "-1"])
def test_what_the_gpu_sustains_is_more_than_nothing(given: str):
    done = CliRunner().invoke(plan, ["--tflops", given])
    assert done.exit_code == 2
    assert "Invalid value for '--tflops'" in done.output
